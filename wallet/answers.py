"""What nodes answer, as typed values: the client's side of the API's JSON.

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
    """A node's answer to one submission."""

    tx_id: str
    author: str
    status: Literal["pending", "executed", "certified"]
    decided_by: Literal["chain", "node"]
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
    decided_by: str
    envelope_hash: str
    envelope: dict[str, Any]
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


class History(msgspec.Struct, frozen=True):
    """A page of history, newest first; `next` is the cursor of the page after it."""

    payments: tuple[Entry, ...]
    next: str | None = None


class AccountProof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof of an account's record, or of its absence, against the seal's state root."""

    address: str
    height: int
    proof: bytes
    seal: bytes
    certificate: bytes | None = None


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
    signatures: tuple[NodeSignature, ...]
    certificate: bytes


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member bank."""

    number: int
    id: str
    name: str
    admin_policy: Policy
    teller_policy: Policy
    version: int
    since_height: int


class Members(msgspec.Struct, frozen=True):
    """All members, by id."""

    members: tuple[Member, ...]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that a member answers for."""

    id: str
    member: str
    key: str
    address: str
    status: str
    version: int
    since_height: int


class Nodes(msgspec.Struct, frozen=True):
    """All nodes, by id."""

    nodes: tuple[Node, ...]


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """An asset; its amounts have `scale` decimals, and `account` is where it is issued from."""

    code: str
    scale: int
    issuer: str
    account: str
    since_height: int


class Assets(msgspec.Struct, frozen=True):
    """All assets, by code."""

    assets: tuple[Asset, ...]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The network's parameters (docs/formats.md, section 5)."""

    block_bytes: int
    block_envelopes: int
    envelope_bytes: int
    signers: int
    certificate_rule: str


class ScheduledParameters(msgspec.Struct, frozen=True):
    """Parameters, and the height from which they hold."""

    from_height: int
    parameters: Parameters


class ParameterSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters in force at the next height, and all that were or will be."""

    version: int
    current: Parameters
    schedule: tuple[ScheduledParameters, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The newest decision about the membership; `pending` until it is in force and carried out."""

    version: int
    from_height: int
    voting: bool
    pending: bool
    add: str | None = None
    remove: str | None = None


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes make up the cluster; while `outgoing` is not empty, old and new voters decide jointly."""

    version: int
    voters: tuple[str, ...]
    outgoing: tuple[str, ...]
    learners: tuple[str, ...]
    changed_height: int
    certificate_rule: str
    decision: Decision


class ScheduledRules(msgspec.Struct, frozen=True):
    """A version of the rules, and the height from which it holds."""

    from_height: int
    rules: int


class RulesSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the rules in force at the next height, and all that were or will be."""

    version: int
    current: int
    schedule: tuple[ScheduledRules, ...]


class OutcomeTable(msgspec.Struct, frozen=True):
    """Every outcome that the node knows."""

    outcomes: tuple[OutcomeView, ...]


class Network(msgspec.Struct, frozen=True):
    """Which network the node says it is of: hash the genesis document yourself where that matters."""

    name: str
    network_id: str
    genesis: bytes


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another node, as the one that answers sees it."""

    node: str
    member: str
    address: str
    connected: bool
    votes: bool
    api_url: str | None = None
    match_height: int | None = None
    last_heard_ms: int | None = None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The answering node's view of the cluster."""

    node: str
    member: str
    role: str
    term: int
    quorum: bool
    committed_height: int
    executed_height: int
    certified_height: int
    peers: tuple[Peer, ...]
    version: str
    started_ms: int
    votes: bool
    membership_version: int
    leader: str | None = None
    leader_url: str | None = None
