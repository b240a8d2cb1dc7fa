"""A leader's refusal is final for a submitter once no copy of the transaction can be executed any more."""

from __future__ import annotations

import pytest

from ledger.outcome import Outcome
from node import submissions
from node.copies import MAX_FORWARDERS, Taken
from node.forwarding import FORWARD_AGAIN_MS
from node.messages import Forward, Refused
from node.results import Stage, SubmitResult
from node.submissions import EXPIRY_GRACE_MS
from tests.unit.node.anna import issue, open_anna, pay, tx
from tests.unit.node.harness import NOW_MS, Network, Node

REFUSED = [Stage.PENDING, Stage.REFUSED]
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
    """What the node has forwarded: it is still on its way, until the test delivers it."""
    node.ports.settle()
    forwards = [message for _, message in node.ports.sent if isinstance(message, Forward)]
    node.ports.sent = [(to, message) for to, message in node.ports.sent if not isinstance(message, Forward)]
    return forwards


def _stages(results: list[SubmitResult]) -> list[Stage]:
    return [result.stage for result in results]


def _pay_until(node: Node, until_ms: int) -> bytes:
    """Anna pays 40, by this time."""
    anna = (node.bank.account("bank0", tx(100)), "anna")
    return node.bank.pay(anna, node.bank.issuance, 40, tx(3), (NOW_MS, until_ms))


def _balance(node: Node) -> int:
    """What Anna has, as executed here."""
    account = node.driver._admission.account_by_id(node.bank.account("bank0", tx(100)))
    assert account is not None
    return account.balance


def _hand_over(network: Network, leader: Node, successor: Node) -> None:
    leader.driver.hand_over(successor.id)
    network.settle()
    assert successor.driver.status().role == "leader"


def test_a_refusal_after_a_change_of_leaders_is_told_and_final() -> None:
    """The new leader refuses for want of funds; then they come, but the deposed one drops its copy."""
    network, deposed, (follower, successor) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (late,) = _held_back(network, follower)
    _hand_over(network, deposed, successor)
    assert _stages(results) == REFUSED
    assert (results[-1].outcome, results[-1].held) == (Outcome.INSUFFICIENT_FUNDS, False)
    assert follower.driver.status().pending == 0
    successor.driver.submit(issue(successor, 4), lambda result: None)
    network.settle()
    deposed.driver.on_message(follower.id, late)
    network.settle()
    assert deposed.driver.status().counters["forwards_dropped"] == 1
    assert _balance(successor) == 100
    assert [node.driver.status().pending for node in network.nodes.values()] == [0, 0, 0]


def test_a_copy_of_an_earlier_term_of_the_same_leader_is_dropped() -> None:
    """It leads again, but what comes late was given to it for its first term."""
    network, leader, (follower, other) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (late,) = _held_back(network, follower)
    _hand_over(network, leader, other)
    assert _stages(results) == REFUSED
    _hand_over(network, other, leader)
    leader.driver.submit(issue(leader, 4), lambda result: None)
    network.settle()
    leader.driver.on_message(follower.id, late)
    network.settle()
    assert _balance(leader) == 100


def test_a_copy_that_comes_late_to_the_same_leader_is_dropped() -> None:
    """It was forwarded again meanwhile, and that copy was refused: the first isn't taken any more."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (late,) = _held_back(network, follower)
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    assert _stages(results) == REFUSED
    leader.driver.submit(issue(leader, 4), lambda result: None)
    network.settle()
    leader.driver.on_message(follower.id, late)
    network.settle()
    assert _balance(leader) == 100


def test_a_refusal_of_another_copy_than_the_last_is_not_told() -> None:
    """The answer comes late: the transaction was forwarded again meanwhile, and that copy finds the funds."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    network.cut = {(leader.id, follower.id)}
    follower.driver.submit(pay(follower, 3, 80), results.append)
    (first,) = _held_back(network, follower)
    leader.driver.on_message(follower.id, first)
    leader.ports.settle()
    refusals = [message for _, message in leader.ports.sent if isinstance(message, Refused)]
    network.settle()
    network.cut = set()
    follower.ports.elapsed_ms += FORWARD_AGAIN_MS
    follower.driver.tick()
    (second,) = _held_back(network, follower)
    follower.driver.on_message(leader.id, refusals[0])
    assert _stages(results) == [Stage.PENDING]
    leader.driver.submit(issue(leader, 4), lambda result: None)
    network.settle()
    leader.driver.on_message(follower.id, second)
    network.settle()
    assert _stages(results) == EXECUTED


def test_a_refusal_is_told_once_a_block_of_its_term_is_executed() -> None:
    """Until then a block of an earlier term may hold another copy, as far as this node knows."""
    network, leader, (follower, successor) = _funded()
    follower.ports.execute.paused = True
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 80), results.append)
    _held_back(network, follower)
    _hand_over(network, leader, successor)
    assert successor.driver.status().counters["refused_by_node"] == 1
    assert _stages(results) == [Stage.PENDING]
    follower.ports.execute.paused = False
    network.settle()
    assert _stages(results) == REFUSED


def test_a_deposed_leader_forgets_what_was_forwarded_to_it() -> None:
    """Its block was lost. It leads again, when the funds are there that were missing at the refusal."""
    network, cut_off, (follower, successor) = _funded()
    cut = {(cut_off.id, node.id) for node in (follower, successor)}
    network.cut = cut
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 40), results.append)
    network.settle()
    assert cut_off.driver.status().pending == 1
    network.cut = cut | {(node, cut_off.id) for node in network.nodes}
    successor.driver.submit(pay(successor, 4, 40), lambda result: None)
    follower.ports.sent = []
    network.tick(60)
    leader = next(node for node in (follower, successor) if node.driver.status().role == "leader")
    leader.driver.submit(issue(leader, 5), lambda result: None)
    network.settle()
    found = _balance(leader)
    network.cut = set()
    network.tick(FORWARD_AGAIN_MS // 100 + 10)
    assert cut_off.driver.status().pending == 0
    leader = next(node for node in network.nodes.values() if node.driver.status().role == "leader")
    _hand_over(network, leader, cut_off)
    network.tick(10)
    assert _balance(cut_off) == found


def test_what_expires_while_a_copy_is_out_is_ended_by_the_leader() -> None:
    """The follower's clock runs ahead: the copy that the leader is still to get is executed, and told."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    until_ms = follower.ports.wall_ms + 60_000
    follower.driver.submit(_pay_until(follower, until_ms), results.append)
    (first,) = _held_back(network, follower)
    follower.ports.wall_ms = until_ms + 2 * EXPIRY_GRACE_MS
    for _ in range(10):
        follower.ports.advance(100)
        follower.driver.tick()
    assert _stages(results) == [Stage.PENDING]
    leader.driver.on_message(follower.id, first)
    network.settle()
    assert _stages(results) == EXECUTED


def test_what_expired_at_the_leader_is_refused_for_good() -> None:
    """The chain's time stands still, and the copy was lost; the leader's clock ends it."""
    network, _, (follower, _) = _funded()
    results: list[SubmitResult] = []
    until_ms = follower.ports.wall_ms + 2_000
    follower.driver.submit(_pay_until(follower, until_ms), results.append)
    _held_back(network, follower)
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    assert [(result.stage, result.outcome) for result in results[1:]] == [(Stage.REFUSED, Outcome.EXPIRED)]


def test_what_expired_by_the_time_of_the_chain_is_let_go_of() -> None:
    """Its copy is out, but no later block may hold it."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    until_ms = follower.ports.wall_ms + 2_000
    follower.driver.submit(_pay_until(follower, until_ms), results.append)
    _held_back(network, follower)
    for node in network.nodes.values():
        node.ports.wall_ms = until_ms + EXPIRY_GRACE_MS
    leader.driver.submit(issue(leader, 4), lambda result: None)
    network.settle()
    for _ in range(5):
        follower.ports.advance(100)
        follower.driver.tick()
    assert [(result.stage, result.outcome) for result in results[1:]] == [(Stage.REFUSED, Outcome.EXPIRED)]


def test_a_refusal_of_another_process_is_not_taken() -> None:
    """The number is right, but an earlier process of this node gave it."""
    network, leader, (follower, _) = _funded()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 40), results.append)
    (forward,) = _held_back(network, follower)
    (held,) = follower.driver._mempool.held()
    refusals = ((held.envelope.signing_hash, int(Outcome.INSUFFICIENT_FUNDS)),)
    follower.driver.on_message(leader.id, Refused(b"x" * 16, forward.number, refusals))
    assert _stages(results) == [Stage.PENDING]
    follower.driver.on_message(leader.id, Refused(forward.boot, forward.number, refusals))
    assert _stages(results) == REFUSED


def test_messages_of_so_many_processes_are_taken() -> None:
    """Each may send on; of one more nothing is taken, and no number twice."""
    taken = Taken()
    boots = [number.to_bytes(16, "big") for number in range(MAX_FORWARDERS + 1)]
    assert all(taken.take("n1", boot, 1) for boot in boots[:MAX_FORWARDERS])
    assert not taken.take("n1", boots[-1], 1)
    assert taken.take("n1", boots[0], 3)
    assert not taken.take("n1", boots[0], 3)
    assert not taken.take("n1", boots[0], 2)


def test_what_can_not_be_put_off_is_refused_as_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    """One may be put off here, the next hears that the node has too much to do: it may come again."""
    monkeypatch.setattr(submissions, "MAX_PUT_OFF", 1)
    _, leader, _ = _funded()
    leader.ports.execute.paused = True
    leader.driver.submit(issue(leader, 4), lambda result: None)
    leader.ports.settle()
    first, second = (leader.submit(pay(leader, number, 80)) for number in (5, 6))
    assert first == []
    assert [result.outcome for result in second] == [Outcome.OVERLOADED]


def test_what_was_proposed_in_a_lost_block_is_refused_for_good() -> None:
    """Its leader was cut off, and the next one refuses it: the lost block's term is over. Asked again, it
    goes.
    """
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
    assert (results[-1].stage, results[-1].held) == (Stage.REFUSED, False)
    leader.driver.submit(issue(leader, 5), lambda result: None)
    network.tick(FORWARD_AGAIN_MS // 100 + 1)
    assert _balance(cut_off) == 60
    found: list[SubmitResult] = []
    cut_off.driver.submit(pay(cut_off, 3, 40), found.append)
    network.settle()
    assert _stages(found) == EXECUTED
