"""Which nodes a machine has links with: those of the chain as it has executed it, and those it was told of.

It stands for what the links do beside the drivers (node/peers.py, run.py), with the same parts. It must not
know what messages say.
"""

from collections.abc import Collection, Mapping
from functools import partial

from ledger.codec import decode
from ledger.genesis import decode_genesis
from node.addresses import AddressBook
from node.driver import Driver
from node.introductions import Introduction, introduced
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.repairs import server_of
from tests.simulation.cluster.world import World

ASKING_MS = 100
"""How long it takes at most to ask another node who votes."""


class Doors:
    """Every process keeps a book of those whom it knows."""

    def __init__(self, world: World, genesis_raw: bytes, nodes: Mapping[str, SimulatedNode]) -> None:
        """Nobody has knocked yet."""
        self._world = world
        self._genesis_raw = genesis_raw
        self._genesis_nodes = decode_genesis(genesis_raw).nodes
        self._nodes = nodes
        self._books: dict[str, tuple[Driver, AddressBook]] = {}
        self._told: dict[str, dict[str, str]] = {}

    def tell(self, node: str, others: Collection[str]) -> None:
        """A new node's configuration names others, as `nostro network add-node` writes it."""
        self._told[node] = dict.fromkeys(others, "")

    def links(self, node: str, to: str) -> bool:
        """Whether this node's process keeps a link to the other."""
        driver = self._nodes[node].driver
        return driver is not None and to in self._book(node, driver).addresses

    def opens(self, node: str, sender: str) -> bool:
        """Whether a process lets a sender in; a stranger makes it ask the others."""
        driver = self._nodes[node].driver
        if driver is None:
            return True
        book = self._book(node, driver)
        if sender in book.addresses:
            return True
        if book.is_stranger(sender):
            self._world.counts["strangers refused"] += 1
            for peer in sorted(book.addresses.keys() - {node}):
                delay_ms = self._world.random.random() * ASKING_MS
                self._nodes[node].later(delay_ms, partial(self._ask, book, peer))
        return False

    def _ask(self, book: AddressBook, peer: str) -> None:
        asked = self._nodes[peer]
        if asked.driver is None or asked.store is None:
            return
        raw = server_of(asked.driver, asked.store).voters()
        if raw is not None and book.introduce(introduced(self._genesis_raw, decode(raw, Introduction))):
            self._world.counts["strangers introduced"] += 1

    def _book(self, node: str, driver: Driver) -> AddressBook:
        known = self._books.get(node)
        if known is None or known[0] is not driver:
            known = self._books[node] = driver, AddressBook(self._genesis_nodes, self._told.get(node, {}))
        known[1].follow(driver.executed.registry)
        return known[1]
