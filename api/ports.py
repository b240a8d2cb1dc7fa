"""What the HTTP face asks of a node: the Host protocol, and the frozen values that go through it.

The node's service implements Host; the tests have a small ledger in memory that does. Nothing here may know
of HTTP: no status codes, no headers, no JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from ledger.genesis import Parameters
    from ledger.json_form import Names
    from ledger.membership import Decision, MembershipRecord
    from ledger.outcome import Outcome
    from ledger.records import Account, AssetRecord, MemberRecord, NodeRecord


class Wait(StrEnum):
    """How far a submission goes before it is answered."""

    NONE = "none"
    EXECUTED = "executed"
    CERTIFIED = "certified"


class Status(StrEnum):
    """How far a transaction has come. One that the chain refused is `executed` too: its outcome says so."""

    PENDING = "pending"
    EXECUTED = "executed"
    CERTIFIED = "certified"


class DecidedBy(StrEnum):
    """Who gave an outcome: the chain's is final and the same everywhere, a node's is this node's alone."""

    CHAIN = "chain"
    NODE = "node"


class Position(msgspec.Struct, frozen=True):
    """What this node has executed: a height and that block's time (milliseconds since 1970)."""

    height: int
    time_ms: int


class Place(msgspec.Struct, frozen=True):
    """Where a transaction stands: block height, and index in that block."""

    height: int
    index: int


class Leader(msgspec.Struct, frozen=True):
    """A hint: the node believed to lead, and the base URL of its API where that is configured."""

    node: str
    url: str | None = None


class SubmitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one submitted envelope.

    Where nobody has decided yet (PENDING without an outcome) `decided_by` is None. With NODE the envelope was
    not put on the chain by this node, `outcome` says why (a malformed, auth, state or node outcome) and
    `detail` says it in words about this very envelope. NODE with `Outcome.UNKNOWN` means the time ran out:
    ask again by id, or submit the same bytes.
    """

    status: Status
    decided_by: DecidedBy | None = None
    tx_id: bytes | None = None
    author: bytes | None = None
    outcome: Outcome | None = None
    place: Place | None = None
    duplicate_of: Place | None = None
    time_ms: int | None = None
    detail: str | None = None
    leader: Leader | None = None
    retry_after_ms: int | None = None


class SimulateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome an envelope would have if it came next, at this position."""

    outcome: Outcome
    position: Position
    tx_id: bytes | None = None
    author: bytes | None = None
    duplicate_of: Place | None = None
    detail: str | None = None


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction by id. While it is PENDING (known here, on no executed block yet) the rest is None."""

    status: Status
    envelope: bytes
    outcome: Outcome | None = None
    place: Place | None = None
    time_ms: int | None = None


class AccountView(msgspec.Struct, frozen=True):
    """An account's record as of an executed height."""

    account: Account
    position: Position


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account's history: a transaction, its outcome, what it posted here (minor units)."""

    place: Place
    envelope: bytes
    outcome: Outcome
    time_ms: int
    entry_count: int
    debit: int
    credit: int


class Forgotten(msgspec.Struct, frozen=True):
    """Transactions of blocks up to `height` are forgotten here; the nodes `held_by` hold the next page's."""

    height: int
    held_by: tuple[str, ...]


class HistoryPage(msgspec.Struct, frozen=True):
    """Entries newest first, and where the next page starts (None: that was the oldest), if not here."""

    entries: tuple[HistoryEntry, ...]
    next: Place | None
    forgotten: Forgotten | None = None


class ProofView(msgspec.Struct, frozen=True):
    """A proof of an account's record, or of its absence, against the state root of a seal; canonical bytes.

    `certificate` is that of this seal or of the first one above it that has one: `seals` are those from this
    one up to, not including, the certificate's own, as in a receipt.
    """

    height: int
    proof: bytes
    seal: bytes
    seals: tuple[bytes, ...]
    certificate: bytes


class BlockView(msgspec.Struct, frozen=True):
    """An executed block as stored, and its certificate where there is one."""

    height: int
    raw: bytes
    certificate: bytes | None


class ParametersView(msgspec.Struct, frozen=True):
    """The parameters in force at the next height, and the schedule they come from (from_height ascending)."""

    version: int
    current: Parameters
    schedule: tuple[tuple[int, Parameters], ...]


class MembershipView(msgspec.Struct, frozen=True):
    """Which nodes make up the cluster after the executed height, and the newest decision about it.

    `pending`: the decision is not in force yet, or not carried out.
    """

    membership: MembershipRecord
    certificate_rule: int
    decision_version: int
    from_height: int
    decision: Decision
    pending: bool


class RulesView(msgspec.Struct, frozen=True):
    """The version of the rules in force at the next height, and their schedule (from_height ascending)."""

    version: int
    current: int
    schedule: tuple[tuple[int, int], ...]


class NetworkView(msgspec.Struct, frozen=True):
    """Which network this is. `genesis` is the document whose hash is `network_id`."""

    name: str
    network_id: bytes
    genesis: bytes


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """Another node of the cluster as this one sees it. What this node doesn't know of it is None."""

    node: str
    member: str
    address: str
    connected: bool
    votes: bool
    api_url: str | None = None
    match_height: int | None = None
    last_heard_ms: int | None = None


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """This node's view of the cluster.

    `quorum` is False while the node knows of no leader with a majority behind it. Roles are those of Raft:
    follower, candidate, leader. `votes` says whether this node does, `membership_version` how often the
    membership has changed.
    """

    node: str
    member: str
    role: str
    votes: bool
    membership_version: int
    term: int
    quorum: bool
    leader: Leader | None
    committed_height: int
    executed_height: int
    certified_height: int
    peers: tuple[PeerView, ...]
    version: str
    started_ms: int


class HostProblem(Exception):
    """Something the node can't answer. `detail` says what happened, to which thing, in one sentence."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(HostProblem):
    """No such payment, account or block at this node's executed height."""


class Ambiguous(HostProblem):
    """An id that several authors used, where no author was given."""

    def __init__(self, detail: str, authors: tuple[bytes, ...]) -> None:
        super().__init__(detail)
        self.authors = authors


class NotCertified(HostProblem):
    """A receipt or a proof was asked for of what no certificate covers yet."""


class BlockPruned(HostProblem):
    """What was asked for stands in a block whose transactions this node doesn't hold any more.

    The detail names nodes that hold it, as far as this node knows.
    """


class NoQuorum(HostProblem):
    """The node can't reach a majority in the time given, so it can't promise a linearizable read."""

    def __init__(self, detail: str, leader: Leader | None = None) -> None:
        super().__init__(detail)
        self.leader = leader


class Host(Protocol):
    """What a node answers. Reads come from what it has executed; only `read_barrier` needs a quorum.

    All methods run on the node's event loop. Ids are the ledger's bytes: tx_id 16, account 21, author
    either an account's 21 bytes or a member's id in ASCII.
    """

    def position(self) -> Position:
        """The newest executed block. Cheap: called for every read."""
        ...

    def is_retired(self) -> bool:
        """Whether the members let this node go. Cheap: called for every read."""
        ...

    def names(self) -> Names:
        """The network's name and the assets' scales, for the human form."""
        ...

    async def submit(self, envelope: bytes, wait: Wait, timeout_ms: int) -> SubmitAnswer:
        """Submit one envelope. Never raises for what is wrong with it: the answer's outcome says so."""
        ...

    async def submit_batch(
        self, envelopes: Sequence[bytes], wait: Wait, timeout_ms: int
    ) -> Sequence[SubmitAnswer]:
        """Submit several at once; answers in the same order, one each, within the one timeout."""
        ...

    async def simulate(self, envelope: bytes) -> SimulateAnswer:
        """The outcome it would have now. Nothing is submitted."""
        ...

    async def payment(self, tx_id: bytes, author: bytes | None) -> PaymentView:
        """Raises NotFound, BlockPruned, or Ambiguous where author is None and several used this id."""
        ...

    async def receipt(self, tx_id: bytes, author: bytes | None) -> bytes:
        """The receipt's canonical bytes. Raises NotFound, Ambiguous, NotCertified, BlockPruned."""
        ...

    async def account(self, account: bytes) -> AccountView:
        """Raises NotFound."""
        ...

    async def history(self, account: bytes, cursor: Place | None, limit: int) -> HistoryPage:
        """At most `limit` entries, newest first, from the cursor's entry on (inclusive). Raises NotFound.

        A cursor that isn't an entry of this account raises NotFound as well; where the node has forgotten the
        very first entry's block, it is BlockPruned.
        """
        ...

    async def account_proof(self, account: bytes, timeout_ms: int) -> ProofView:
        """A proof of the record at the executed height, or of the account's absence, once that is certified.

        Raises NotFound before the first block, when no seal is signed, and NotCertified where the certificate
        doesn't come within `timeout_ms`.
        """
        ...

    async def block(self, height: int) -> BlockView:
        """Raises NotFound for a height that isn't executed here (0 too: it is genesis), or BlockPruned."""
        ...

    async def height_of_block(self, block_hash: bytes) -> int:
        """The height of an executed block by its hash. Raises NotFound."""
        ...

    async def members(self) -> Sequence[MemberRecord]:
        """All members in order of id."""
        ...

    async def nodes(self) -> Sequence[NodeRecord]:
        """All nodes in order of id."""
        ...

    async def assets(self) -> Sequence[AssetRecord]:
        """All assets in order of code."""
        ...

    async def parameters(self) -> ParametersView:
        """The parameters and their schedule."""
        ...

    async def membership(self) -> MembershipView:
        """Which nodes make up the cluster, and what is decided about it."""
        ...

    async def rules(self) -> RulesView:
        """The rules in force and their schedule."""
        ...

    def network(self) -> NetworkView:
        """Which network this is."""
        ...

    def cluster(self) -> ClusterView:
        """This node's view of the cluster."""
        ...

    async def wait_for_height(self, min_height: int, timeout_ms: int) -> bool:
        """Wait until at least this height is executed here; False when the time ran out first."""
        ...

    async def read_barrier(self, timeout_ms: int) -> int:
        """ReadIndex (Raft, section 6.4 of the dissertation): once it returns, reads are linearizable.

        Returns the executed height, which is at least the cluster's commit index at the time of the call.
        Raises NoQuorum.
        """
        ...
