"""What nodes answer of the network itself: members, nodes, assets, what was decided, and the cluster.

As in answers.py, fields that this version doesn't know are ignored. It must not know how answers travel.
"""

from __future__ import annotations

import msgspec

from wallet.answers import Policy


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
