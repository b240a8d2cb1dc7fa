"""One Raft node as a pure, deterministic state machine: ticks, messages and proposals in, Ready batches out.

It must not know what entries mean, nor do anything itself: no clock, disk, network or randomness of its own
(thesis chapter 3; the manner of etcd-io/raft's RawNode). docs/consensus.md has the contract of Ready and
advance.
"""

from collections import deque

from consensus import election, proposals, reads, replication, transfer
from consensus.errors import InvariantBroken, MalformedMessage
from consensus.log import LogStorage
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
    Message,
    NodeId,
    ReadIndexReply,
    ReadIndexRequest,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from consensus.progress import PeerStatus
from consensus.ready import Ready, SoftState, Status
from consensus.state import Config, Outbox, Random, Role, State

__all__ = ["Config", "Raft", "Random", "Ready", "Role", "SoftState", "Status"]

FROM_LEADER = (AppendEntries, Heartbeat, InstallSnapshot)


class Raft:
    """A node of one cluster. Not thread-safe: one caller uses it, and does the work of its Readys."""

    def __init__(self, config: Config, storage: LogStorage) -> None:
        """Start as a follower from what `storage` holds, all of which must be synced."""
        self._state = State(config, storage)
        self._handed_hard_state = self._state.hard_state
        self._handed_soft_state = self._soft_state()
        self._in_flight: deque[tuple[int, HardState | None]] = deque()
        self._number = 0

    @property
    def id(self) -> NodeId:
        """This node."""
        return self._state.id

    @property
    def term(self) -> int:
        """The current term, perhaps not synced yet."""
        return self._state.term

    @property
    def role(self) -> Role:
        """The current role."""
        return self._state.role

    @property
    def leader_id(self) -> NodeId | None:
        """The leader of the current term, if known."""
        return self._state.leader_id

    @property
    def unheard_ticks(self) -> int:
        """For how many ticks this node has heard from no leader; its own leaderships don't count."""
        return self._state.ticks - self._state.heard_leader_tick

    @property
    def commit(self) -> int:
        """The highest index known to be committed, which may be ahead of what was delivered."""
        return self._state.log.commit

    @property
    def last_index(self) -> int:
        """The index of the last entry of the log, perhaps not synced yet."""
        return self._state.log.last_index

    @property
    def next_index(self) -> int:
        """The index that the next proposal gets."""
        return self._state.log.last_index + 1

    @property
    def membership(self) -> Membership:
        """The membership this node acts on: the newest in its log, committed or not."""
        return self._state.membership

    def tick(self) -> None:
        """One logical tick; see Config."""
        state = self._state
        state.ticks += 1
        if state.role is Role.LEADER:
            self._tick_leader()
        else:
            election.tick_follower(state)

    def step(self, message: Message) -> None:
        """Take a message from a peer; what is stale is ignored.

        Raises MalformedMessage if it is for another node, and InvariantBroken if it proves that Raft was
        violated.
        """
        if message.to != self.id:
            raise MalformedMessage(
                f"a message for {message.to} reached {self.id}; drop it and check the addresses"
            )
        if isinstance(message, RequestVote):
            election.handle_vote_request(self._state, message)
        elif message.term < self.term:
            self._answer_stale(message)
        else:
            if message.term > self.term and not _is_granted_pre_vote(message):
                self._state.become_follower(message.term, None)
            self._step_current(message)

    def propose(self, data: bytes, type: EntryType = EntryType.NORMAL) -> int:
        """Append an entry as leader; the index it got, where it stays if it commits under this term.

        Raises NotLeader, TransferInProgress, TermNotOpened, TermAlreadyOpened, ProposalTooLarge (over
        max_uncommitted_bytes by itself), UncommittedFull (of this leadership's proposals); and for a
        MEMBERSHIP entry TermUncommitted, MembershipUncommitted or IllegalMembership.
        """
        state = self._state
        entry = Entry(self.next_index, state.term, type, bytes(data))
        proposals.propose(state, entry)
        return entry.index

    def read_index(self, context: bytes) -> None:
        """Ask for a linearizable read (thesis 6.4): a ReadState with this context follows in a Ready, at
        best.

        A change of leader or a lost message drops it: ask again, with a context never used before. Raises
        NoLeader, TooManyReads, or MalformedMessage for a context over MAX_CONTEXT_BYTES.
        """
        reads.read_index(self._state, context)

    def transfer_leadership(self, to: NodeId) -> None:
        """Hand leadership to the voter `to`; raises NotLeader, TransferInProgress or TransferRefused."""
        transfer.transfer_leadership(self._state, to)

    def campaign(self) -> None:
        """Stand for election now, as if the election timeout had passed.

        Nothing happens on a leader, on a node that is no voter, or while a lease may bind this node.
        """
        state = self._state
        if state.role is not Role.LEADER and state.may_campaign() and not election.is_bound_by_lease(state):
            election.campaign(state)

    def report_unreachable(self, node: NodeId) -> None:
        """Messages to `node` were lost; the leader then asks it where it stands."""
        if node in self._state.peers:
            self._state.peers[node].unreachable()

    def report_snapshot(self, node: NodeId, ok: bool) -> None:
        """The snapshot that `node` needed has reached it, or hasn't."""
        if node in self._state.peers:
            self._state.peers[node].snapshot_finished(ok)

    def has_ready(self) -> bool:
        """Whether `ready` would return anything."""
        state, outbox = self._state, self._state.outbox
        return bool(
            outbox.messages
            or outbox.durable_messages
            or outbox.read_states
            or state.log.has_writes()
            or state.log.has_deliverable()
            or self._hard_state_changed()
            or self._soft_state_changed()
            or (state.role is Role.LEADER and _leader_has_work(state))
        )

    def ready(self) -> Ready | None:
        """The work there is, or None; `advance` must follow once it is synced."""
        if not self.has_ready():
            return None
        state = self._state
        if reads.wants_round(state):
            reads.start_round(state)
        replication.send_appends(state)
        outbox, state.outbox = state.outbox, Outbox()
        snapshot, entries = state.log.hand_out_writes()
        hard_state = self._take_hard_state()
        must_leave_joint = proposals.must_leave_joint(state)
        state.open_announced = True
        state.leave_announced = must_leave_joint
        self._number += 1
        self._in_flight.append((self._number, hard_state))
        return Ready(
            number=self._number,
            hard_state=hard_state,
            entries=entries,
            snapshot=snapshot,
            messages=tuple(outbox.messages),
            durable_messages=tuple(outbox.durable_messages),
            committed=state.log.deliver(state.config.max_committed_bytes),
            read_states=tuple(outbox.read_states),
            must_open=proposals.must_open(state),
            must_leave_joint=must_leave_joint,
            soft_state=self._take_soft_state(),
        )

    def advance(self, ready_number: int) -> None:
        """The Ready of this number, and all before it, are synced; raises InvariantBroken out of order."""
        if not self._in_flight or self._in_flight[0][0] != ready_number:
            expected = self._in_flight[0][0] if self._in_flight else "none"
            raise InvariantBroken(
                f"Ready {ready_number} was advanced, but the oldest in flight is {expected}"
            )
        state = self._state
        _, hard_state = self._in_flight.popleft()
        if hard_state is not None:
            state.durable_hard_state = hard_state
        state.log.written()
        replication.advance_commit(state)
        election.count_own_durable_vote(state)

    def status(self) -> Status:
        """Where this node stands, as values that later changes don't touch."""
        state = self._state
        return Status(
            id=state.id,
            role=state.role,
            term=state.term,
            vote=state.vote,
            leader_id=state.leader_id,
            first_index=state.log.first_index,
            last_index=state.log.last_index,
            stable=state.log.stable,
            commit=state.log.commit,
            delivered=state.log.delivered,
            uncommitted_bytes=state.uncommitted_bytes,
            transferee=state.transferee,
            membership=state.membership,
            membership_index=state.log.membership_index,
            peers=tuple(self._peer_status(node) for node in state.peers),
        )

    def _tick_leader(self) -> None:
        state = self._state
        transfer.tick_transfer(state)
        state.election_elapsed += 1
        if state.election_elapsed >= state.config.election_ticks:
            state.election_elapsed = 0
            self._each_election_timeout()
        state.heartbeat_elapsed += 1
        if state.role is Role.LEADER and state.heartbeat_elapsed >= state.config.heartbeat_ticks:
            state.heartbeat_elapsed = 0
            reads.renew_lease(state)
            replication.send_heartbeats(state)

    def _each_election_timeout(self) -> None:
        """What a leader repeats or checks once an election timeout, so that nothing waits for ever."""
        state = self._state
        state.open_announced = state.leave_announced = False
        for peer in state.peers.values():
            peer.offer_snapshot_again()
        if state.config.check_quorum:
            election.check_quorum(state)

    def _answer_stale(self, message: Message) -> None:
        """A leader of an older term must learn that it is one, also where check-quorum keeps candidates
        quiet.
        """
        if isinstance(message, FROM_LEADER):
            self._state.send(AppendEntriesReply(self.id, message.sender, self.term, False, 0, 0, 0))

    def _step_current(self, message: Message) -> None:
        """A message of the current term (or a granted pre-vote for the next)."""
        state = self._state
        if isinstance(message, FROM_LEADER):
            self._follow(message.sender)
        match message:
            case AppendEntries():
                replication.handle_append(state, message)
            case Heartbeat():
                replication.handle_heartbeat(state, message)
            case InstallSnapshot():
                replication.handle_snapshot(state, message)
            case RequestVoteReply():
                election.handle_vote_reply(state, message)
            case TimeoutNow():
                transfer.handle_timeout_now(state, message)
            case ReadIndexRequest():
                reads.handle_read_request(state, message)
            case ReadIndexReply():
                reads.handle_read_reply(state, message)
            case AppendEntriesReply() if message.sender in state.peers:
                replication.handle_append_reply(state, state.peers[message.sender], message)
                transfer.continue_transfer(state)
            case HeartbeatReply() if message.sender in state.peers:
                reads.handle_heartbeat_reply(state, message)
            case _:
                pass  # A reply to a leadership that has ended, or from a node that is no peer.

    def _follow(self, leader_id: NodeId) -> None:
        """The sender leads this term: follow it. Two leaders of one term break election safety (paper
        5.2).
        """
        state = self._state
        if state.leader_id not in (None, leader_id):
            raise InvariantBroken(
                f"{leader_id} leads term {state.term}, but {state.leader_id} leads it already"
            )
        if state.role is not Role.FOLLOWER:
            state.become_follower(state.term, leader_id)
        state.leader_id = leader_id
        state.election_elapsed = 0
        state.heard_leader_tick = state.ticks

    def _hard_state_changed(self) -> bool:
        state, handed = self._state, self._handed_hard_state
        return state.term != handed.term or state.vote != handed.vote

    def _soft_state_changed(self) -> bool:
        state, handed = self._state, self._handed_soft_state
        return (state.role, state.leader_id, state.term) != (handed.role, handed.leader_id, handed.term)

    def _soft_state(self) -> SoftState:
        return SoftState(self._state.role, self._state.leader_id, self._state.term)

    def _take_soft_state(self) -> SoftState | None:
        if not self._soft_state_changed():
            return None
        self._handed_soft_state = self._soft_state()
        return self._handed_soft_state

    def _take_hard_state(self) -> HardState | None:
        if not self._hard_state_changed():
            return None
        self._handed_hard_state = self._state.hard_state
        return self._handed_hard_state

    def _peer_status(self, node: NodeId) -> PeerStatus:
        peer = self._state.peers[node]
        learner = not self._state.membership.is_voter(node)
        return PeerStatus(
            node, peer.state, peer.match, peer.next, peer.in_flight, peer.recently_active, learner
        )


def _is_granted_pre_vote(message: Message) -> bool:
    """A granted pre-vote carries the asked, later term, which nobody has entered yet."""
    return isinstance(message, RequestVoteReply) and message.pre_vote and message.granted


def _leader_has_work(state: State) -> bool:
    """Whether only a leader's Ready says it: what to ask the caller for, a read round, appends to send."""
    return proposals.has_to_remind(state) or reads.wants_round(state) or replication.wants_to_send(state)
