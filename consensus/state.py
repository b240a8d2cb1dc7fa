"""The state of one Raft node that elections, replication and reads share, and the changes of role between
them.

It must not know how messages are handled: election.py, replication.py, transfer.py and reads.py do that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from consensus.errors import ConsensusError
from consensus.log import LogStorage, RaftLog
from consensus.messages import HardState, Membership, Message, NodeId, ReadState
from consensus.progress import Progress
from consensus.read_rounds import ReadRounds

MIN_ELECTION_TICKS = 2


class Role(Enum):
    """A node's role (paper 5.1; the pre-candidate: thesis 9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Random(Protocol):
    """The source of election timeouts; random.Random is one."""

    def randrange(self, stop: int, /) -> int:
        """A number of 0 <= number < stop."""
        ...


@dataclass(frozen=True, slots=True)
class Config:
    """How one node takes part. Ticks are the caller's: a tick must last the same everywhere, within a
    factor of two.

    `applied` is the index up to which the caller has executed the log: entries after it are delivered
    again. An election timeout is drawn from [election_ticks, 2 * election_ticks). `membership_in` reads
    what membership the data of a MEMBERSHIP entry puts in force: a pure function, the same everywhere.
    """

    id: NodeId
    applied: int
    random: Random
    membership_in: Callable[[bytes], Membership]
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    pre_vote: bool = True
    check_quorum: bool = True
    max_inflight: int = 64
    max_inflight_bytes: int = 64 * 1024 * 1024
    max_append_bytes: int = 1024 * 1024
    max_uncommitted_bytes: int = 64 * 1024 * 1024
    max_committed_bytes: int = 16 * 1024 * 1024
    lease_reads: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't work, with the name of the setting."""
        if self.heartbeat_ticks < 1 or self.election_ticks < MIN_ELECTION_TICKS * self.heartbeat_ticks:
            raise ConsensusError(
                f"election_ticks ({self.election_ticks}) must be at least {MIN_ELECTION_TICKS} times "
                f"heartbeat_ticks ({self.heartbeat_ticks}), which must be at least 1"
            )
        if self.lease_reads and not self.check_quorum:
            raise ConsensusError("lease_reads needs check_quorum: without it voters don't keep to a lease")
        for name in ("max_inflight", "max_inflight_bytes", "max_append_bytes", "max_uncommitted_bytes"):
            if getattr(self, name) < 1:
                raise ConsensusError(f"{name} must be at least 1")


@dataclass(slots=True)
class Outbox:
    """What waits for the next Ready. Durable messages promise something: they leave after that Ready is
    synced.
    """

    messages: list[Message] = field(default_factory=list)
    durable_messages: list[Message] = field(default_factory=list)
    read_states: list[ReadState] = field(default_factory=list)


class State:
    """Term, vote, role, log, peers and timers of one node. Changed only by this package."""

    def __init__(self, config: Config, storage: LogStorage) -> None:
        """A follower with what is stored (paper figure 2)."""
        hard_state = storage.hard_state()
        self.config = config
        self.id = config.id
        self.log = RaftLog(storage, config.applied, config.membership_in)
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.durable_hard_state = hard_state
        self.role = Role.FOLLOWER
        self.leader_id: NodeId | None = None
        self.outbox = Outbox()
        self.votes: dict[NodeId, bool] = {}
        self.peers: dict[NodeId, Progress] = {}
        self.reads = ReadRounds()
        self.ticks = 0
        self.heard_leader_tick = 0
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = self._draw_timeout()
        self.transferee: NodeId | None = None
        self.transfer_elapsed = 0
        self.timeout_now_sent = False
        self.opened = False
        self.open_announced = False
        self.leave_announced = False
        self.uncommitted_bytes = 0
        self.uncommitted: deque[tuple[int, int]] = deque()

    @property
    def hard_state(self) -> HardState:
        """Term and vote as they are now, synced or not."""
        return HardState(self.term, self.vote)

    @property
    def membership(self) -> Membership:
        """The newest membership in the log, committed or not: the one to act on (thesis 4.1)."""
        return self.log.membership

    def become_follower(self, term: int, leader_id: NodeId | None) -> None:
        """Follow `leader_id` in `term`; within a term the vote stays, a newer term has none yet."""
        self._reset(term)
        self.role = Role.FOLLOWER
        self.leader_id = leader_id

    def become_pre_candidate(self) -> None:
        """Ask whether an election could be won; neither term nor vote changes."""
        self.role = Role.PRE_CANDIDATE
        self.leader_id = None
        self.votes = {}
        self.election_elapsed = 0
        self.election_timeout = self._draw_timeout()

    def become_candidate(self) -> None:
        """Stand in a new term and vote for oneself; that vote counts once it is synced."""
        self._reset(self.term + 1)
        self.role = Role.CANDIDATE
        self.vote = self.id

    def become_leader(self) -> None:
        """Lead the current term: probe every peer; the caller must now open the term."""
        self._reset(self.term)
        self.role = Role.LEADER
        self.leader_id = self.id
        self.adopt_membership()

    def adopt_membership(self) -> None:
        """As leader, follow the progress of exactly those whom the membership names."""
        self.peers = {
            node: self.peers.get(node) or self._new_progress()
            for node in self.membership.all_nodes()
            if node != self.id
        }

    def may_campaign(self) -> bool:
        """Only voters stand for election; and who was one until an entry that may not be committed yet.

        The others may need that node's log, and can't elect each other against it (thesis 4.2.2).
        """
        log = self.log
        if log.membership.is_voter(self.id):
            return True
        is_uncommitted = log.membership_index > log.commit
        return is_uncommitted and log.membership_before_newest().is_voter(self.id)

    def has_committed_in_term(self) -> bool:
        """Whether an entry of the current term is committed: only then is the commit index known to be
        current.
        """
        return self.log.term(self.log.commit) == self.term

    def send(self, message: Message) -> None:
        """A message that promises nothing: it may leave before this node's disk has synced."""
        self.outbox.messages.append(message)

    def send_when_durable(self, message: Message) -> None:
        """A vote, a candidacy or an acknowledgement: it leaves once everything before it is synced."""
        self.outbox.durable_messages.append(message)

    def _reset(self, term: int) -> None:
        """What every change of role or term clears; the vote only if the term is new."""
        if term != self.term:
            self.term = term
            self.vote = None
        self.leader_id = None
        self.votes = {}
        self.peers = {}
        self.reads = ReadRounds()
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.election_timeout = self._draw_timeout()
        self.transferee = None
        self.transfer_elapsed = 0
        self.timeout_now_sent = False
        self.opened = False
        self.open_announced = False
        self.leave_announced = False
        self.uncommitted_bytes = 0
        self.uncommitted = deque()

    def _new_progress(self) -> Progress:
        """A peer of which nothing is known yet."""
        return Progress(self.log.last_index + 1, self.config.max_inflight, self.config.max_inflight_bytes)

    def _draw_timeout(self) -> int:
        return self.config.election_ticks + self.config.random.randrange(self.config.election_ticks)
