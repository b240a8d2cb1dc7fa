"""The whole core of a node: payments from submission to certificate, refusals, reads, lost quorums,
stopping.
"""

import pytest

from consensus.messages import AppendEntries, RequestVote, encode_message
from ledger.block import decode_block
from ledger.certificate import decode_certificate, verify_certificate
from ledger.outcome import Outcome
from node.handover import TRANSFER_PAUSE_MS
from node.health import READY_LAG_BLOCKS, why_not_ready
from node.mempool import MempoolLimits
from node.messages import AskTransfer, Hello, RaftFrame
from node.results import Stage, SubmitResult
from tests.simulation.cluster.bank import ISSUER
from tests.unit.node.harness import ALWAYS, NOW_MS, Network, Node, reopen


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
    assert (result.stage, result.outcome, result.author) == (Stage.REFUSED, Outcome.BAD_FIELD, b"")
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


def test_without_a_quorum_submitters_are_told_and_what_they_gave_is_held() -> None:
    """Both who waited already and who comes later hear no_quorum; reads can't be confirmed."""
    network = Network(3)
    leader = network.elect()
    network.cut = {(one, other) for one in network.nodes for other in network.nodes}
    early: list[SubmitResult] = []
    leader.driver.submit(open_anna(leader), early.append)
    confirmed: list[bool] = []
    leader.driver.read_barrier(confirmed.append)
    network.tick(40)
    late = leader.submit(open_anna(leader, 101))
    for results in (early, late):
        assert stages(results) == [Stage.PENDING, Stage.REFUSED]
        assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)
    assert confirmed == [False]
    assert not leader.driver.status().has_quorum
    assert leader.driver.status().pending == 2


def test_what_an_isolated_leader_put_off_is_answered_too() -> None:
    """Its log is ahead of its state, so it doesn't refuse at once; without a quorum it holds it and
    says so.
    """
    network = Network(3)
    leader = network.elect()
    network.cut = {(one, other) for one in network.nodes for other in network.nodes}
    leader.driver.submit(open_anna(leader), lambda result: None)
    leader.ports.settle()
    results = leader.submit(issue(leader, 1))
    assert results == []
    network.tick(40)
    assert stages(results) == [Stage.PENDING, Stage.REFUSED]
    assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)


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


def test_what_was_held_happens_once_there_is_a_quorum_again() -> None:
    """The client asks again by submitting the same bytes, and hears the outcome."""
    network = Network(3)
    leader = network.elect()
    network.cut = {(one, other) for one in network.nodes for other in network.nodes}
    leader.driver.submit(open_anna(leader), lambda result: None)
    network.tick(40)
    network.cut = set()
    network.elect()
    network.tick(40)
    results = leader.submit(open_anna(leader))
    assert (results[-1].stage, results[-1].repeated) == (Stage.CERTIFIED, True)
    assert leader.driver.status().has_quorum


def test_a_read_is_confirmed_by_a_quorum() -> None:
    """At the leader and at a follower, after one round."""
    network = Network(3)
    network.elect()
    for node in network.nodes.values():
        confirmed: list[bool] = []
        node.driver.read_barrier(confirmed.append)
        assert confirmed == []
        network.settle()
        assert confirmed == [True]


def test_heights_are_heard_of_and_waited_for() -> None:
    """A listener hears every height once; a waiter is told at once of what is executed already."""
    node = alone()
    heard: list[int] = []
    node.driver.on_block(heard.append)
    height = node.driver.executed_height
    node.driver.when_executed(height, lambda: heard.append(-1))
    node.driver.when_executed(height + 2, lambda: heard.append(-2))
    node.submit(pay(node, 2, 1))
    node.submit(pay(node, 3, 1))
    assert heard == [-1, height + 1, height + 2, -2]


def test_stopping_refuses_finishes_and_says_so() -> None:
    """A node alone has nobody to hand over to: it stops once its writes are through."""
    node = alone()
    results: list[SubmitResult] = []
    node.driver.submit(pay(node, 2, 1), results.append)
    node.ports.verify.run()
    stopped: list[bool] = []
    node.driver.stop(lambda: stopped.append(True))
    assert stopped == []
    node.ports.settle()
    assert stopped == [True]
    assert results[1].stage is Stage.EXECUTED
    refused: list[SubmitResult] = []
    node.driver.submit(pay(node, 3, 1), refused.append)
    assert (refused[-1].stage, refused[-1].outcome) == (Stage.REFUSED, Outcome.STOPPING)


def test_a_leader_that_stops_hands_over_first() -> None:
    """Another leads before it says that it has stopped, without an election timeout passing."""
    network = Network(3)
    leader = network.elect()
    stopped: list[bool] = []
    leader.driver.stop(lambda: stopped.append(True))
    network.settle()
    others = [node for node in network.nodes.values() if node is not leader]
    assert stopped == [True]
    assert [node.driver.status().role for node in others].count("leader") == 1


def test_a_leader_hands_over_when_a_follower_asks_but_not_all_the_time() -> None:
    """A request that speaks of another term, and a second one within a minute, are ignored."""
    network = Network(3)
    leader = network.elect()
    asking, third = (node for node in network.nodes.values() if node is not leader)

    def ask(term_ahead: int) -> str:
        status = leader.driver.status()
        leader.driver.on_message(asking.id, AskTransfer(status.term + term_ahead, "a test"))
        network.settle()
        return leader.driver.status().role

    assert ask(1) == "leader"
    assert ask(0) == "follower"
    third.driver.on_message(leader.id, AskTransfer(third.driver.status().term, "back again"))
    network.settle()
    assert third.driver.status().role == "follower"
    assert asking.driver.status().role == "leader"
    asking.driver.on_message(third.id, AskTransfer(asking.driver.status().term, "back again"))
    network.settle()
    assert ask(0) == "leader"
    leader.ports.elapsed_ms += TRANSFER_PAUSE_MS
    assert ask(0) == "follower"


@pytest.mark.parametrize("third_is_there", [True, False])
def test_who_asks_for_another_leader_leads_only_if_nobody_else_can(third_is_there: bool) -> None:
    """Else a node whose clock is wrong could ask its way to the lead."""
    network = Network(3)
    leader = network.elect()
    asking, third = (node for node in network.nodes.values() if node is not leader)
    if not third_is_there:
        leader.ports.links = {asking.id}
    leader.driver.on_message(asking.id, AskTransfer(leader.driver.status().term, "a test"))
    network.settle()
    assert asking.driver.status().leader_id == (third.id if third_is_there else asking.id)


def test_a_node_that_is_told_of_more_than_it_remembers_stops() -> None:
    """Its disk has lost what others hold signatures for: a term it led, or a height it sealed."""
    for term, height in ((99, 0), (0, 99)):
        node = alone()
        network_id = node.store.network_id
        status = node.driver.status()
        known = Hello(network_id, "n1", bytes(16), status.term, status.executed_height)
        node.driver.on_message("n1", known)
        assert node.stopped == []
        node.driver.on_message("n1", Hello(network_id, "n1", bytes(16), term, height))
        assert [reason.word for reason in node.stopped] == ["lost_state"]
        assert "n1" in node.stopped[0].what


def test_a_hello_of_another_network_changes_nothing() -> None:
    """It is logged; the link is for the peers' part to drop."""
    node = alone()
    node.driver.on_message("n1", Hello(bytes(32), "n1", bytes(16), 99, 99))
    assert node.stopped == []
    assert node.ports.logged("hello_of_other_network")


def test_a_frame_in_anothers_name_is_dropped() -> None:
    """The link says who sends; a vote asked for in another's name, and bytes that are nothing, are
    counted.
    """
    network = Network(3)
    node = network.nodes["n0"]
    forged = RequestVote("n2", "n0", 50, 0, 0, False, False)
    node.driver.on_message("n1", RaftFrame(encode_message(forged)))
    node.driver.on_message("n1", RaftFrame(b"\xc1"))
    assert node.driver.status().term == 0
    assert node.driver.status().counters["malformed_frames"] == 2


def test_a_node_goes_on_after_a_kill() -> None:
    """What was answered is there, in the same place, and the node leads and pays again."""
    node = alone()
    first = node.submit(pay(node, 2, 10))[-1]
    again = reopen(node)
    again.tick(30)
    assert again.submit(pay(again, 2, 10))[-1].height == first.height
    assert again.submit(pay(again, 3, 40))[-1].outcome is Outcome.EXECUTED
    assert again.submit(pay(again, 4, 1))[-1].outcome is Outcome.INSUFFICIENT_FUNDS


def test_status_shows_the_peers() -> None:
    """How far each peer's log matches is known to the leader; how far it sealed, to all."""
    network = Network(3)
    leader = network.elect()
    leader.driver.submit(open_anna(leader), lambda result: None)
    network.settle()
    status = leader.driver.status()
    assert {peer.node_id for peer in status.peers} == set(network.nodes) - {leader.id}
    assert all(peer.connected and peer.match == status.last_height for peer in status.peers)
    assert all(peer.sealed_height == status.executed_height for peer in status.peers)


def test_an_activation_is_reached_by_empty_blocks() -> None:
    """Parameters decided for 64 blocks later come into force although nobody pays meanwhile."""
    node = alone()
    height = node.driver.executed_height
    raw = node.bank.set_envelope_bytes(ISSUER, 2_048, height + 65, tx(9), ALWAYS)
    assert node.submit(raw)[-1].outcome is Outcome.EXECUTED
    node.tick(80)
    assert node.driver.executed_height == height + 64
    assert node.driver.executed.registry.parameters_at(height + 65).envelope_bytes == 2_048
    assert node.submit(pay(node, 2, 1))[-1].height == height + 65
