"""Anna, whose account and payments the tests of a node's core are about.

It must not know what a test checks.
"""

from ledger.outcome import Outcome
from node.results import Stage, SubmitResult
from tests.unit.node.harness import ALWAYS, Node


def tx(number: int) -> bytes:
    """A transaction id."""
    return number.to_bytes(16, "big")


def open_anna(node: Node, number: int = 100, valid_ms: tuple[int, int] = ALWAYS) -> bytes:
    """bank0 opens an account for Anna."""
    return node.bank.open_account("bank0", "anna", tx(number), valid_ms)


def issue(node: Node, number: int, amount: int = 50) -> bytes:
    """The central bank pays into Anna's account."""
    return node.bank.issue(node.bank.account("bank0", tx(100)), amount, tx(number), ALWAYS)


def pay(node: Node, number: int, amount: int) -> bytes:
    """Anna pays the central bank back."""
    anna = (node.bank.account("bank0", tx(100)), "anna")
    return node.bank.pay(anna, node.bank.issuance, amount, tx(number), ALWAYS)


def alone() -> Node:
    """A network of one node, which leads it; Anna has 50."""
    node = Node()
    node.tick(30)
    assert node.driver.status().role == "leader"
    assert node.submit(open_anna(node))[-1].outcome is Outcome.EXECUTED
    assert node.submit(issue(node, 1))[-1].outcome is Outcome.EXECUTED
    return node


def stages(results: list[SubmitResult]) -> list[Stage]:
    """Their stages."""
    return [result.stage for result in results]
