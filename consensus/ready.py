"""What the core hands to its caller: the work of one Ready, and its status for people and metrics.

It must not know how the work is done; docs/consensus.md says in which order the caller must do it.
"""

from dataclasses import dataclass

from consensus.messages import Entry, HardState, Membership, Message, NodeId, ReadState, SnapshotMeta
from consensus.progress import PeerStatus
from consensus.state import Role


@dataclass(frozen=True, slots=True)
class SoftState:
    """Who leads, as far as this node knows; needn't be stored."""

    role: Role
    leader_id: NodeId | None
    term: int


@dataclass(frozen=True, slots=True)
class Ready:
    """One batch of work. Each is advanced once, in order of `number`; more than one may be in flight.

    To persist, in this order and together: `snapshot`, `hard_state`, `entries` (which replace everything
    stored from their first index on). `messages` may leave at once; `durable_messages` only when this
    Ready's and all earlier Readys' persisting is synced. `committed` is to be applied, once, in order; all
    of it is synced here already. `must_open` is the term in which this leader must propose its OPENING
    entry before anything else; `must_leave_joint` asks it to propose the end of a joint membership, which is
    committed.
    """

    number: int
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    snapshot: SnapshotMeta | None
    messages: tuple[Message, ...]
    durable_messages: tuple[Message, ...]
    committed: tuple[Entry, ...]
    read_states: tuple[ReadState, ...]
    must_open: int | None
    must_leave_joint: bool
    soft_state: SoftState | None

    @property
    def must_sync(self) -> bool:
        """Whether anything is to be persisted."""
        return self.hard_state is not None or self.snapshot is not None or bool(self.entries)


@dataclass(frozen=True, slots=True)
class Status:
    """Where this node stands. Indexes are of the log; `peers` is empty unless it leads."""

    id: NodeId
    role: Role
    term: int
    vote: NodeId | None
    leader_id: NodeId | None
    first_index: int
    last_index: int
    stable: int
    commit: int
    delivered: int
    uncommitted_bytes: int
    transferee: NodeId | None
    membership: Membership
    membership_index: int
    peers: tuple[PeerStatus, ...]
