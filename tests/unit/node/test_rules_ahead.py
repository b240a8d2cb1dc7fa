"""A program that lacks the next rules, where blocks run ahead of execution: none of theirs enters its log."""

from collections.abc import Iterator

import pytest

from ledger.outcome import Outcome
from node.results import SubmitResult
from tests.simulation.cluster.signatures import checked_once
from tests.unit.node.harness import ALWAYS, Node
from tests.unit.node.test_rules import ALL, OLD, READY, Cluster

BEHIND = 5
"""How many heights before the activation the node stops executing."""


@pytest.fixture(autouse=True)
def _checked_once() -> Iterator[None]:
    """Each signature is checked once a test, not once a node."""
    with checked_once():
        yield


def hold_execution(node: Node, patch: pytest.MonkeyPatch) -> None:
    """From now on the node's rules take for ever."""
    patch.setattr(node.ports.execute, "run", lambda: False)


def come_near(cluster: Cluster, from_height: int) -> None:
    """Let blocks pass until the activation is BEHIND heights away."""
    for _ in range(200):
        if cluster.leader.driver.executed_height >= from_height - BEHIND:
            return
        cluster.tick()
    raise AssertionError("the chain doesn't come near the activation within 200 ticks")


def test_a_follower_that_is_behind_acknowledges_nothing_of_rules_it_lacks() -> None:
    """The others go past the activation; it holds their blocks back, executes what it has, and then stops."""
    cluster = Cluster({**dict.fromkeys(ALL, READY), "n2": OLD})
    follower = cluster.nodes["n2"]
    assert cluster.leader is not follower
    from_height = cluster.decide()
    come_near(cluster, from_height)
    with pytest.MonkeyPatch.context() as patch:
        hold_execution(follower, patch)
        cluster.tick(100)
        raw = follower.bank.open_account("bank0", "bert", b"\xff" * 16, ALWAYS)
        assert cluster.ask(raw) is Outcome.EXECUTED
        assert cluster.leader.driver.executed_height >= from_height
        assert (follower.store.log_end, follower.stopped) == (from_height - 1, [])
    cluster.tick(5)
    assert [reason.word for reason in follower.stopped] == ["rules"]
    assert follower.driver.executed_height == from_height - 1


def test_a_leader_that_is_behind_proposes_nothing_of_rules_it_lacks() -> None:
    """Payments wait in its pool, and its log ends before the activation; once it stops there it judges
    nothing more by rules that it lacks.
    """
    node = Node(rules=OLD)
    node.tick(30)
    from_height = node.driver.executed_height + 70
    node.submit(node.bank.set_rules(2, from_height, bytes(16), ALWAYS))
    for _ in range(200):
        if node.driver.executed_height < from_height - BEHIND:
            node.tick()
    with pytest.MonkeyPatch.context() as patch:
        hold_execution(node, patch)
        for number in range(1, 20):
            tx_id = number.to_bytes(16, "big")
            node.submit(node.bank.open_account("bank0", "anna", tx_id, ALWAYS))
            node.tick()
        assert (node.driver.status().last_height, node.stopped) == (from_height - 1, [])
        assert node.driver.status().pending > 0
        to_nobody = node.bank.issue(node.bank.account("bank0", b"?" * 16), 1, b"!" * 16, ALWAYS)
        put_off = node.submit(to_nobody)
        assert put_off == []
    node.tick()
    assert [reason.word for reason in node.stopped] == ["rules"]
    simulated: list[SubmitResult] = []
    node.driver.simulate(to_nobody, simulated.append)
    for heard in (put_off, node.submit(to_nobody), simulated):
        assert [result.outcome for result in heard] == [Outcome.STOPPING]
