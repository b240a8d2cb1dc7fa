"""Reads and leases of one core driven by hand. What needs several nodes is a scenario."""

from dataclasses import replace

import pytest
from msgspec import structs

from consensus.errors import (
    MalformedMessage,
    NoLeader,
    TooManyReads,
)
from consensus.messages import (
    MAX_CONTEXT_BYTES,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    ReadIndexRequest,
    ReadState,
    RequestVote,
)
from consensus.raft import Role
from consensus.read_rounds import MAX_WAITING_READS
from tests.unit.consensus.caller import CONFIG, Caller, leader


def test_reads_are_batched_in_one_round() -> None:
    """Many reads cost one heartbeat to each peer, and one answer confirms them all."""
    caller = leader()
    for number in range(50):
        caller.raft.read_index(b"%d" % number)
    beats = [message for message in caller.work() if isinstance(message, Heartbeat)]
    assert sorted(beat.to for beat in beats) == ["b", "c"]
    caller.raft.step(HeartbeatReply("b", "a", 1, beats[0].read_round))
    caller.work()
    assert caller.read_states() == [ReadState(1, b"%d" % number) for number in range(50)]


def test_reads_are_bounded_by_number_and_context() -> None:
    """One over either limit is refused at once; a follower's over the limit is dropped, to be asked again."""
    caller = leader()
    with pytest.raises(MalformedMessage, match=f"{MAX_CONTEXT_BYTES + 1} bytes"):
        caller.raft.read_index(b"x" * (MAX_CONTEXT_BYTES + 1))
    caller.raft.read_index(b"x" * MAX_CONTEXT_BYTES)
    for number in range(MAX_WAITING_READS - 1):
        caller.raft.read_index(b"%d" % number)
    with pytest.raises(TooManyReads):
        caller.raft.read_index(b"one more")
    caller.raft.step(ReadIndexRequest("b", "a", 1, b"and one from b"))
    assert caller.raft.role is Role.LEADER


def test_without_a_leader_there_is_no_read() -> None:
    """The caller is told at once."""
    with pytest.raises(NoLeader):
        Caller().raft.read_index(b"x")


LEASES = replace(CONFIG, lease_reads=True)


def _leader_with_lease() -> Caller:
    caller = leader(LEASES)
    caller.raft.tick()
    beat = next(message for message in caller.work() if isinstance(message, Heartbeat))
    caller.raft.step(HeartbeatReply("b", "a", 1, beat.read_round))
    return caller


@pytest.mark.parametrize(("ticks", "answered"), [(0, True), (4, True), (5, False)])
def test_a_lease_answers_reads_without_a_round_while_it_lasts(ticks: int, answered: bool) -> None:
    """It lasts half an election timeout from the start of the confirmed round, not longer."""
    caller = _leader_with_lease()
    for _ in range(ticks):
        caller.raft.tick()
    caller.work()
    caller.raft.read_index(b"x")
    caller.work()
    assert caller.read_states() == ([ReadState(1, b"x")] if answered else [])


def test_no_lease_is_used_after_a_successor_was_told_to_campaign() -> None:
    """It may win past all leases, also after the transfer has timed out here."""
    caller = _leader_with_lease()
    caller.raft.transfer_leadership("b")
    caller.raft.read_index(b"x")
    caller.work()
    assert caller.read_states() == []


def test_a_node_that_may_have_granted_a_lease_votes_for_nobody() -> None:
    """For an election timeout after its start or after it heard a leader, whatever the candidate's term."""
    caller = Caller(LEASES)
    ask = RequestVote("c", "a", 4, 9, 3, False, False)
    caller.raft.step(ask)
    assert caller.raft.term == 0
    for _ in range(9):
        caller.raft.tick()
    caller.raft.step(Heartbeat("b", "a", 3, 0, 0))
    caller.raft.step(AppendEntriesReply("c", "a", 4, False, 0, 0, 0))
    caller.raft.step(ask)
    caller.raft.campaign()
    assert (caller.raft.term, caller.raft.status().vote, caller.raft.role) == (4, None, Role.FOLLOWER)
    for _ in range(9):
        caller.raft.tick()
    caller.raft.step(ask)
    assert caller.raft.status().vote is None
    caller.raft.step(structs.replace(ask, transfer=True))
    assert caller.raft.status().vote == "c"


def test_stepping_down_drops_waiting_reads_and_leases() -> None:
    """A read belongs to one leadership: a later one of the same node neither answers it nor has its lease."""
    caller = _leader_with_lease()
    caller.raft.transfer_leadership("b")
    caller.raft.read_index(b"x")
    caller.work()
    caller.raft.step(Heartbeat("b", "a", 2, 1, 0))
    caller.work()
    caller.lead()
    beats = []
    for _ in range(2):
        caller.raft.tick()
        beats += [message for message in caller.work() if isinstance(message, Heartbeat)]
    caller.raft.step(HeartbeatReply("b", "a", caller.raft.term, beats[-1].read_round))
    caller.work()
    assert caller.read_states() == []
    assert caller.raft.role is Role.LEADER
