"""Links between simulated nodes that drop, duplicate, delay, reorder and part, one way or both.

It must not know what messages say: they travel as bytes.
"""

from collections.abc import Callable, Iterable

from node.messages import NodeMessage, decode_node_message, encode_node_message
from tests.simulation.cluster.world import World

Deliver = Callable[[str, str, NodeMessage], None]


class Network:
    """All links; what arrives goes to `deliver(to, sender, message)`."""

    def __init__(
        self, world: World, deliver: Deliver, *, drop: float, duplicate: float, delay_ms: int
    ) -> None:
        """No partition yet, and nothing lost or doubled until `healed` is false.

        `drop` and `duplicate` are probabilities; a message travels for up to `delay_ms`.
        """
        self._world = world
        self._deliver = deliver
        self._drop = drop
        self._duplicate = duplicate
        self._delay_ms = delay_ms
        self._blocked: set[tuple[str, str]] = set()
        self.healed = True

    def send(self, sender: str, to: str, message: NodeMessage) -> None:
        """Let a message travel, perhaps twice or in vain."""
        if (sender, to) in self._blocked or self._happens(self._drop):
            self._world.counts["messages lost"] += 1
            return
        data = encode_node_message(message)
        self._travel(sender, to, data)
        if self._happens(self._duplicate):
            self._world.counts["messages duplicated"] += 1
            self._travel(sender, to, data)

    def part(self, side: Iterable[str], nodes: Iterable[str], *, out: bool, into: bool) -> None:
        """Block what the nodes of one side send to the others (`out`), and what they are sent (`into`)."""
        inside = set(side)
        for one in inside:
            for other in set(nodes) - inside:
                if out:
                    self._blocked.add((one, other))
                if into:
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
        delay_ms = 0.1 + self._world.random.random() ** 3 * self._delay_ms
        self._world.schedule(delay_ms, lambda: self._deliver(to, sender, decode_node_message(data)))
