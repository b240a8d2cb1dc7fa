"""Strong reads at any node, as the HTTP API makes them: confirmed by a quorum, then read from the state.

It must not know how nodes confirm reads. A read is linearizable if it shows a height no lower than whatever
was answered or read before it began, and the balance that the chain gives at that height (history.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.records import Account
from ledger.state import State
from node.driver import Driver
from tests.simulation.cluster.clients import Clients
from tests.simulation.cluster.nemeses import believes_to_lead
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.world import World
from tests.simulation.report import Violation


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read showed: the balance of an account at a height, in minor units."""

    node: str
    account: bytes
    height: int
    balance: int


class Readers:
    """Clients who read balances."""

    def __init__(self, world: World, clients: Clients, nodes: dict[str, SimulatedNode]) -> None:
        """Nobody has read yet; what `clients` were answered bounds what a read may show."""
        self._world = world
        self._clients = clients
        self._nodes = nodes
        self.answers: list[Answer] = []

    def recovered(self, height: int) -> None:
        """The chain goes on above this height in another way: what was read above it is void."""
        self.answers = [answer for answer in self.answers if answer.height <= height]

    def act(self) -> None:
        """One client reads an account at some node, and at every node that takes itself for the leader,
        where an answer from the past is likeliest.
        """
        account, _ = self._world.random.choice(self._clients.accounts)
        leaders = [node for node in self._nodes.values() if believes_to_lead(node)]
        some = self._nodes[self._world.random.choice(list(self._nodes))]
        for node in leaders if some in leaders else [some, *leaders]:
            self._read(node, account, self._kind(node, leaders))

    def _kind(self, node: SimulatedNode, leaders: list[SimulatedNode]) -> str:
        if node not in leaders:
            return "a follower"
        newest = max(self._term(leader) for leader in leaders)
        return "a deposed leader" if self._term(node) < newest else "a leader"

    def _term(self, node: SimulatedNode) -> int:
        return node.driver.status().term if node.driver is not None else 0

    def _read(self, node: SimulatedNode, account: bytes, kind: str) -> None:
        floor = self._clients.seen_height

        def confirmed(driver: Driver, may: bool) -> None:
            if may:
                driver.with_state(lambda state: _look_up(state, account), answered, _failed)
            else:
                self._world.counts["reads refused"] += 1

        def answered(found: tuple[int, Account]) -> None:
            height, record = found
            if height < floor:
                raise Violation(f"{node.id} answered a strong read at {height}, though {floor} was known")
            self._world.counts["reads answered"] += 1
            self._clients.saw(height)
            self.answers.append(Answer(node.id, account, height, record.balance))

        if node.current(lambda driver: driver.read_barrier(_bound(confirmed, driver))):
            self._world.counts[f"reads at {kind}"] += 1


def _bound(confirmed: Callable[[Driver, bool], None], driver: Driver) -> Callable[[bool], None]:
    return lambda may: confirmed(driver, may)


def _look_up(state: State, account: bytes) -> tuple[int, Account]:
    """On the thread that owns the state."""
    record = state.account_by_id(account)
    if record is None:
        raise Violation(f"at height {state.progress.height} there is no account {account.hex()}")
    return state.progress.height, record


def _failed(error: BaseException) -> None:
    raise error
