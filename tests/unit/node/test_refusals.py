"""When a refusal by the leader may be told to a submitter: where no other copy can still be executed."""

from __future__ import annotations

from node.messages import Forward
from node.results import Stage, SubmitResult
from node.submissions import FORWARD_AGAIN_MS
from tests.unit.node.harness import Network, Node
from tests.unit.node.test_driver import issue, open_anna, pay

EXECUTED = [Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED]


def _funded() -> tuple[Network, Node, list[Node]]:
    """Three nodes, the leader and the others; Anna has 50."""
    network = Network(3)
    leader = network.elect()
    for raw in (open_anna(leader), issue(leader, 1)):
        leader.driver.submit(raw, lambda result: None)
        network.settle()
    return network, leader, [node for node in network.nodes.values() if node is not leader]


def _held_back(network: Network, node: Node) -> list[Forward]:
    """What the node has forwarded and is still on its way."""
    node.ports.settle()
    forwards = [message for _, message in node.ports.sent if isinstance(message, Forward)]
    node.ports.sent = [(to, message) for to, message in node.ports.sent if not isinstance(message, Forward)]
    return forwards


def _stages(results: list[SubmitResult]) -> list[Stage]:
    return [result.stage for result in results]


def test_a_copy_at_a_deposed_leader_keeps_a_refusal_from_being_told() -> None:
    """The new leader refuses for want of funds; then they come, and the deposed one finds its copy."""
    network, deposed, (follower, successor) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (late,) = _held_back(network, follower)
    deposed.driver.hand_over(successor.id)
    network.settle()
    assert successor.driver.status().role == "leader"
    assert _stages(results) == [Stage.PENDING]
    successor.driver.submit(issue(successor, 4), lambda result: None)
    network.settle()
    deposed.driver.on_message(follower.id, late)
    network.settle()
    assert _stages(results) == EXECUTED


def test_a_copy_that_is_late_keeps_a_refusal_of_another_from_being_told() -> None:
    """The same leader got it twice: the first was refused, the second finds the funds."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (late,) = _held_back(network, follower)
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    assert _stages(results) == [Stage.PENDING]
    leader.driver.submit(issue(leader, 4), lambda result: None)
    network.settle()
    leader.driver.on_message(follower.id, late)
    network.settle()
    assert _stages(results) == EXECUTED


def test_what_was_proposed_once_is_not_refused_for_good() -> None:
    """A leader that was cut off can't know who has its block; the next leader's refusal is one opinion."""
    network, cut_off, (successor, other) = _funded()
    network.cut = {(cut_off.id, node.id) for node in (successor, other)}
    results: list[SubmitResult] = []
    cut_off.driver.submit(pay(cut_off, 3, 40), results.append)
    network.tick(25)
    leader = next(node for node in (successor, other) if node.driver.status().role == "leader")
    leader.driver.submit(pay(leader, 4, 40), lambda result: None)
    network.settle()
    network.cut = set()
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    assert cut_off.driver.status().leader_id == leader.id
    leader.driver.submit(issue(leader, 5), lambda result: None)
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    found: list[SubmitResult] = []
    cut_off.driver.submit(pay(cut_off, 3, 40), found.append)
    assert found[-1].stage is Stage.CERTIFIED
    assert not any(result.stage is Stage.REFUSED and not result.held for result in results)
