"""Links between simulated nodes that drop, duplicate, delay, reorder and partition, one way or both.

It must not know what messages say: they travel as bytes.
"""

from collections.abc import Callable

from node.messages import NodeMessage, decode_node_message, encode_node_message
from tests.simulation.cluster.profile import Rates
from tests.simulation.cluster.world import World

Deliver = Callable[[str, str, NodeMessage], None]


class Network:
    """All links; what arrives goes to `deliver(to, sender, message)`."""

    def __init__(self, world: World, rates: Rates, deliver: Deliver) -> None:
        """No partition yet, and no fault until `healed` is false."""
        self._world = world
        self._rates = rates
        self._deliver = deliver
        self._blocked: set[tuple[str, str]] = set()
        self.healed = True

    def send(self, sender: str, to: str, message: NodeMessage) -> None:
        """Let a message travel, perhaps twice or in vain."""
        if (sender, to) in self._blocked or self._happens(self._rates.drop):
            self._world.counts["messages lost"] += 1
            return
        data = encode_node_message(message)
        self._travel(sender, to, data)
        if self._happens(self._rates.duplicate):
            self._world.counts["messages duplicated"] += 1
            self._travel(sender, to, data)

    def partition(self, nodes: list[str]) -> None:
        """Block some links: one side's in one direction, or all between two sides."""
        random = self._world.random
        self._world.counts["partitions"] += 1
        side = random.sample(nodes, random.randint(1, len(nodes) // 2))
        both_ways, out = random.random() < 0.6, random.random() < 0.5
        for one in side:
            for other in nodes:
                if other in side:
                    continue
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
        self.healed = True

    def _happens(self, probability: float) -> bool:
        return not self.healed and self._world.random.random() < probability

    def _travel(self, sender: str, to: str, data: bytes) -> None:
        delay_ms = 0.1 + self._world.random.random() ** 3 * self._rates.delay_ms
        self._world.schedule(delay_ms, lambda: self._deliver(to, sender, decode_node_message(data)))
