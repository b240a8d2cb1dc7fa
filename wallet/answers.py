"""What nodes answer of transactions, accounts and blocks, as typed values: the client's side of the JSON.

Fields that this version doesn't know are ignored, so that a newer node doesn't break an older wallet. Bytes
are lower-case hexadecimal (or base64, where the type is bytes), amounts decimal strings, times Unix
milliseconds. It must not know how answers travel.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Wait: TypeAlias = Literal["none", "executed", "certified"]
Status: TypeAlias = Literal["executed", "certified", "pending", "refused", "unknown"]


class OutcomeView(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    """One outcome of the outcome table, in the words of the node that told it."""

    number: int
    name: str
    class_: str
    on_chain: bool
    final: bool
    retry_can_help: bool
    sentence: str
    remedy: str
    iso20022: str


class Place(msgspec.Struct, frozen=True):
    """Where a transaction stands: block height, and index in that block."""

    height: int
    index: int


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem (RFC 9457) as a node told it; `outcome` and the rest only where they are known."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str | None = None
    outcome: int | None = None
    decided_by: str | None = None
    tx_id: str | None = None
    author: str | None = None
    authors: tuple[str, ...] = ()
    field: str | None = None
    leader: str | None = None
    leader_url: str | None = None


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """A node's answer to one submission; without `decided_by` it is pending: nobody has decided yet."""

    tx_id: str
    author: str
    status: Literal["pending", "executed", "certified"]
    decided_by: Literal["chain", "node"] | None = None
    outcome: OutcomeView | None = None
    height: int | None = None
    index: int | None = None
    duplicate_of: Place | None = None
    time_ms: int | None = None


class BatchItem(msgspec.Struct, frozen=True):
    """One result of a batch: an answer, or the problem that a single submission would have had."""

    answer: Submitted | None = None
    problem: Problem | None = None


class Batch(msgspec.Struct, frozen=True):
    """The results of a batch, in the order of its envelopes."""

    results: tuple[BatchItem, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a submission, as far as the client could find out by its deadline.

    - `executed`, `certified`: the chain decided; `outcome` says how, and a refusal by the chain is one too.
    - `refused`: a node refused, and no attempt can have left the payment with another node.
    - `pending`: a node took it, and the time ran out before the chain decided.
    - `unknown`: it may or may not have been taken. Submit the same bytes again: that never pays twice.
    `reached` is False only where no attempt can have delivered the bytes. `problem` is what a node said last.
    """

    status: Status
    tx_id: str
    attempts: int
    reached: bool = True
    author: str | None = None
    decided_by: Literal["chain", "node"] | None = None
    outcome: OutcomeView | None = None
    height: int | None = None
    index: int | None = None
    duplicate_of: Place | None = None
    time_ms: int | None = None
    problem: Problem | None = None


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome that an envelope would have if it came next."""

    outcome: OutcomeView
    height: int
    tx_id: str | None = None
    author: str | None = None
    duplicate_of: Place | None = None
    detail: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the chain keeps it; `envelope` is its human form (ledger/json_form.py)."""

    tx_id: str
    author: str
    status: str
    envelope_hash: str
    envelope: dict[str, Any]
    decided_by: str | None = None
    outcome: OutcomeView | None = None
    height: int | None = None
    index: int | None = None
    time_ms: int | None = None


class ReceiptBytes(msgspec.Struct, frozen=True):
    """A receipt's canonical bytes."""

    receipt: bytes


class PolicyKey(msgspec.Struct, frozen=True):
    """A key of a policy and what it counts."""

    key: str
    weight: int


class Policy(msgspec.Struct, frozen=True):
    """Which signers may act: weights that add up to the threshold."""

    threshold: int
    keys: tuple[PolicyKey, ...]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as of `height`."""

    address: str
    height: int
    number: int
    member: str
    asset: str
    balance: str
    available: str
    limit: str
    debits_posted: str
    credits_posted: str
    debits_pending: str
    credits_pending: str
    flags: int
    flag_names: tuple[str, ...]
    version: int
    policy: Policy
    entry_count: int
    history_hash: str
    opened_height: int
    last: Place | None = None
    reference: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account's history; debit and credit are what it posted to this account."""

    entry: int
    height: int
    index: int
    time_ms: int
    tx_id: str
    author: str
    kind: str
    outcome: OutcomeView
    debit: str
    credit: str
    envelope: dict[str, Any]


class Forgotten(msgspec.Struct, frozen=True):
    """A node has forgotten transactions of blocks up to `height`; `held_by` names nodes that hold more."""

    height: int
    held_by: tuple[str, ...]


class History(msgspec.Struct, frozen=True):
    """A page of history, newest first; `next` is the cursor of the page after it.

    Where `forgotten` is there, the node that answered doesn't have that page any more.
    """

    payments: tuple[Entry, ...]
    next: str | None = None
    forgotten: Forgotten | None = None


class AccountProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof of an account's record, or of its absence, against the seal's state root.

    `certificate` covers the seal: it is that seal's own, or `seals` lead from the seal to, not including, the
    certificate's, each the parent of the next.
    """

    address: str
    height: int
    proof: bytes
    seal: bytes
    seals: tuple[bytes, ...]
    certificate: bytes


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The membership after a block, and the version of the decision that it carries out."""

    decision_version: int
    voters: tuple[str, ...]
    outgoing: tuple[str, ...]
    learners: tuple[str, ...]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block's header and hash; `change` where the membership changes."""

    height: int
    hash: str
    parent_hash: str
    epoch: int
    term: int
    time_ms: int
    proposer: str
    boot: str
    rules: int
    membership_version: int
    tx_root: str
    tx_count: int
    body_bytes: int
    signature: str
    change: Change | None = None


class Blocks(msgspec.Struct, frozen=True):
    """A page of blocks, newest first; `next` is the `before` of the page after it."""

    blocks: tuple[Block, ...]
    next: int | None = None


class NodeSignature(msgspec.Struct, frozen=True):
    """A node's signature of a seal."""

    node: str
    signature: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a quorum of nodes signed of a height; `certificate` is its canonical bytes."""

    height: int
    seal_hash: str
    header_hash: str
    parent_seal_hash: str
    outcomes_root: str
    log_root: str
    state_root: str
    certifiers_hash: str
    electorate_hash: str
    signatures: tuple[NodeSignature, ...]
    certificate: bytes


class OutcomeTable(msgspec.Struct, frozen=True):
    """Every outcome that the node knows."""

    outcomes: tuple[OutcomeView, ...]
