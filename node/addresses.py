"""Where the other nodes are reached: as genesis says, then as the chain does, unless this node knows better.

It must not know links. Who is retired is reached nowhere; who stands in this node's own configuration is
known to it before the chain names it, as a node that joins late may need.
"""

from collections.abc import Iterable, Mapping

from ledger.genesis import GenesisNode
from ledger.records import RETIRED
from ledger.registry import Registry


class AddressBook:
    """The addresses by node id, replaced as a whole when they change."""

    def __init__(self, genesis: Iterable[GenesisNode], own: Mapping[str, str]) -> None:
        """As long as nothing is executed here; `own` are this node's own addresses for others."""
        self._own = own
        self._nodes: object = None
        self.addresses: Mapping[str, str] = {node.id: node.address for node in genesis} | dict(own)

    def follow(self, registry: Registry) -> bool:
        """Take the addresses from the executed registry; whether its nodes are others than last time."""
        if registry.nodes is self._nodes:
            return False
        self._nodes = registry.nodes
        retired = {node.id for node in registry.nodes.values() if node.status == RETIRED}
        known = {node.id: node.address for node in registry.nodes.values()} | dict(self._own)
        self.addresses = {node: address for node, address in known.items() if node not in retired}
        return True
