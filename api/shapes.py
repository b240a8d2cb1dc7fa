"""The JSON shapes of answers, field by field. The OpenAPI schemas are generated from these.

Bytes are lower-case hex, accounts and account authors are addresses (bech32m), transaction ids are UUID
text, times are milliseconds since 1970, amounts are decimal strings with the asset's decimals. What is
unknown is absent. Must not know where the values come from.
"""

from __future__ import annotations

from typing import Any

import msgspec

from api.problems import Problem


class OutcomeShape(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    """An outcome of the outcome table."""

    number: int
    name: str
    class_: str
    on_chain: bool
    final: bool
    retry_can_help: bool
    sentence: str
    remedy: str
    iso20022: str


class PlaceShape(msgspec.Struct, frozen=True):
    """Where a transaction stands on the chain."""

    height: int
    index: int


class SubmitShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a submission: pending (nobody has decided yet), executed or certified."""

    tx_id: str
    author: str
    status: str
    decided_by: str | None = None
    outcome: OutcomeShape | None = None
    height: int | None = None
    index: int | None = None
    duplicate_of: PlaceShape | None = None
    time_ms: int | None = None


class PaymentShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A transaction as the chain keeps it: its outcome and place, and the envelope in its human form."""

    tx_id: str
    author: str
    status: str
    envelope_hash: str
    envelope: dict[str, Any]
    decided_by: str | None = None
    outcome: OutcomeShape | None = None
    height: int | None = None
    index: int | None = None
    time_ms: int | None = None


class SimulateShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome that the envelope would have if it came next; nothing was submitted."""

    outcome: OutcomeShape
    height: int
    tx_id: str | None = None
    author: str | None = None
    duplicate_of: PlaceShape | None = None
    detail: str | None = None


class BatchItemShape(msgspec.Struct, frozen=True, omit_defaults=True):
    """One envelope's result: an answer, or the problem that a single submission would have had."""

    answer: SubmitShape | None = None
    problem: Problem | None = None


class BatchShape(msgspec.Struct, frozen=True):
    """The results of a batch, in the order of its envelopes."""

    results: tuple[BatchItemShape, ...]


class ReceiptShape(msgspec.Struct, frozen=True):
    """A receipt: canonical bytes in base64, to be verified offline."""

    receipt: bytes


class PolicyKeyShape(msgspec.Struct, frozen=True):
    """A key of a policy and what it counts."""

    key: str
    weight: int


class PolicyShape(msgspec.Struct, frozen=True):
    """Which signers may act: weights that add up to the threshold."""

    threshold: int
    keys: tuple[PolicyKeyShape, ...]


class AccountShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account as of `height`. `balance` is credits less debits; `available` counts limit and pending."""

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
    policy: PolicyShape
    entry_count: int
    history_hash: str
    opened_height: int
    last: PlaceShape | None = None
    reference: str | None = None


class EntryShape(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account's history; debit and credit are what it posted to this account."""

    entry: int
    height: int
    index: int
    time_ms: int
    tx_id: str
    author: str
    kind: str
    outcome: OutcomeShape
    debit: str
    credit: str
    envelope: dict[str, Any]


class ForgottenShape(msgspec.Struct, frozen=True):
    """The node has forgotten transactions of blocks up to `height`; `held_by` names nodes that hold more."""

    height: int
    held_by: tuple[str, ...]


class HistoryShape(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of history, newest first; `next` is the cursor of the page after it, absent on the last.

    Where `forgotten` is there, the page after it is to be asked for at another node, with the same cursor.
    """

    payments: tuple[EntryShape, ...]
    next: str | None = None
    forgotten: ForgottenShape | None = None


class ProofShape(msgspec.Struct, frozen=True, kw_only=True):
    """A proof of an account's record, or absence, against a certified seal's state root; bytes in base64."""

    address: str
    height: int
    proof: bytes
    seal: bytes
    seals: tuple[bytes, ...]
    certificate: bytes


class ChangeShape(msgspec.Struct, frozen=True, kw_only=True):
    """The membership after a block, and the version of the decision that it carries out."""

    decision_version: int
    voters: tuple[str, ...]
    outgoing: tuple[str, ...]
    learners: tuple[str, ...]


class BlockShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A block's header, as docs/formats.md has it, and its hash; `change` where the membership changes."""

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
    change: ChangeShape | None = None


class BlocksShape(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of blocks, newest first; `next` is the `before` of the page after it, absent on the last."""

    blocks: tuple[BlockShape, ...]
    next: int | None = None


class SignatureShape(msgspec.Struct, frozen=True):
    """A node's signature of a seal."""

    node: str
    signature: str


class CertificateShape(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate: what the signing nodes say of a height. `certificate` is the bytes in base64."""

    height: int
    seal_hash: str
    header_hash: str
    parent_seal_hash: str
    outcomes_root: str
    log_root: str
    state_root: str
    certifiers_hash: str
    electorate_hash: str
    signatures: tuple[SignatureShape, ...]
    certificate: bytes


class MemberShape(msgspec.Struct, frozen=True, kw_only=True):
    """A member bank."""

    number: int
    id: str
    name: str
    admin_policy: PolicyShape
    teller_policy: PolicyShape
    version: int
    since_height: int


class MembersShape(msgspec.Struct, frozen=True):
    """All members, by id."""

    members: tuple[MemberShape, ...]


class NodeShape(msgspec.Struct, frozen=True, kw_only=True):
    """A node that a member answers for."""

    id: str
    member: str
    key: str
    address: str
    status: str
    version: int
    since_height: int


class NodesShape(msgspec.Struct, frozen=True):
    """All nodes, by id."""

    nodes: tuple[NodeShape, ...]


class AssetShape(msgspec.Struct, frozen=True, kw_only=True):
    """An asset; its amounts have `scale` decimals, and `account` is where it is issued from."""

    code: str
    scale: int
    issuer: str
    account: str
    since_height: int


class AssetsShape(msgspec.Struct, frozen=True):
    """All assets, by code."""

    assets: tuple[AssetShape, ...]


class ParametersShape(msgspec.Struct, frozen=True, kw_only=True):
    """The network's parameters; units are in docs/formats.md, section 5."""

    block_bytes: int
    block_envelopes: int
    envelope_bytes: int
    signers: int
    certificate_rule: str


class ScheduledShape(msgspec.Struct, frozen=True):
    """Parameters, and the height from which they hold."""

    from_height: int
    parameters: ParametersShape


class ParameterScheduleShape(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters in force at the next height, and all that were or will be."""

    version: int
    current: ParametersShape
    schedule: tuple[ScheduledShape, ...]


class DecisionShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest decision about the membership; `pending` until it is in force and carried out."""

    version: int
    from_height: int
    voting: bool
    pending: bool
    add: str | None = None
    remove: str | None = None


class MembershipShape(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes make up the cluster; while `outgoing` is not empty, old and new voters decide jointly."""

    version: int
    voters: tuple[str, ...]
    outgoing: tuple[str, ...]
    learners: tuple[str, ...]
    changed_height: int
    certificate_rule: str
    decision: DecisionShape


class ScheduledRulesShape(msgspec.Struct, frozen=True):
    """A version of the rules, and the height from which it holds."""

    from_height: int
    rules: int


class RulesShape(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the rules in force at the next height, and all that were or will be."""

    version: int
    current: int
    schedule: tuple[ScheduledRulesShape, ...]


class OutcomesShape(msgspec.Struct, frozen=True):
    """The whole outcome table."""

    outcomes: tuple[OutcomeShape, ...]


class NetworkShape(msgspec.Struct, frozen=True):
    """Which network this is; `genesis` is the document in base64, whose tagged hash is the network id."""

    name: str
    network_id: str
    genesis: bytes


class PeerShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another node, as this one sees it."""

    node: str
    member: str
    address: str
    connected: bool
    votes: bool
    api_url: str | None = None
    match_height: int | None = None
    last_heard_ms: int | None = None


class ClusterShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """This node's view of the cluster."""

    node: str
    member: str
    role: str
    votes: bool
    membership_version: int
    term: int
    quorum: bool
    committed_height: int
    executed_height: int
    certified_height: int
    peers: tuple[PeerShape, ...]
    version: str
    started_ms: int
    leader: str | None = None
    leader_url: str | None = None
