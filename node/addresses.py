"""Where the other nodes are reached: as genesis says, then as the chain does, unless this node knows better.

It must not know links. Who is retired is reached nowhere; who stands in this node's own configuration, or was
introduced by others, is known to it before the chain names it, as a node that comes late may need.
"""

from collections.abc import Iterable, Mapping

from ledger.genesis import GenesisNode
from ledger.records import RETIRED, NodeRecord
from ledger.registry import Registry


class AddressBook:
    """The addresses by node id, replaced as a whole when they change."""

    def __init__(self, genesis: Iterable[GenesisNode], own: Mapping[str, str]) -> None:
        """As long as nothing is executed here; `own` are this node's own addresses for others."""
        self._own = own
        self._early = {node.id: node.address for node in genesis}
        self._nodes: Mapping[str, NodeRecord] = {}
        self._write()

    def follow(self, registry: Registry) -> bool:
        """Take the addresses from the executed registry; whether its nodes are others than last time."""
        if registry.nodes is self._nodes:
            return False
        self._nodes = registry.nodes
        self._write()
        return True

    def introduce(self, addresses: Mapping[str, str]) -> frozenset[str]:
        """Take in voters that the chain doesn't name here yet; those of whom nothing was known."""
        new = addresses.keys() - self._nodes.keys() - self.addresses.keys()
        self._early |= {node: addresses[node] for node in new}
        self._write()
        return frozenset(new)

    def is_stranger(self, node: str) -> bool:
        """Whether nothing is known of a node, not even that it was let go."""
        return node not in self._nodes and node not in self.addresses

    def _write(self) -> None:
        named = {node.id: node.address for node in self._nodes.values()}
        retired = {node.id for node in self._nodes.values() if node.status == RETIRED}
        known = self._early | named | dict(self._own)
        self.addresses: Mapping[str, str] = {
            node: address for node, address in known.items() if node not in retired
        }
