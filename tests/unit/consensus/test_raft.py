"""One core driven by hand: proposals and their limits, Ready and advance, reads, leases, memberships.

What needs several nodes is a scenario (tests/simulation/scenarios) or a simulated seed.
"""

from dataclasses import replace

import pytest
from msgspec import structs

from consensus.errors import (
    CannotPropose,
    ConsensusError,
    InvariantBroken,
    MalformedMessage,
    NoLeader,
    ProposalTooLarge,
    TooManyReads,
    UncommittedFull,
)
from consensus.log import MemoryStorage
from consensus.messages import (
    MAX_CONTEXT_BYTES,
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    Message,
    ReadIndexRequest,
    ReadState,
    RequestVote,
    RequestVoteReply,
    SnapshotMeta,
    TimeoutNow,
)
from consensus.raft import Config, Raft, Ready, Role
from consensus.read_rounds import MAX_WAITING_READS
from consensus.storage import ENTRY_OVERHEAD_BYTES

VOTERS = Membership(("a", "b", "c"))


class NoJitter:
    """Election timeouts at their shortest."""

    def randrange(self, stop: int, /) -> int:
        """Always 0."""
        return 0


CONFIG = Config(id="a", applied=0, random=NoJitter())


class Caller:
    """A core with a disk that syncs at once, and all that it gave out."""

    def __init__(
        self, config: Config = CONFIG, membership: Membership = VOTERS, disk: MemoryStorage | None = None
    ) -> None:
        """A follower with a disk, empty unless one is given."""
        self.disk = disk or MemoryStorage(membership)
        self.raft = Raft(config, self.disk)
        self.readys: list[Ready] = []

    def work(self) -> list[Message]:
        """Do what there is to do; what was sent."""
        sent: list[Message] = []
        while (ready := self.raft.ready()) is not None:
            self.readys.append(ready)
            if ready.hard_state is not None:
                self.disk.set_hard_state(ready.hard_state)
            self.disk.append(ready.entries)
            self.raft.advance(ready.number)
            sent += [*ready.messages, *ready.durable_messages]
        return sent

    def lead(self) -> None:
        """Win an election with b's votes, and open the term; b acknowledges that."""
        for _ in range(10):
            self.raft.tick()
        self.work()
        term = self.raft.term + 1
        self.raft.step(RequestVoteReply("b", "a", term, True, True))
        self.work()
        self.raft.step(RequestVoteReply("b", "a", term, True, False))
        self.raft.propose(b"open", EntryType.OPENING)
        self.acknowledge()

    def acknowledge(self) -> None:
        """b holds all of a's log."""
        self.work()
        self.raft.step(AppendEntriesReply("b", "a", self.raft.term, True, self.raft.last_index, 0, 0))
        self.work()

    def read_states(self) -> list[ReadState]:
        """All reads that were answered."""
        return [state for ready in self.readys for state in ready.read_states]


def _leader(config: Config = CONFIG, membership: Membership = VOTERS) -> Caller:
    caller = Caller(config, membership)
    caller.lead()
    return caller


def test_nothing_to_do_is_no_ready() -> None:
    """A new follower has no work, and says so in both ways."""
    raft = Raft(CONFIG, MemoryStorage(VOTERS))
    assert not raft.has_ready()
    assert raft.ready() is None


def test_has_ready_tells_whether_ready_gives_one() -> None:
    """Through an election, a proposal and a heartbeat the two never disagree."""
    caller = _leader()
    caller.raft.propose(b"x")
    for _ in range(30):
        caller.raft.tick()
        assert caller.raft.has_ready() == (caller.raft.ready() is not None)
        assert not caller.raft.has_ready()


def test_propose_says_the_index_and_next_index_foretells_it() -> None:
    """The caller builds its block for the place it will get."""
    caller = _leader()
    expected = caller.raft.next_index
    assert caller.raft.propose(b"x") == expected == caller.raft.last_index
    assert caller.raft.next_index == expected + 1


def test_commit_is_pushed_to_followers_without_a_tick() -> None:
    """When the commit index moves, an append leaves at once that carries it, even without entries."""
    caller = _leader()
    index = caller.raft.propose(b"x")
    caller.work()
    caller.raft.step(AppendEntriesReply("b", "a", 1, True, index, 0, 0))
    appends = [m for m in caller.work() if isinstance(m, AppendEntries) and m.to == "b"]
    assert [(m.commit, m.entries) for m in appends] == [(index, ())]


def test_uncommitted_bytes_are_bounded() -> None:
    """Exactly the limit is taken, one byte more is refused, and commitment makes room again."""
    size = ENTRY_OVERHEAD_BYTES + 100
    caller = _leader(replace(CONFIG, max_uncommitted_bytes=2 * size))
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
    caller = _leader(replace(CONFIG, max_uncommitted_bytes=200))
    with pytest.raises(ProposalTooLarge) as refusal:
        caller.raft.propose(b"x" * (201 - ENTRY_OVERHEAD_BYTES))
    assert (refusal.value.size_bytes, refusal.value.limit_bytes) == (201, 200)
    caller.raft.propose(b"x" * (200 - ENTRY_OVERHEAD_BYTES))


def test_proposed_data_is_kept_as_it_was() -> None:
    """A buffer that the caller changes afterwards doesn't change the entry."""
    caller = _leader()
    buffer = bytearray(b"before")
    caller.raft.propose(buffer)  # type: ignore[arg-type]  # a caller without a type checker
    buffer[:] = b"after!"
    ready = caller.raft.ready()
    assert ready is not None
    assert [entry.data for entry in ready.entries] == [b"before"]


def test_a_membership_entry_is_not_proposed_like_others() -> None:
    """It has rules of its own."""
    with pytest.raises(CannotPropose):
        _leader().raft.propose(b"x", EntryType.MEMBERSHIP)


def test_readys_are_advanced_in_order() -> None:
    """Two may be in flight; the second can't be advanced first, nor one twice."""
    raft = _leader().raft
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
    raft = _leader().raft
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
    caller = _leader()
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
    caller = _leader()
    caller.raft.propose(b"x")
    caller.work()
    caller.raft.step(AppendEntriesReply("z", "a", 1, True, 2, 0, 0))
    caller.raft.step(HeartbeatReply("z", "a", 1, 0))
    assert caller.raft.commit == 1


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
    caller = _leader(membership=Membership(("a", "b", "c"), learners=("d",)))
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
    for _ in range(9):
        caller.raft.tick()
    caller.raft.step(RequestVote("b", "a", 1, 0, 0, False, False))
    roles = []
    for _ in range(10):
        caller.raft.tick()
        roles.append(caller.raft.role)
    assert roles == [*[Role.FOLLOWER] * 9, Role.PRE_CANDIDATE]


def test_unreachable_peers_are_asked_again() -> None:
    """After a report of lost messages the leader probes from the match on, at once."""
    caller = _leader()
    caller.raft.propose(b"x")
    caller.work()
    caller.raft.report_unreachable("b")
    caller.raft.report_unreachable("nobody")
    again = [m for m in caller.work() if isinstance(m, AppendEntries) and m.to == "b"]
    assert [(m.prev_log_index, len(m.entries)) for m in again] == [(1, 1)]


def test_reports_of_snapshots_move_only_peers_that_need_one() -> None:
    """Anything else is ignored."""
    caller = _leader()
    before = caller.raft.status().peers
    caller.raft.report_snapshot("b", True)
    caller.raft.report_snapshot("nobody", True)
    assert caller.raft.status().peers == before


def test_reads_are_batched_in_one_round() -> None:
    """Many reads cost one heartbeat to each peer, and one answer confirms them all."""
    caller = _leader()
    for number in range(50):
        caller.raft.read_index(b"%d" % number)
    beats = [message for message in caller.work() if isinstance(message, Heartbeat)]
    assert sorted(beat.to for beat in beats) == ["b", "c"]
    caller.raft.step(HeartbeatReply("b", "a", 1, beats[0].read_round))
    caller.work()
    assert caller.read_states() == [ReadState(1, b"%d" % number) for number in range(50)]


def test_reads_are_bounded_by_number_and_context() -> None:
    """One over either limit is refused at once; a follower's over the limit is dropped, to be asked again."""
    caller = _leader()
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
    caller = _leader(LEASES)
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


def test_status_is_a_value() -> None:
    """It doesn't follow the core."""
    caller = _leader()
    before = caller.raft.status()
    caller.raft.propose(b"x")
    caller.acknowledge()
    assert (before.commit, caller.raft.status().commit) == (1, 2)
    assert before.peers[0].match == 1


def test_restarts_from_its_disk_and_delivers_again_what_was_not_applied() -> None:
    """Term, vote and log come back; what lies above the applied index is delivered once it is committed
    again.
    """
    caller = _leader()
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
