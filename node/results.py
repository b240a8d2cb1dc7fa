"""What the node's core tells whoever asked it: how a submission goes on, where the node stands, why it
stopped.

It must not know HTTP, nor how the core finds any of it.
"""

from dataclasses import dataclass
from enum import Enum

import msgspec

from ledger.outcome import Outcome


class Stage(Enum):
    """How far a submitted transaction has come, as its submitter is told (docs/formats.md, words)."""

    PENDING = "pending"
    """This node holds it and will see to it; its fate is open."""
    EXECUTED = "executed"
    """On the chain, executed and stored here: the outcome is final."""
    CERTIFIED = "certified"
    """Executed, and a quorum has signed what came of it: provable offline."""
    REFUSED = "refused"
    """This node leaves it out, for the reason that `outcome` gives: its own word, not the chain's."""


class SubmitResult(msgspec.Struct, frozen=True, gc=False):
    """One stage of one submission. PENDING, EXECUTED and CERTIFIED follow each other; REFUSED ends it at any
    time.

    `height` and `index` (0, 0 before execution) are the first place of this content on the chain, and
    `outcome` its first outcome; `repeated` says that the chain held it already. With `held` a refusal isn't
    the end of it: the node still holds the transaction, and it may happen yet (ask by id). `reason` adds to
    the outcome's sentence. `time_ms` is the block's time.
    """

    stage: Stage
    author: bytes
    tx_id: bytes
    outcome: Outcome
    height: int = 0
    index: int = 0
    time_ms: int = 0
    repeated: bool = False
    held: bool = False
    reason: str = ""

    @property
    def decided_by_chain(self) -> bool:
        """Whether the outcome is the chain's word and not this node's alone."""
        return self.stage in (Stage.EXECUTED, Stage.CERTIFIED)


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why a node stopped itself. `word` is one of fork, divergence, invariant, rules, disk, corrupt,
    lost_state, worker.
    """

    word: str
    what: str


@dataclass(frozen=True, slots=True)
class PeerView:
    """What this node knows of another member: whether it votes, whether linked, and (leader only) how far its
    log matches.
    """

    node_id: str
    connected: bool
    match: int
    sealed_height: int
    votes: bool = True


@dataclass(frozen=True, slots=True)
class MembershipStatus:
    """Who makes up the cluster after the executed height, as lists of node ids.

    While `outgoing` isn't empty, majorities of it and of `voters` decide together. `is_pending` says that
    what the members decided isn't carried out yet, `is_let_go` that this node is out, or as good as.
    """

    version: int
    voters: tuple[str, ...]
    outgoing: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    is_pending: bool = False
    is_let_go: bool = False


@dataclass(frozen=True, slots=True)
class DriverStatus:
    """Where the node stands, for people and metrics. Heights are 0 before the first block.

    `told_height` is how far the leader of its term says that it has committed: a node that lags knows less
    by its own log.
    """

    node_id: str
    role: str
    term: int
    leader_id: str | None
    has_quorum: bool
    last_height: int
    committed_height: int
    executed_height: int
    certified_height: int
    told_height: int
    executed_time_ms: int
    pending: int
    pending_bytes: int
    membership: MembershipStatus
    peers: tuple[PeerView, ...]
    counters: dict[str, int]
    missing_rules: tuple[int, int] | None = None
