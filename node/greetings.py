"""What nodes say of themselves on every link: Hello, and again once they have forgotten blocks.

It must not know what follows from what another remembers of this node: the watch does.
"""

from collections.abc import Collection

from node.driver_config import DriverConfig
from node.marks import Marks
from node.messages import Hello
from node.ports import Peers
from node.store import Store


class Greetings:
    """Says which blocks this node holds, and knows which the others hold, as far as they have said."""

    def __init__(self, config: DriverConfig, store: Store, marks: Marks, peers: Peers) -> None:
        """Nobody has said anything yet."""
        self._config = config
        self._store = store
        self._marks = marks
        self._peers = peers
        self._told_pruned = store.pruned
        self._first_heights: dict[str, int] = {}

    def greet(self, peer: str) -> None:
        """Say Hello to `peer`, and what this node remembers of it."""
        hello = Hello(
            self._store.network_id,
            self._config.node_id,
            self._config.boot,
            self._marks.led_term(peer),
            self._marks.sealed_height(peer),
            self._store.pruned + 1,
        )
        self._peers.send(peer, hello)

    def greet_again(self) -> None:
        """Say Hello to all once more if this node has forgotten blocks since it last did that."""
        pruned = self._store.pruned
        if pruned != self._told_pruned:
            self._told_pruned = pruned
            for peer in sorted(self._peers.connected()):
                self.greet(peer)

    def hear(self, sender: str, message: Hello) -> None:
        """What another node of this network holds from now on."""
        if message.network_id == self._store.network_id:
            self._first_heights[sender] = message.first_height

    def holders(self, height: int, members: Collection[str]) -> tuple[str, ...]:
        """Those of `members` who said last that they hold the block at `height`, ascending."""
        firsts = self._first_heights.items()
        return tuple(sorted(node for node, first in firsts if first <= height and node in members))
