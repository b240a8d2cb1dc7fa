"""The clients of a simulated network: they open accounts, pay, pay twice, overdraw, come late, and ask again.

It must not know how nodes work: it submits bytes and hears results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ledger.outcome import Outcome
from node.results import Stage, SubmitResult
from tests.simulation.cluster.bank import FUNDS, Bank
from tests.simulation.cluster.node import START_MS
from tests.simulation.cluster.world import World
from tests.simulation.report import Violation

DAY_MS = 86_400_000
RETRY_MS = 1_500
Submit = Callable[[str, list[tuple[bytes, Callable[[SubmitResult], None]]]], bool]
"""Hands envelopes to a node, each with who hears of it; whether the node was up."""


@dataclass(slots=True)
class Order:
    """One transaction as its client sees it. `answer` is the first final one: outcome, height, index.

    `moves` is what it adds to which accounts if it is executed, in minor units; `after_height` is the highest
    height that any client had seen when it was made. `open` counts the submissions that no node has refused
    for good: those that a crash left without an answer stay open.
    """

    raw: bytes
    author: bytes
    tx_id: bytes
    moves: tuple[tuple[bytes, int], ...]
    after_height: int
    answer: tuple[Outcome, int, int] | None = None
    certified: bool = False
    refused: list[Outcome] = field(default_factory=list)
    gives_up: bool = False
    open: int = 0


class Clients:
    """All clients together."""

    def __init__(self, world: World, bank: Bank, nodes: Callable[[], list[str]], submit: Submit) -> None:
        """Clients who have done nothing; `submit` reaches one of the `nodes`, or nobody."""
        self._world = world
        self._bank = bank
        self._nodes = nodes
        self._submit = submit
        self.orders: list[Order] = []
        self.accounts: list[tuple[bytes, str]] = []
        self.seen_height = 0

    def saw(self, height: int) -> None:
        """Some client was shown this height: whatever begins from now on comes after it."""
        self.seen_height = max(height, self.seen_height)

    def open_accounts(self) -> None:
        """Each bank opens two accounts."""
        for number in range(2 * len(self._nodes())):
            member, holder = f"bank{number // 2}", f"holder{number}"
            tx_id = self.new_id()
            raw = self._bank.open_account(member, holder, tx_id, self.validity())
            self.order(raw, member.encode(), tx_id, ())
            self.accounts.append((self._bank.account(member, tx_id), holder))

    def fund_accounts(self) -> None:
        """The central bank pays into every account."""
        for account, _ in self.accounts:
            tx_id = self.new_id()
            raw = self._bank.issue(account, FUNDS, tx_id, self.validity())
            self.order(raw, self._bank.issuance, tx_id, ((self._bank.issuance, -FUNDS), (account, FUNDS)))

    def act(self) -> None:
        """One client does something, sensible or not."""
        random = self._world.random
        kind = random.random()
        source, target = random.sample(self.accounts, 2)
        tx_id = self.new_id()
        if kind < 0.06:
            self._pay(source, target[0], tx_id, FUNDS * 50, self.validity())
        elif kind < 0.12:
            until_ms = START_MS + int(self._world.now_ms) + random.randint(-500, 900)
            self._pay(source, target[0], tx_id, 1, (START_MS - DAY_MS, until_ms))
        elif kind < 0.18:
            self._pay(source, target[0], tx_id, 2, self.validity())
            self._pay(source, target[0], tx_id, 3, self.validity())
        elif kind < 0.24 and self.orders:
            self._send(random.choice(self.orders))
        else:
            self._pay(source, target[0], tx_id, random.randint(1, 400), self.validity())

    def unsettled(self) -> list[Order]:
        """Orders that no node has answered for good, and that may still be executed."""
        return [order for order in self.orders if order.answer is None and not order.gives_up]

    def refused_for_good(self) -> list[Order]:
        """Orders of which every submission was refused, and nothing held: they must never be executed."""
        return [order for order in self.orders if order.refused and order.answer is None and not order.open]

    def uncertified(self) -> list[Order]:
        """Orders that were executed and of whose certificate nobody has told.

        A conflict consumes no id, so that nobody can ask for it again: whoever's node crashed won't
        hear more.
        """
        executed = [order for order in self.orders if order.answer is not None and not order.certified]
        return [order for order in executed if not is_conflict(order)]

    def ask_for_all_again(self, nodes: Sequence[str]) -> None:
        """Submit all that ever was once more, each to one of these nodes."""
        asked: dict[str, list[Order]] = {node: [] for node in nodes}
        for order in self.orders:
            asked[self._world.random.choice(nodes)].append(order)
        for node, orders in asked.items():
            self._hand_in(node, orders)

    def recovered(self, height: int, decision: Order) -> None:
        """The chain goes on above this height without what lost nodes had above it: forget what they told.

        `decision` says so, and stands on the chain already.
        """
        self.seen_height = min(self.seen_height, height)
        for order in self.orders:
            order.after_height = min(order.after_height, height)
            if order.answer is None:
                order.refused.clear()
            elif order.answer[1] > height:
                self._world.counts["answers lost with a quorum"] += 1
                order.answer, order.certified = None, False
                self._world.schedule(RETRY_MS, partial(self._retry, order))
        self.orders.append(decision)

    def _pay(
        self, source: tuple[bytes, str], to: bytes, tx_id: bytes, amount: int, valid_ms: tuple[int, int]
    ) -> None:
        raw = self._bank.pay(source, to, amount, tx_id, valid_ms)
        self.order(raw, source[0], tx_id, ((source[0], -amount), (to, amount)))

    def order(self, raw: bytes, author: bytes, tx_id: bytes, moves: tuple[tuple[bytes, int], ...]) -> None:
        """Submit this, and see to it that it is answered."""
        order = Order(raw, author, tx_id, moves, self.seen_height)
        self.orders.append(order)
        self._send(order)
        if self._world.random.random() < 0.25:
            self._world.counts["submitted twice at once"] += 1
            self._send(order)
        self._world.schedule(RETRY_MS, lambda: self._retry(order))

    def _retry(self, order: Order) -> None:
        if order.answer is None and not order.gives_up:
            self._world.counts["submitted again"] += 1
            self._send(order)
            self._world.schedule(RETRY_MS, lambda: self._retry(order))

    def _send(self, order: Order) -> None:
        self._hand_in(self._world.random.choice(self._nodes()), [order])

    def _hand_in(self, node: str, orders: list[Order]) -> None:
        for order in orders:
            order.open += 1
        if not self._submit(node, [(order.raw, partial(self._heard, order)) for order in orders]):
            for order in orders:
                order.open -= 1

    def _heard(self, order: Order, result: SubmitResult) -> None:
        if result.stage in (Stage.EXECUTED, Stage.CERTIFIED):
            self._executed(order, result)
            self.saw(result.height)
        elif result.stage is Stage.REFUSED:
            self._world.counts[f"refused {result.outcome.name.lower()}"] += 1
            order.refused.append(result.outcome)
            order.open -= not result.held
            order.gives_up = order.gives_up or (not result.held and result.outcome not in MAY_PASS)

    def _executed(self, order: Order, result: SubmitResult) -> None:
        answer = (result.outcome, result.height, result.index)
        if order.answer is not None and answer != order.answer:
            raise Violation(f"id {order.tx_id.hex()} was answered {order.answer}, later {answer}")
        if result.height <= order.after_height:
            raise Violation(
                f"id {order.tx_id.hex()} was first submitted when {order.after_height} had been shown, "
                f"it stands at {result.height}"
            )
        if order.answer is None:
            self._world.counts[f"executed {result.outcome.name.lower()}"] += 1
        elif result.repeated:
            self._world.counts["first answer given again"] += 1
        order.answer = answer
        order.certified = order.certified or result.stage is Stage.CERTIFIED

    def new_id(self) -> bytes:
        """An id that nobody has used."""
        return self._world.random.randbytes(16)

    def validity(self) -> tuple[int, int]:
        """From when to when what is submitted may stand in a block: for the whole run."""
        return START_MS - DAY_MS, START_MS + DAY_MS


def is_conflict(order: Order) -> bool:
    """Whether the chain found the order's id used with other content."""
    return order.answer is not None and order.answer[0] is Outcome.ID_USED_WITH_OTHER_CONTENT


MAY_PASS = frozenset(
    {
        Outcome.OVERLOADED,
        Outcome.TOO_MANY_PENDING,
        Outcome.NOT_YET_VALID,
        Outcome.STOPPING,
        Outcome.NO_QUORUM,
        Outcome.UNKNOWN_AUTHOR,
        Outcome.UNKNOWN_ACCOUNT,
    }
)
"""Refusals after which a client tries again: another node, or the same later, may answer otherwise."""
