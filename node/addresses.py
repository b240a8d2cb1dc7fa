"""Where the other nodes are reached: as genesis says, then as the chain does, unless this node knows better.

It must not know links. Who is retired is reached nowhere; who stands in this node's own configuration, or was
introduced by others, is known to it before the chain names it, as a node that comes late may need. What was
only said by others counts for no more than what they say next.
"""

from collections.abc import Collection, Iterable, Mapping

from ledger.genesis import GenesisNode
from ledger.records import RETIRED, NodeRecord
from ledger.registry import Registry


class AddressBook:
    """The addresses by node id, replaced as a whole when they change."""

    def __init__(self, genesis: Iterable[GenesisNode], own: Mapping[str, str]) -> None:
        """As long as nothing is executed here; `own` are this node's own addresses for others."""
        self._own = own
        self._genesis = {node.id: node.address for node in genesis}
        self._said: dict[str, str] = {}
        self._nodes: Mapping[str, NodeRecord] = {}
        self._write()

    def follow(self, registry: Registry) -> bool:
        """Take the addresses from the executed registry; whether its nodes are others than last time."""
        if registry.nodes is self._nodes:
            return False
        self._nodes = registry.nodes
        self._write()
        return True

    def news(self, addresses: Mapping[str, str], linked: Collection[str] = ()) -> dict[str, str]:
        """What `introduce` would take in of this: of strangers, who aren't reached where they are sought."""
        return {
            node: address
            for node, address in addresses.items()
            if self.is_stranger(node) and node not in linked and self._said.get(node) != address
        }

    def introduce(self, addresses: Mapping[str, str], linked: Collection[str] = ()) -> frozenset[str]:
        """Take in where others say that nodes are reached; those of whom that is news.

        It replaces what was said before, unless a link stands: `linked` are those nodes.
        """
        news = self.news(addresses, linked)
        self._said |= news
        self._write()
        return frozenset(news)

    def is_stranger(self, node: str) -> bool:
        """Whether nothing but others' word tells of a node, not even that it was let go."""
        return not any(node in known for known in (self._nodes, self._genesis, self._own))

    def _write(self) -> None:
        named = {node.id: node.address for node in self._nodes.values()}
        retired = {node.id for node in self._nodes.values() if node.status == RETIRED}
        known = self._said | self._genesis | named | dict(self._own)
        self.addresses: Mapping[str, str] = {
            node: address for node, address in known.items() if node not in retired
        }
