"""The whole core of a node under payments: from submission to certificate, refusals, lost quorums."""

import pytest

from consensus.messages import AppendEntries, encode_message
from ledger.block import decode_block
from ledger.certificate import decode_certificate, verify_certificate
from ledger.outcome import Outcome
from node.health import READY_LAG_BLOCKS, why_not_ready
from node.mempool import MempoolLimits
from node.messages import RaftFrame
from node.results import Stage, SubmitResult
from tests.unit.node.anna import alone, issue, open_anna, pay, stages, tx
from tests.unit.node.harness import NOW_MS, Network, Node, reopen


def test_a_payment_goes_through_every_stage_without_waiting_for_a_tick() -> None:
    """Pending, executed, certified: time doesn't pass meanwhile."""
    node = alone()
    results = node.submit(pay(node, 2, 10))
    assert stages(results) == [Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED]
    assert results[-1].outcome is Outcome.EXECUTED
    assert results[-1].height == node.driver.executed_height == node.driver.certified_height
    assert node.driver.status().pending == 0


def test_the_first_answer_is_given_again() -> None:
    """The same bytes again: the same place and outcome, said to be a repetition."""
    node = alone()
    first = node.submit(pay(node, 2, 10))[-1]
    node.submit(pay(node, 3, 10))
    again = node.submit(pay(node, 2, 10))
    assert stages(again) == [Stage.EXECUTED, Stage.CERTIFIED]
    assert again[-1].repeated
    assert (again[-1].outcome, again[-1].height, again[-1].index) == (
        first.outcome,
        first.height,
        first.index,
    )
    assert again[-1].time_ms == first.time_ms


def test_the_first_answer_is_given_again_even_when_expired() -> None:
    """What the chain has stays true when its time is over."""
    node = Node()
    node.tick(30)
    until_ms = node.ports.wall_ms + 1_000
    raw = open_anna(node, valid_ms=(NOW_MS, until_ms))
    first = node.submit(raw)[-1]
    node.ports.advance(5_000)
    assert node.submit(raw)[-1].height == first.height


def test_what_stands_in_a_block_under_way_is_not_proposed_again() -> None:
    """While the first block isn't executed the pool still holds its payment; the second has only the
    new one.
    """
    node = alone()
    height = node.driver.executed_height
    for number in (2, 3):
        node.driver.submit(pay(node, number, 1), lambda result: None)
        node.ports.verify.run()
        node.ports.advance(50)
    assert node.driver.status().last_height == height + 2
    node.ports.settle()
    for executed in (height + 1, height + 2):
        entry = node.store.entry(executed)
        assert entry is not None
        assert decode_block(entry.data).header.tx_count == 1


def test_two_submissions_of_one_payment_wait_together() -> None:
    """Both hear of the one execution."""
    node = alone()
    raw = pay(node, 2, 10)
    first: list[SubmitResult] = []
    second: list[SubmitResult] = []
    node.driver.submit(raw, first.append)
    node.driver.submit(raw, second.append)
    node.ports.settle()
    assert first[-1].stage is second[-1].stage is Stage.CERTIFIED
    assert (first[-1].height, first[-1].index) == (second[-1].height, second[-1].index)


@pytest.mark.parametrize(
    ("valid_ms", "outcome"),
    [
        ((NOW_MS - 9, NOW_MS + 3_000), Outcome.EXPIRED),
        ((NOW_MS - 9, NOW_MS + 3_001), Outcome.EXECUTED),
        ((NOW_MS + 3_000, NOW_MS + 9_000), Outcome.EXECUTED),
        ((NOW_MS + 3_001, NOW_MS + 9_000), Outcome.NOT_YET_VALID),
    ],
)
def test_early_and_late_are_judged_by_this_nodes_clock(valid_ms: tuple[int, int], outcome: Outcome) -> None:
    """valid_from <= now < valid_until, at both ends."""
    node = Node()
    node.tick(30)
    assert node.ports.wall_ms == NOW_MS + 3_000
    result = node.submit(open_anna(node, valid_ms=valid_ms))[-1]
    assert result.outcome is outcome
    assert result.decided_by_chain is (outcome is Outcome.EXECUTED)


def test_a_bad_signature_is_refused() -> None:
    """The last byte of the signature is another."""
    node = alone()
    raw = bytearray(pay(node, 2, 10))
    raw[-1] ^= 1
    result = node.submit(bytes(raw))[-1]
    assert (result.stage, result.outcome) == (Stage.REFUSED, Outcome.BAD_SIGNATURE)
    assert "verify" in result.reason


def test_malformed_bytes_are_refused_with_what_is_wrong() -> None:
    """No envelope at all has neither author nor id."""
    result = alone().submit(b"\x93\x01")[-1]
    assert (result.stage, result.outcome, result.author) == (Stage.REFUSED, Outcome.NOT_CANONICAL, b"")
    assert result.reason


def test_another_networks_transaction_is_refused() -> None:
    """It says which network it was signed for."""
    result = alone().submit(open_anna(Node(size=3)))[-1]
    assert result.outcome is Outcome.WRONG_NETWORK
    assert "signed for network" in result.reason


def test_queued_debits_count_before_they_are_executed() -> None:
    """Two payments of 30 from 50: the second is left out although the first isn't executed yet."""
    node = alone()
    first: list[SubmitResult] = []
    second: list[SubmitResult] = []
    node.driver.submit(pay(node, 2, 30), first.append)
    node.driver.submit(pay(node, 3, 30), second.append)
    node.ports.settle()
    assert first[-1].outcome is Outcome.EXECUTED
    assert (second[-1].stage, second[-1].outcome) == (Stage.REFUSED, Outcome.INSUFFICIENT_FUNDS)


def test_an_id_with_other_content_is_refused_while_the_first_waits() -> None:
    """One id, two amounts, at once: the second is refused by this node."""
    node = alone()
    second: list[SubmitResult] = []
    node.driver.submit(pay(node, 2, 10), lambda result: None)
    node.driver.submit(pay(node, 2, 11), second.append)
    node.ports.settle()
    assert (second[-1].stage, second[-1].outcome) == (Stage.REFUSED, Outcome.ID_USED_WITH_OTHER_CONTENT)


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        (MempoolLimits(transactions=1), Outcome.OVERLOADED),
        (MempoolLimits(bytes=300), Outcome.OVERLOADED),
        (MempoolLimits(member_transactions=1), Outcome.TOO_MANY_PENDING),
    ],
)
def test_a_full_pool_refuses(limits: MempoolLimits, outcome: Outcome) -> None:
    """Without a leader nothing leaves the pool, so that the second finds it full."""
    node = Node(size=3, mempool=limits)
    assert node.submit(open_anna(node))[-1].outcome is Outcome.UNKNOWN
    assert node.submit(open_anna(node, 101))[-1].outcome is outcome


def test_simulation_says_what_would_be_and_keeps_nothing() -> None:
    """A payment that could be made, one that couldn't, and one with a bad signature."""
    node = alone()
    results: list[SubmitResult] = []
    broken = pay(node, 4, 1)[:-1] + b"\x00"
    for raw in (pay(node, 2, 50), pay(node, 3, 51), broken):
        node.driver.simulate(raw, results.append)
        node.ports.settle()
    assert [result.outcome for result in results] == [
        Outcome.EXECUTED,
        Outcome.INSUFFICIENT_FUNDS,
        Outcome.BAD_SIGNATURE,
    ]
    assert node.driver.status().pending == 0


def test_the_same_bytes_submitted_at_once_are_verified_once() -> None:
    """All five hear of the one payment; nothing is left for the verify worker."""
    node = alone()
    raw = pay(node, 2, 10)
    heard: list[list[SubmitResult]] = [[] for _ in range(5)]
    node.driver.submit_all((raw, results.append) for results in heard)
    node.ports.verify.run()
    assert not node.ports.verify.jobs
    node.ports.settle()
    assert [results[-1] for results in heard] == [heard[0][-1]] * 5
    assert heard[0][-1].stage is Stage.CERTIFIED


def test_what_was_simulated_is_not_verified_again() -> None:
    """Submitted after that, or simulated once more, it is judged at once."""
    node = alone()
    raw, results = pay(node, 2, 10), list[SubmitResult]()
    node.driver.simulate(raw, results.append)
    node.ports.settle()
    node.driver.simulate(raw, results.append)
    node.driver.submit(raw, results.append)
    assert not node.ports.verify.jobs
    assert stages(results) == [Stage.PENDING] * 3
    node.ports.settle()
    assert results[-1].stage is Stage.CERTIFIED


def test_submissions_that_wait_to_be_verified_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the same bytes count each; the one too many is refused as overload, and may come again."""
    monkeypatch.setattr("node.submissions.MAX_VERIFYING", 2)
    node = alone()
    raw, refused = pay(node, 2, 10), list[SubmitResult]()
    for report in (lambda result: None, lambda result: None, refused.append):
        node.driver.submit(raw, report)
    assert [(result.outcome, result.held) for result in refused] == [(Outcome.OVERLOADED, False)]
    node.ports.settle()
    assert node.submit(raw)[-1].stage is Stage.CERTIFIED


def test_what_expires_in_the_pool_is_dropped_and_its_submitter_told() -> None:
    """A while after its time, for a block may be under way until then."""
    node = Node(size=3)
    node.tick(1)
    results = node.submit(open_anna(node, valid_ms=(NOW_MS, NOW_MS + 200)))
    held = node.driver.pending(b"bank0", tx(100))
    assert held is not None
    node.tick(60)
    assert node.driver.pending(b"bank0", tx(100)) is None
    assert results[-1].stage is Stage.REFUSED
    assert node.driver.status().pending == 0


def test_three_nodes_execute_seal_and_certify_the_same() -> None:
    """A payment at a follower reaches every node's chain, with one certificate that verifies."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    results: list[SubmitResult] = []
    follower.driver.submit(open_anna(follower), results.append)
    network.settle()
    assert stages(results) == [Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED]
    network.tick(2)
    height = results[-1].height
    assert {node.driver.certified_height for node in network.nodes.values()} == {height}
    for node in network.nodes.values():
        raw = node.store.certificate(height)
        assert raw is not None
        verify_certificate(decode_certificate(raw), node.driver.executed.registry.certifiers_at(0))


def test_the_leader_leaves_out_what_a_follower_forwards_in_vain() -> None:
    """The follower hears of it and tells its submitter; its own word would have been another."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    results: list[SubmitResult] = []
    follower.driver.submit(open_anna(follower), results.append)
    network.settle()
    leader.driver.submit(issue(leader, 1), lambda result: None)
    network.settle()
    leader.driver.submit(pay(leader, 2, 40), lambda result: None)
    leader.ports.verify.run()  # The leader holds a debit of 40 that the follower doesn't know of.
    late: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 3, 40), late.append)
    network.settle()
    assert (late[-1].stage, late[-1].outcome) == (Stage.REFUSED, Outcome.INSUFFICIENT_FUNDS)
    assert follower.driver.status().pending == 0


def test_a_leader_behind_its_log_does_not_refuse_what_the_log_makes_good() -> None:
    """Its submitter saw the money arrive at another node; the leader has yet to execute that block."""
    network = Network(3)
    leader = network.elect()
    leader.submit(open_anna(leader))
    network.settle()
    leader.driver.submit(issue(leader, 1), lambda result: None)
    leader.ports.verify.run()
    assert leader.driver.status().last_height > leader.driver.executed_height
    results: list[SubmitResult] = []
    leader.driver.submit(pay(leader, 2, 40), results.append)
    network.settle()
    assert results[-1].outcome is Outcome.EXECUTED


def test_a_follower_leaves_the_verdict_to_the_leader() -> None:
    """Far behind, it doesn't know the account; what it forwards settles all the same."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    network.cut = {(leader.id, follower.id)}
    leader.submit(open_anna(leader))
    leader.submit(issue(leader, 1))
    network.settle()
    results: list[SubmitResult] = []
    follower.driver.submit(pay(follower, 2, 40), results.append)
    network.cut = set()
    network.settle()
    network.tick(2)
    assert results[-1].outcome is Outcome.EXECUTED


def test_a_node_is_ready_once_it_knows_a_leader_and_no_sooner() -> None:
    """Started again with blocks in its store, it has yet to hear who leads."""
    node = alone()
    assert why_not_ready(node.driver) is None
    again = reopen(node)
    assert again.driver.executed_height > 0
    assert "no leader" in (why_not_ready(again.driver) or "")
    again.tick(30)
    assert why_not_ready(again.driver) is None


@pytest.mark.parametrize(("behind", "ready"), [(READY_LAG_BLOCKS, True), (READY_LAG_BLOCKS + 1, False)])
def test_a_node_is_ready_only_near_what_its_leader_has_committed(behind: int, ready: bool) -> None:
    """Its own log ends early: what it lacks still has to come, and a majority may soon need this node."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    status = follower.driver.status()
    end, term = status.last_height, status.term
    assert status.executed_height == end
    told = AppendEntries(leader.id, follower.id, term, end, term, (), end + behind)
    follower.driver.on_message(leader.id, RaftFrame(encode_message(told)))
    assert (why_not_ready(follower.driver) is None) is ready
