"""A quorum that is lost for good, and survivors whose members decide to go on, as `nostro node recover` does.

It carries out what node/recovery.py does, on the disks as the crash left them. It must not know what must
hold afterwards (oracle.py), nor what clients do about answers that only lost nodes stood for.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.block import block_hash
from ledger.bodies import Kind
from ledger.outcome import Outcome
from ledger.state import State
from node.recovery import Position, Survivor, carry_out, decision, position
from node.store import Store
from tests.simulation.cluster.bank import Bank, key_of
from tests.simulation.cluster.clients import Clients, Order
from tests.simulation.cluster.database import SimulatedDatabase
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.world import World


class Recovered(NamedTuple):
    """The height that survivors go on from, their blocks up to it, by height, and the members' decision."""

    height: int
    blocks: Mapping[int, bytes]
    decision: Order


class Recoveries:
    """At most one a run: who has survived once can't lose a quorum again and go on."""

    def __init__(
        self, world: World, genesis: tuple[bytes, Bank], nodes: Mapping[str, SimulatedNode], clients: Clients
    ) -> None:
        """All nodes are there; `genesis` is the document, and who signs for its members."""
        self._world = world
        self._genesis_raw, self._bank = genesis
        self._nodes = nodes
        self._clients = clients
        self._is_chosen = False

    def choose(self) -> tuple[str, ...]:
        """A minority that is to survive; nobody where it was chosen before."""
        if self._is_chosen:
            return ()
        self._is_chosen = True
        random, nodes = self._world.random, sorted(self._nodes)
        return tuple(sorted(random.sample(nodes, random.randint(1, (len(nodes) - 1) // 2))))

    def lose_quorum(self, survivors: tuple[str, ...]) -> Recovered | None:
        """End all processes, leave these machines only, and let them go on from the furthest log.

        None where what is left can't tell what was certified.
        """
        nodes = self._nodes
        for node in nodes.values():
            if node.driver is not None:
                node.crash()
        positions = [self._position(nodes[id_]) for id_ in survivors]
        if not any(each.certified for each in positions):
            return None
        for id_ in nodes.keys() - set(survivors):
            nodes[id_].lose()
        return self._go_on(positions)

    def _go_on(self, positions: list[Position]) -> Recovered:
        body, author = decision(positions)
        tx_id = self._clients.new_id()
        validity = self._clients.validity()
        raw = self._bank.decide(Kind.RECOVER, body, author, tx_id, validity)
        for each in positions:
            done = carry_out(self._survivor(each.node), raw, self._nodes[each.node].now_ms(), bytes(16))
            self._world.note(f"{each.node} goes on from {done.height} made by {done.maker}")
            self._world.counts["blocks cut off by a recovery"] += done.cut_blocks
        self._world.counts["recoveries"] += 1
        self._world.counts["recoveries by several"] += len(positions) > 1
        answer = (Outcome.EXECUTED, body.height + 1, 0)
        order = Order(raw, author.encode(), tx_id, (), body.height, answer, certified=True)
        return Recovered(body.height, self._blocks(done.maker, body.height), order)

    def _blocks(self, maker: str, up_to: int) -> dict[int, bytes]:
        store = Store.open(_database(self._nodes[maker]), self._genesis_raw, maker)
        sealed = {height: store.header(height) for height in range(1, up_to + 1)}
        return {height: block_hash(found.header) for height, found in sealed.items() if found is not None}

    def _position(self, node: SimulatedNode) -> Position:
        store = Store.open(_database(node), self._genesis_raw, node.id)
        return position(store, State.open(store), node.id)

    def _survivor(self, id_: str) -> Survivor:
        return Survivor(id_, key_of(id_), _database(self._nodes[id_]), self._genesis_raw)


def _database(node: SimulatedNode) -> SimulatedDatabase:
    return SimulatedDatabase(node.disk, lambda where: None)
