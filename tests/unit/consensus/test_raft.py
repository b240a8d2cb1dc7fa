"""One core driven by hand: proposals and their limits, Ready and advance, what is told to the caller.

What needs several nodes is a scenario (tests/simulation/scenarios) or a simulated seed.
"""

from dataclasses import replace

import pytest

from consensus.errors import (
    ConsensusError,
    InvariantBroken,
    MalformedMessage,
    ProposalTooLarge,
    UncommittedFull,
)
from consensus.log import MemoryStorage
from consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    Heartbeat,
    HeartbeatReply,
    RequestVoteReply,
)
from consensus.raft import Raft, Role
from consensus.storage import ENTRY_OVERHEAD_BYTES
from tests.unit.consensus.caller import CONFIG, VOTERS, Caller, leader


def test_nothing_to_do_is_no_ready() -> None:
    """A new follower has no work, and says so in both ways."""
    raft = Raft(CONFIG, MemoryStorage(VOTERS))
    assert not raft.has_ready()
    assert raft.ready() is None


def test_has_ready_tells_whether_ready_gives_one() -> None:
    """Through an election, a proposal and a heartbeat the two never disagree."""
    caller = leader()
    caller.raft.propose(b"x")
    for _ in range(30):
        caller.raft.tick()
        assert caller.raft.has_ready() == (caller.raft.ready() is not None)
        assert not caller.raft.has_ready()


def test_propose_says_the_index_and_next_index_foretells_it() -> None:
    """The caller builds its block for the place it will get."""
    caller = leader()
    expected = caller.raft.next_index
    assert caller.raft.propose(b"x") == expected == caller.raft.last_index
    assert caller.raft.next_index == expected + 1


def test_commit_is_pushed_to_followers_without_a_tick() -> None:
    """When the commit index moves, an append leaves at once that carries it, even without entries."""
    caller = leader()
    index = caller.raft.propose(b"x")
    caller.work()
    caller.raft.step(AppendEntriesReply("b", "a", 1, True, index, 0, 0))
    appends = [m for m in caller.work() if isinstance(m, AppendEntries) and m.to == "b"]
    assert [(m.commit, m.entries) for m in appends] == [(index, ())]


def test_uncommitted_bytes_are_bounded() -> None:
    """Exactly the limit is taken, one byte more is refused, and commitment makes room again."""
    size = ENTRY_OVERHEAD_BYTES + 100
    caller = leader(replace(CONFIG, max_uncommitted_bytes=2 * size))
    caller.raft.propose(b"x" * 100)
    with pytest.raises(UncommittedFull) as refusal:
        caller.raft.propose(b"x" * 101)
    assert refusal.value.limit_bytes == 2 * size
    caller.raft.propose(b"x" * 100)
    assert caller.raft.status().uncommitted_bytes == 2 * size
    caller.acknowledge()
    assert caller.raft.status().uncommitted_bytes == 0
    caller.raft.propose(b"x" * 101)


def test_a_proposal_that_could_never_fit_is_refused_as_too_large() -> None:
    """At the limit by itself it's taken, over it not, whatever commits."""
    caller = leader(replace(CONFIG, max_uncommitted_bytes=200))
    with pytest.raises(ProposalTooLarge) as refusal:
        caller.raft.propose(b"x" * (201 - ENTRY_OVERHEAD_BYTES))
    assert (refusal.value.size_bytes, refusal.value.limit_bytes) == (201, 200)
    caller.raft.propose(b"x" * (200 - ENTRY_OVERHEAD_BYTES))


def test_proposed_data_is_kept_as_it_was() -> None:
    """A buffer that the caller changes afterwards doesn't change the entry."""
    caller = leader()
    buffer = bytearray(b"before")
    caller.raft.propose(buffer)  # type: ignore[arg-type]  # a caller without a type checker
    buffer[:] = b"after!"
    ready = caller.raft.ready()
    assert ready is not None
    assert [entry.data for entry in ready.entries] == [b"before"]


def test_readys_are_advanced_in_order() -> None:
    """Two may be in flight; the second can't be advanced first, nor one twice."""
    raft = leader().raft
    raft.propose(b"x")
    first = raft.ready()
    raft.propose(b"y")
    second = raft.ready()
    assert first is not None
    assert second is not None
    with pytest.raises(InvariantBroken, match=f"Ready {second.number} was advanced"):
        raft.advance(second.number)
    raft.advance(first.number)
    raft.advance(second.number)
    with pytest.raises(InvariantBroken, match="oldest in flight is none"):
        raft.advance(second.number)


def test_entries_are_handed_out_once_while_in_flight() -> None:
    """The second Ready has only what is new."""
    raft = leader().raft
    raft.propose(b"x")
    first = raft.ready()
    raft.propose(b"y")
    second = raft.ready()
    assert first is not None
    assert second is not None
    assert [entry.data for entry in first.entries] == [b"x"]
    assert [entry.data for entry in second.entries] == [b"y"]
    assert first.must_sync
    assert second.must_sync


def test_a_ready_does_not_change_after_it_was_given_out() -> None:
    """Later proposals, appends and truncations leave an older Ready's bytes as they were."""
    caller = Caller()
    caller.raft.step(AppendEntries("b", "a", 1, 0, 0, (Entry(1, 1, EntryType.NORMAL, b"x"),), 0))
    ready = caller.raft.ready()
    assert ready is not None
    before = repr(ready)
    caller.raft.step(AppendEntries("c", "a", 2, 0, 0, (Entry(1, 2, EntryType.NORMAL, b"y"),), 1))
    caller.raft.ready()
    caller.raft.advance(ready.number)
    assert repr(ready) == before


def test_soft_state_is_told_when_it_changes() -> None:
    """Becoming leader shows in exactly one Ready."""
    caller = leader()
    told = [ready.soft_state for ready in caller.readys if ready.soft_state is not None]
    assert [state.role for state in told].count(Role.LEADER) == 1
    assert told[-1].leader_id == "a"


def test_must_open_is_told_until_the_term_is_opened_and_repeated_each_election_timeout() -> None:
    """A caller that missed it, or couldn't act, is reminded."""
    caller = Caller()
    caller.raft.campaign()
    caller.work()
    caller.raft.step(RequestVoteReply("b", "a", 1, True, True))
    caller.work()
    caller.raft.step(RequestVoteReply("b", "a", 1, True, False))
    caller.work()
    assert any(ready.must_open == 1 for ready in caller.readys)
    assert not caller.raft.has_ready()
    caller.raft.step(HeartbeatReply("b", "a", 1, 0))
    caller.work()
    for _ in range(10):
        caller.readys.clear()
        caller.raft.tick()
        caller.work()
    assert any(ready.must_open == 1 for ready in caller.readys)
    caller.raft.propose(b"open", EntryType.OPENING)
    caller.readys.clear()
    caller.work()
    assert all(ready.must_open is None for ready in caller.readys)


def test_a_full_leader_can_still_open_its_term() -> None:
    """What it inherited isn't counted against the bound: without the opening entry nothing of it could
    commit.
    """
    disk = MemoryStorage(VOTERS)
    disk.append((Entry(1, 0, EntryType.NORMAL, b"x" * 100),))
    caller = Caller(replace(CONFIG, max_uncommitted_bytes=40), disk=disk)
    caller.lead()
    assert caller.raft.commit == 2
    caller.raft.propose(b"x")
    with pytest.raises(UncommittedFull):
        caller.raft.propose(b"y")


def test_messages_for_others_are_refused() -> None:
    """A wrong address is an error of the caller's links."""
    with pytest.raises(MalformedMessage, match="for z reached a"):
        Caller().raft.step(Heartbeat("b", "z", 1, 0, 0))


def test_replies_from_strangers_are_ignored() -> None:
    """A node that is no peer neither crashes the leader nor counts."""
    caller = leader()
    caller.raft.propose(b"x")
    caller.work()
    caller.raft.step(AppendEntriesReply("z", "a", 1, True, 2, 0, 0))
    caller.raft.step(HeartbeatReply("z", "a", 1, 0))
    assert caller.raft.commit == 1


def test_unreachable_peers_are_asked_again() -> None:
    """After a report of lost messages the leader probes from the match on, at once."""
    caller = leader()
    caller.raft.propose(b"x")
    caller.work()
    caller.raft.report_unreachable("b")
    caller.raft.report_unreachable("nobody")
    again = [m for m in caller.work() if isinstance(m, AppendEntries) and m.to == "b"]
    assert [(m.prev_log_index, len(m.entries)) for m in again] == [(1, 1)]


def test_status_is_a_value() -> None:
    """It doesn't follow the core."""
    caller = leader()
    before = caller.raft.status()
    caller.raft.propose(b"x")
    caller.acknowledge()
    assert (before.commit, caller.raft.status().commit) == (1, 2)
    assert before.peers[0].match == 1


def test_restarts_from_its_disk_and_delivers_again_what_was_not_applied() -> None:
    """Term, vote and log come back; what lies above the applied index is delivered once it is committed
    again.
    """
    caller = leader()
    caller.raft.propose(b"x")
    caller.acknowledge()
    again = Caller(replace(CONFIG, applied=1), disk=caller.disk)
    assert (again.raft.term, again.raft.status().vote, again.raft.commit, again.raft.last_index) == (
        1,
        "a",
        1,
        2,
    )
    again.raft.step(Heartbeat("b", "a", 2, 2, 0))
    again.work()
    assert [entry.data for ready in again.readys for entry in ready.committed] == [b"x"]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"heartbeat_ticks": 0}, "heartbeat_ticks"),
        ({"election_ticks": 1}, "election_ticks"),
        ({"heartbeat_ticks": 6}, "election_ticks"),
        ({"max_inflight": 0}, "max_inflight"),
        ({"max_inflight_bytes": 0}, "max_inflight_bytes"),
        ({"max_append_bytes": 0}, "max_append_bytes"),
        ({"max_uncommitted_bytes": 0}, "max_uncommitted_bytes"),
        ({"lease_reads": True, "check_quorum": False}, "lease_reads"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, int], reason: str) -> None:
    """With the setting's name; the smallest that work are taken."""
    with pytest.raises(ConsensusError, match=reason):
        replace(CONFIG, **setting)  # type: ignore[arg-type]  # settings by name
    assert replace(CONFIG, election_ticks=2, max_inflight=1, max_append_bytes=1).election_ticks == 2
