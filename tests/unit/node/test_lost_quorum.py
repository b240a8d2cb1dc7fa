"""What submitters are told where there is no quorum, how soon, and what becomes of what they gave."""

import pytest

from consensus.messages import RequestVote, encode_message
from ledger.outcome import Outcome
from node.health import why_not_ready
from node.messages import RaftFrame
from node.results import Stage, SubmitResult
from tests.unit.node.anna import issue, open_anna, stages
from tests.unit.node.harness import ELECTION_TICKS, Network
from tests.unit.node.test_membership import Cluster


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
    # Who comes later isn't told that it is pending: who doesn't wait would hear nothing else.
    assert (stages(early), stages(late)) == ([Stage.PENDING, Stage.REFUSED], [Stage.REFUSED])
    for results in (early, late):
        assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)
    assert confirmed == [False]
    assert not leader.driver.status().has_quorum
    assert leader.driver.status().pending == 2


@pytest.mark.parametrize("later", range(ELECTION_TICKS))
def test_submitters_are_told_within_the_longest_election_timeout(later: int) -> None:
    """Whenever links break, of leaders and followers, whenever each looked last."""
    network = Network(3)
    network.elect()
    network.tick(later)
    network.cut = {(one, other) for one in network.nodes for other in network.nodes}
    waiting = [node.submit(open_anna(node)) for node in network.nodes.values()]
    assert [stages(results) for results in waiting] == [[Stage.PENDING]] * 3
    network.tick(2 * ELECTION_TICKS)
    for results in waiting:
        assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)


@pytest.mark.parametrize("later", range(ELECTION_TICKS))
def test_who_still_hears_a_leader_without_a_majority_is_told_after_it(later: int) -> None:
    """The leader notices first; its follower when it has been silent, too."""
    network = Network(5)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    network.tick(later)
    lost = network.nodes.keys() - {leader.id, follower.id}
    network.cut = {(one, other) for one in network.nodes for other in network.nodes if lost & {one, other}}
    first, second = leader.submit(open_anna(leader)), follower.submit(open_anna(follower, 101))
    network.tick(2 * ELECTION_TICKS)
    assert first[-1].outcome is Outcome.NO_QUORUM
    network.tick(2 * ELECTION_TICKS)
    assert second[-1].outcome is Outcome.NO_QUORUM


def test_a_learner_is_told_too_and_takes_heart_again() -> None:
    """It never stands for election, so its core names the last leader for ever."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    cluster.change(add=cluster.register(3), voting=False)
    learner = cluster.nodes["n3"]
    cluster.cut = {(one, other) for one in cluster.nodes for other in cluster.nodes}
    results = learner.submit(open_anna(learner))
    cluster.tick(2 * ELECTION_TICKS)
    assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)
    assert why_not_ready(learner.driver) is not None
    cluster.cut = set()
    cluster.elect()
    cluster.tick(2)
    assert why_not_ready(learner.driver) is None


@pytest.mark.parametrize("slow", [(0, 1), (1,)])
def test_an_election_that_is_being_won_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, slow: tuple[int, ...]
) -> None:
    """Who stands first drew nearly the longest time, and its disk or the voter's is slow: it was let."""
    network = Network(3)
    for node, drawn in zip(network.nodes.values(), (0, ELECTION_TICKS - 2, ELECTION_TICKS - 1), strict=True):
        monkeypatch.setattr(node.ports, "randrange", lambda stop, drawn=drawn: drawn)
    leader = network.elect()
    survivors = [node for node in network.nodes.values() if node is not leader]
    network.cut = {pair for node in survivors for pair in ((leader.id, node.id), (node.id, leader.id))}
    waiting = [node.submit(open_anna(node, 101 + number)) for number, node in enumerate(survivors)]
    for place in slow:
        survivors[place].ports.disk.paused = True
    while survivors[0].driver.status().role != "candidate":
        network.tick()
    network.tick(ELECTION_TICKS // 2 - 1)
    assert [stages(results) for results in waiting] == [[Stage.PENDING]] * 2
    for place in slow:
        survivors[place].ports.disk.paused = False
    network.settle()
    network.tick(2)
    assert [results[-1].outcome for results in waiting] == [Outcome.EXECUTED] * 2


def test_a_leader_whose_term_is_over_waits_for_the_next() -> None:
    """Another stands for election, with a majority behind it for all that is known: nobody is told yet."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    network.cut = {(one, other) for one in network.nodes for other in network.nodes}
    results = leader.submit(open_anna(leader))
    status = leader.driver.status()
    asked = RequestVote(follower.id, leader.id, status.term + 1, status.last_height, status.term, False, True)
    leader.driver.on_message(follower.id, RaftFrame(encode_message(asked)))
    for _ in range(ELECTION_TICKS // 2):
        assert (leader.driver.status().leader_id, stages(results)) == (None, [Stage.PENDING])
        network.tick()
    assert results[-1].outcome is Outcome.NO_QUORUM


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
    assert stages(results) == [Stage.REFUSED]
    assert (results[-1].outcome, results[-1].held) == (Outcome.NO_QUORUM, True)


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
