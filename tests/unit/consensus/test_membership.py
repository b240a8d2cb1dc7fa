"""Who votes, who counts, who only follows, and snapshots, on one core driven by hand."""

from dataclasses import replace

import pytest

from consensus.log import MemoryStorage
from consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    RequestVote,
    RequestVoteReply,
    SnapshotMeta,
    TimeoutNow,
)
from consensus.raft import Role
from tests.unit.consensus.caller import CONFIG, VOTERS, Caller, leader


def test_a_node_that_is_no_voter_never_campaigns() -> None:
    """Neither by its timeout, nor on request, nor for a transfer."""
    for membership in (Membership(("b", "c")), Membership(("b", "c"), learners=("a",))):
        caller = Caller(membership=membership)
        for _ in range(100):
            caller.raft.tick()
        caller.raft.campaign()
        caller.raft.step(Heartbeat("b", "a", 1, 0, 0))
        caller.raft.step(TimeoutNow("b", "a", 1))
        caller.work()
        assert caller.raft.role is Role.FOLLOWER
        assert caller.raft.term == 1


def test_learners_get_the_log_but_are_not_asked_for_votes() -> None:
    """And what they acknowledge commits nothing."""
    caller = Caller(membership=Membership(("a", "b", "c"), learners=("d",)))
    caller.raft.campaign()
    assert {message.to for message in caller.work()} == {"b", "c"}
    caller = leader(membership=Membership(("a", "b", "c"), learners=("d",)))
    caller.raft.step(AppendEntriesReply("d", "a", 1, True, 1, 0, 0))
    index = caller.raft.propose(b"x")
    assert "d" in {message.to for message in caller.work() if isinstance(message, AppendEntries)}
    caller.raft.step(AppendEntriesReply("d", "a", 1, True, index, 0, 0))
    assert caller.raft.commit == index - 1
    assert [peer.id for peer in caller.raft.status().peers if peer.learner] == ["d"]


def test_a_joint_membership_elects_and_commits_with_both_sets() -> None:
    """A quorum of the incoming set alone isn't enough; and the caller is told to leave the joint state."""
    caller = Caller(membership=Membership(("a", "b"), outgoing=("c", "d", "e")))
    caller.raft.campaign()
    for pre_vote, role in ((True, Role.PRE_CANDIDATE), (False, Role.CANDIDATE)):
        for node in ("b", "c"):
            caller.raft.step(RequestVoteReply(node, "a", 1, True, pre_vote))
            caller.work()
            assert caller.raft.role is role
        caller.raft.step(RequestVoteReply("d", "a", 1, True, pre_vote))
        caller.work()
    assert caller.raft.role.value == "leader"
    caller.raft.propose(b"open", EntryType.OPENING)
    caller.acknowledge()
    assert caller.raft.commit == 0
    for node, commit in (("c", 0), ("d", 1)):
        assert not any(ready.must_leave_joint for ready in caller.readys)
        caller.raft.step(AppendEntriesReply(node, "a", 1, True, 1, 0, 0))
        caller.work()
        assert caller.raft.commit == commit
    assert caller.readys[-1].must_leave_joint


def test_an_answer_is_not_taken_back() -> None:
    """A voter's first answer in an election counts; a contradicting one changes nothing."""
    caller = Caller(membership=Membership(("a", "b", "c", "d", "e")))
    caller.raft.campaign()
    caller.work()
    for granted in (False, True, True):
        caller.raft.step(RequestVoteReply("b", "a", 1 if granted else 0, granted, True))
    caller.raft.step(RequestVoteReply("c", "a", 1, True, True))
    assert caller.raft.role is Role.PRE_CANDIDATE


def test_a_grant_for_another_term_does_not_count() -> None:
    """An old pre-vote grant isn't one for this election."""
    disk = MemoryStorage(VOTERS)
    disk.set_hard_state(HardState(5, None))
    caller = Caller(disk=disk)
    caller.raft.campaign()
    caller.raft.step(RequestVoteReply("b", "a", 7, True, True))
    assert caller.raft.role is Role.PRE_CANDIDATE


def test_granting_a_vote_puts_off_the_own_candidacy() -> None:
    """The voter gives the candidate a full election timeout."""
    caller = Caller()
    caller.raft.step(HeartbeatReply("c", "a", 1, 0))
    for _ in range(9):
        caller.raft.tick()
    caller.raft.step(RequestVote("b", "a", 1, 0, 0, False, False))
    roles = []
    for _ in range(10):
        caller.raft.tick()
        roles.append(caller.raft.role)
    assert roles == [*[Role.FOLLOWER] * 9, Role.PRE_CANDIDATE]


def test_reports_of_snapshots_move_only_peers_that_need_one() -> None:
    """Anything else is ignored."""
    caller = leader()
    before = caller.raft.status().peers
    caller.raft.report_snapshot("b", True)
    caller.raft.report_snapshot("nobody", True)
    assert caller.raft.status().peers == before


def test_a_single_voter_is_reminded_to_open_its_term() -> None:
    """Without peers no heartbeat makes a Ready; the reminder comes by itself, once each election timeout."""
    caller = Caller(membership=Membership(("a",)))
    caller.raft.campaign()
    caller.work()
    assert [ready.must_open for ready in caller.readys].count(1) == 1
    caller.readys.clear()
    for _ in range(20):
        caller.raft.tick()
        caller.work()
    assert [ready.must_open for ready in caller.readys] == [1, 1]


def _offer(caller: Caller, index: int, term: int) -> list[AppendEntriesReply]:
    """Leader b of term 9 offers a snapshot; the acknowledgements that this brings."""
    caller.raft.step(InstallSnapshot("b", "a", 9, SnapshotMeta(index, term, Membership(("a", "b", "d")))))
    return [message for message in caller.work() if isinstance(message, AppendEntriesReply)]


@pytest.mark.parametrize("index", [3, 4])
def test_a_snapshot_at_or_behind_the_commit_index_is_only_acknowledged(index: int) -> None:
    """Also where the log before it is compacted; the leader learns how far this node is."""
    caller = Caller(replace(CONFIG, applied=4), disk=MemoryStorage(VOTERS, 4, 3))
    assert [(reply.success, reply.index) for reply in _offer(caller, index, 3)] == [(True, 4)]
    assert all(ready.snapshot is None for ready in caller.readys)
    assert caller.raft.membership == VOTERS


def test_a_snapshot_whose_place_the_log_holds_commits_up_to_there() -> None:
    """Nothing is thrown away that matches."""
    disk = MemoryStorage(VOTERS)
    disk.append(tuple(Entry(index, 1, EntryType.NORMAL, b"x") for index in (1, 2, 3)))
    caller = Caller(disk=disk)
    assert [reply.index for reply in _offer(caller, 2, 1)] == [2]
    assert (caller.raft.commit, caller.raft.last_index) == (2, 3)
    assert all(ready.snapshot is None for ready in caller.readys)


@pytest.mark.parametrize(("index", "term"), [(2, 8), (7, 8)])
def test_a_snapshot_that_the_log_does_not_hold_replaces_it(index: int, term: int) -> None:
    """It is handed out once to be persisted, brings its membership, and is acknowledged only when it's
    durable.
    """
    disk = MemoryStorage(VOTERS)
    disk.append(tuple(Entry(index, 1, EntryType.NORMAL, b"x") for index in (1, 2, 3)))
    caller = Caller(disk=disk)
    caller.raft.step(InstallSnapshot("b", "a", 9, SnapshotMeta(index, term, Membership(("a", "b", "d")))))
    ready = caller.raft.ready()
    assert ready is not None
    assert ready.snapshot == SnapshotMeta(index, term, Membership(("a", "b", "d")))
    assert ready.messages == ()
    assert [type(message) for message in ready.durable_messages] == [AppendEntriesReply]
    assert (caller.raft.commit, caller.raft.last_index, caller.raft.status().first_index) == (
        index,
        index,
        index + 1,
    )
    assert caller.raft.membership.voters == ("a", "b", "d")
    caller.raft.step(
        AppendEntries("b", "a", 9, index, term, (Entry(index + 1, 9, EntryType.NORMAL, b"y"),), 0)
    )
    following = caller.raft.ready()
    assert following is not None
    assert following.snapshot is None
    assert len(following.entries) == 1
