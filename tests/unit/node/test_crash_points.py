"""A process that ends at any point of any write: afterwards the payment is on the chain once, or was never
answered.
"""

from itertools import count

from ledger.outcome import Outcome
from ledger.state import State
from node.results import Stage, SubmitResult
from tests.simulation.cluster.threads import Crashed
from tests.unit.node.harness import ALWAYS, Node, reopen

POINTS_A_PAYMENT = 6
"""Before, during and after the sync of the log, and the same of what came of the block."""


class Fate:
    """Ends the process at the point that it is told to."""

    def __init__(self) -> None:
        self.points_left: int | None = None

    def point(self, where: str) -> None:
        """Before, during and after each write."""
        if self.points_left is None:
            return
        self.points_left -= 1
        if self.points_left == 0:
            raise Crashed(where)


def funded(fate: Fate) -> Node:
    """A network of one node, in which Anna has 50."""
    node = Node(point=fate.point)
    node.tick(30)
    node.submit(node.bank.open_account("bank0", "anna", tx(100), ALWAYS))
    node.submit(node.bank.issue(anna(node), 50, tx(1), ALWAYS))
    return node


def tx(number: int) -> bytes:
    """A transaction id."""
    return number.to_bytes(16, "big")


def anna(node: Node) -> bytes:
    """Her account."""
    return node.bank.account("bank0", tx(100))


def payment(node: Node) -> bytes:
    """Anna pays 30 back: twice would be more than she has."""
    return node.bank.pay((anna(node), "anna"), node.bank.issuance, 30, tx(2), ALWAYS)


def paid_until(point: int) -> tuple[Node, list[SubmitResult], bool]:
    """A node whose process pays and ends at this point of its writes; what it answered, and whether it
    ended.
    """
    fate = Fate()
    node = funded(fate)
    fate.points_left = point
    results: list[SubmitResult] = []
    try:
        node.driver.submit(payment(node), results.append)
        node.ports.settle()
    except Crashed:
        return node, results, True
    return node, results, False


def test_a_payment_happens_once_wherever_its_process_ends() -> None:
    """After the restart the same submission has one place and one effect, the answer given before, if any."""
    for point in count(1):
        node, before, ended = paid_until(point)
        if not ended:
            break
        again = reopen(node)
        again.tick(30)
        answer = again.submit(payment(again))[-1]
        assert answer.outcome is Outcome.EXECUTED
        answered = {(r.height, r.index) for r in before if r.stage is not Stage.PENDING}
        assert answered <= {(answer.height, answer.index)}
        account = State.open(again.store).account_by_id(anna(again))
        assert account is not None
        assert (account.debits_posted, account.credits_posted) == (30, 50)
    assert point > POINTS_A_PAYMENT


def test_what_is_answered_as_executed_is_on_the_disk() -> None:
    """A crash right after the answer takes nothing of it back: neither the payment nor this node's seal."""
    node = funded(Fate())
    answer = node.submit(payment(node))[-1]
    node.disk.unsynced.clear()
    node.disk.live = dict(node.disk.durable)
    again = reopen(node)
    assert again.driver.executed_height == answer.height
    assert again.store.own_seal(answer.height) is not None
