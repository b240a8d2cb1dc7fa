"""One core whose membership changes: what it refuses, when it acts on what, and when it stops leading."""

import pytest

from consensus.errors import IllegalMembership, MembershipUncommitted, NotLeader, TermUncommitted
from consensus.log import MemoryStorage
from consensus.membership import encode_membership
from consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    RequestVoteReply,
    SnapshotMeta,
)
from consensus.raft import Role
from tests.unit.consensus.caller import VOTERS, Caller, leader

LEARNER = Membership(("a", "b", "c"), learners=("d",))
JOINT = Membership(("b", "c", "d"), outgoing=("a", "b", "c"))
LEFT = Membership(("b", "c", "d"), learners=("a",))


def _change(caller: Caller, membership: Membership) -> int:
    return caller.raft.propose(encode_membership(membership), EntryType.MEMBERSHIP)


def _acknowledge(caller: Caller, *nodes: str) -> list[object]:
    """These nodes hold all of a's log; what a sends then."""
    sent: list[object] = list(caller.work())
    for node in nodes:
        caller.raft.step(AppendEntriesReply(node, "a", caller.raft.term, True, caller.raft.last_index, 0, 0))
        sent += caller.work()
    return sent


def _entry(index: int, term: int, membership: Membership) -> Entry:
    return Entry(index, term, EntryType.MEMBERSHIP, encode_membership(membership))


def test_a_follower_does_not_change_the_membership() -> None:
    """It says who leads."""
    with pytest.raises(NotLeader):
        _change(Caller(), LEARNER)


def test_nothing_changes_before_the_term_has_committed() -> None:
    """The leader has opened its term, but nobody else holds that yet; once a quorum does, it may."""
    caller = Caller()
    caller.raft.campaign()
    for pre_vote in (True, False):
        caller.work()
        caller.raft.step(RequestVoteReply("b", "a", 1, True, pre_vote))
    caller.raft.propose(b"open", EntryType.OPENING)
    caller.work()
    with pytest.raises(TermUncommitted, match="no entry of term 1 is committed"):
        _change(caller, LEARNER)
    _acknowledge(caller, "b")
    assert _change(caller, LEARNER) == 2


def test_one_change_at_a_time() -> None:
    """The next one waits until this one is committed."""
    caller = leader()
    index = _change(caller, LEARNER)
    with pytest.raises(MembershipUncommitted, match=f"at {index} isn't committed"):
        _change(caller, JOINT)
    _acknowledge(caller, "b")
    assert _change(caller, JOINT) == index + 1


def test_an_illegal_step_appends_nothing() -> None:
    """The log stays as it is, and so does the membership."""
    caller = leader()
    last = caller.raft.last_index
    with pytest.raises(IllegalMembership, match="d must be a learner first"):
        _change(caller, Membership(("a", "b", "c", "d"), outgoing=("a", "b", "c")))
    assert (caller.raft.last_index, caller.raft.membership) == (last, VOTERS)


def test_a_leader_acts_on_a_membership_as_soon_as_it_is_in_its_log() -> None:
    """It sends to the new learner at once, and a joint membership's entry needs both of its majorities."""
    caller = leader()
    _change(caller, LEARNER)
    assert "d" in {message.to for message in caller.work()}
    assert caller.raft.status().membership_index == 2
    _acknowledge(caller, "b")
    index = _change(caller, JOINT)
    _acknowledge(caller, "d")
    assert caller.raft.commit < index
    _acknowledge(caller, "b")
    assert caller.raft.commit == index


def test_a_retired_learner_is_sent_nothing_more() -> None:
    """Its progress is forgotten with it, and what it still says is ignored."""
    caller = leader(membership=LEARNER)
    _change(caller, VOTERS)
    assert "d" not in {message.to for message in caller.work()}
    assert "d" not in {peer.id for peer in caller.raft.status().peers}
    _acknowledge(caller, "d")
    assert caller.raft.commit == 1


def test_the_end_of_a_joint_membership_is_asked_for_once_it_is_committed() -> None:
    """Not while its entry isn't; then again each election timeout, until it is left."""
    caller = leader(membership=LEARNER)
    _change(caller, JOINT)
    caller.work()
    assert not any(ready.must_leave_joint for ready in caller.readys)
    _acknowledge(caller, "b", "d")
    assert caller.readys[-1].must_leave_joint
    caller.readys.clear()
    for _ in range(10):
        caller.raft.step(AppendEntriesReply("b", "a", 1, True, caller.raft.last_index, 0, 0))
        caller.raft.step(AppendEntriesReply("d", "a", 1, True, caller.raft.last_index, 0, 0))
        caller.raft.tick()
        caller.work()
    assert any(ready.must_leave_joint for ready in caller.readys)
    _change(caller, LEFT)
    caller.readys.clear()
    caller.work()
    assert not any(ready.must_leave_joint for ready in caller.readys)


def test_a_leader_that_is_left_out_leads_until_that_is_committed() -> None:
    """It doesn't count itself meanwhile; then it tells the others, steps down, and never campaigns again."""
    caller = leader(membership=LEARNER)
    _change(caller, JOINT)
    _acknowledge(caller, "b", "d")
    index = _change(caller, LEFT)
    _acknowledge(caller, "b")
    assert (caller.raft.role, caller.raft.commit) == (Role.LEADER, index - 1)
    sent = _acknowledge(caller, "c")
    assert (caller.raft.role, caller.raft.commit) == (Role.FOLLOWER, index)
    assert index in {message.commit for message in sent if isinstance(message, AppendEntries)}
    for _ in range(100):
        caller.raft.tick()
    caller.raft.campaign()
    assert caller.raft.role is Role.FOLLOWER


def test_a_follower_acts_on_what_it_was_sent_until_it_is_cut_off() -> None:
    """Another leader's entry replaces the change: what was in force before it is again."""
    caller = Caller(membership=LEARNER)
    caller.raft.step(AppendEntries("b", "a", 1, 0, 0, (_entry(1, 1, JOINT),), 0))
    assert caller.raft.membership == JOINT
    caller.raft.step(AppendEntries("c", "a", 2, 0, 0, (Entry(1, 2, EntryType.OPENING, b"open"),), 0))
    assert caller.raft.membership == LEARNER
    assert caller.raft.status().membership_index == 0


def test_a_restart_finds_the_membership_in_the_log() -> None:
    """Also one that isn't known to be committed."""
    disk = MemoryStorage(LEARNER)
    disk.append((_entry(1, 1, JOINT),))
    caller = Caller(disk=disk)
    assert (caller.raft.membership, caller.raft.status().membership_index) == (JOINT, 1)
    disk.compact(1)
    assert [known.membership for known in disk.memberships()] == [JOINT]


def test_a_snapshot_forgets_a_membership_that_was_never_committed() -> None:
    """A log that conflicts is thrown away with all it says; only the snapshot's membership counts."""
    caller = Caller(membership=LEARNER)
    caller.raft.step(AppendEntries("b", "a", 1, 0, 0, (_entry(1, 1, JOINT),), 0))
    caller.raft.step(InstallSnapshot("c", "a", 3, SnapshotMeta(9, 2, LEARNER)))
    assert (caller.raft.membership, caller.raft.status().membership_index) == (LEARNER, 9)


def test_an_offered_snapshot_has_the_membership_of_its_place() -> None:
    """Not the newest of the leader's log, which may never be committed."""
    caller = leader(membership=LEARNER)
    caller.disk.compact(1)
    _change(caller, JOINT)
    caller.raft.step(HeartbeatReply("d", "a", 1, 0))
    offers = [message for message in caller.work() if isinstance(message, InstallSnapshot)]
    assert [offer.meta for offer in offers] == [SnapshotMeta(1, 1, LEARNER)]
