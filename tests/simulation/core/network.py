"""A network that drops, duplicates, delays, reorders and partitions, one way or both.

It must not know what messages say: they travel as bytes, so nothing that is changed after sending can arrive.
"""

from collections import Counter
from collections.abc import Callable
from random import Random

from consensus.messages import Message, NodeId, decode_message
from tests.simulation.core.profile import Rates

Schedule = Callable[[float, Callable[[], None]], None]


class Network:
    """All links between the nodes; delivery goes to `deliver`, at a time set through `schedule`."""

    def __init__(
        self,
        random: Random,
        rates: Rates,
        late_ms: int,
        counts: Counter[str],
        schedule: Schedule,
        deliver: Callable[[Message], None],
    ) -> None:
        """Links without partitions, with this seed's rates of loss and delay."""
        self._random = random
        self._rates = rates
        self._late_ms = late_ms
        self._counts = counts
        self._schedule = schedule
        self._deliver = deliver
        self._blocked: set[tuple[NodeId, NodeId]] = set()
        self._healed = False

    def send(self, message: Message, data: bytes) -> None:
        """Let a message, which is `data`, travel, perhaps twice or in vain."""
        if (message.sender, message.to) in self._blocked or self._happens(self._rates.drop):
            self._counts["messages lost"] += 1
            return
        self._travel(data)
        if self._happens(self._rates.duplicate):
            self._counts["messages duplicated"] += 1
            self._travel(data)

    def partition(self, nodes: list[NodeId]) -> None:
        """Block some links: one node's in one direction, or all between two sides."""
        self._counts["partitions"] += 1
        side = set(self._random.sample(nodes, self._random.randint(1, len(nodes) // 2)))
        both_ways, out = self._random.random() < 0.6, self._random.random() < 0.5
        for one in side:
            for other in set(nodes) - side:
                if both_ways or out:
                    self._blocked.add((one, other))
                if both_ways or not out:
                    self._blocked.add((other, one))

    def join(self) -> None:
        """Lift all partitions."""
        self._blocked.clear()

    def heal(self) -> None:
        """Lift all partitions and lose nothing from now on."""
        self.join()
        self._healed = True

    def _happens(self, probability: float) -> bool:
        return not self._healed and self._random.random() < probability

    def _travel(self, data: bytes) -> None:
        delay_ms = 0.2 + self._random.random() ** 3 * self._rates.delay_ms
        if self._happens(self._rates.late):
            self._counts["messages very late"] += 1
            delay_ms += self._random.random() * self._late_ms
        self._schedule(delay_ms, lambda: self._deliver(decode_message(data)))
