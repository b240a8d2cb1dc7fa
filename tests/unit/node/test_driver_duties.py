"""What a node's core does beside payments: reads, stopping, hand-overs, greetings, going on after a kill."""

import pytest

from consensus.messages import RequestVote, encode_message
from ledger.outcome import Outcome
from node.handover import TRANSFER_PAUSE_MS
from node.messages import AskTransfer, Hello, RaftFrame
from node.results import Stage, SubmitResult
from tests.simulation.cluster.bank import ISSUER
from tests.unit.node.anna import alone, open_anna, pay, tx
from tests.unit.node.harness import ALWAYS, Network, reopen


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
