"""Genesis: the network's name, first members, assets, nodes and parameters; its hash is the root of trust.

It must not know state: what genesis opens is made of it in ledger/state.py. Layout: formats.md, section 5.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final, Literal

from msgspec import Meta

from ledger.codec import Malformed, Record, decode
from ledger.codec import encode as encode_record
from ledger.fields import (
    AssetCode,
    Bin65,
    DisplayName,
    HostPort,
    MemberId,
    MinorUnits,
    NetworkName,
    NodeId,
    RulesVersion,
    Scale,
    Uint,
)
from ledger.keys import check_public_key, tagged_hash
from ledger.parameters import DEFAULT_PARAMETERS, Parameters, check_parameters, quorum
from ledger.policy import Policy, check_policy

__all__ = [
    "DEFAULT_PARAMETERS",
    "FIRST_EPOCH",
    "FIRST_MEMBERSHIP_VERSION",
    "Genesis",
    "GenesisAsset",
    "GenesisMember",
    "GenesisNode",
    "Parameters",
    "check_genesis",
    "check_parameters",
    "decode_genesis",
    "encode_genesis",
    "issuance_tx_id",
    "network_id",
]

FIRST_EPOCH: Final = 0
FIRST_MEMBERSHIP_VERSION: Final = 1


class GenesisMember(Record, frozen=True):
    """A member from the start, under the policies of its administrators and of its tellers."""

    id: MemberId
    name: DisplayName
    admin_policy: Policy
    teller_policy: Policy


class GenesisAsset(Record, frozen=True):
    """An asset from the start; its issuance account may go down to minus `limit` minor units."""

    code: AssetCode
    scale: Scale
    issuer: MemberId
    issuance_policy: Policy
    limit: MinorUnits


class GenesisNode(Record, frozen=True):
    """A voting node from the start."""

    id: NodeId
    member: MemberId
    key: Bin65
    address: HostPort


class Genesis(Record, frozen=True):
    """The genesis document; times are Unix milliseconds, `rules` the version of the rules."""

    format: Literal[1]
    name: NetworkName
    time_ms: Uint
    rules: RulesVersion
    parameters: Parameters
    members: Annotated[tuple[GenesisMember, ...], Meta(min_length=1)]
    assets: tuple[GenesisAsset, ...]
    nodes: Annotated[tuple[GenesisNode, ...], Meta(min_length=1)]


def decode_genesis(raw: bytes) -> Genesis:
    """The genesis document in `raw`, checked in full; raises Malformed."""
    genesis = decode(raw, Genesis)
    check_genesis(genesis)
    return genesis


def encode_genesis(genesis: Genesis) -> bytes:
    """The document's bytes, checked as every node will check them; raises Malformed."""
    raw = encode_record(genesis)
    decode_genesis(raw)
    return raw


def network_id(raw: bytes) -> bytes:
    """The 32-byte id of the network that starts with these genesis bytes."""
    return tagged_hash("genesis", raw)


def issuance_tx_id(asset_index: int) -> bytes:
    """The 16 bytes that stand for the opening transaction of the issuance account of a genesis asset."""
    return asset_index.to_bytes(16, "big")


def check_genesis(genesis: Genesis) -> None:
    """Check order, references, keys and ranges: all that no single field shows. Raises Malformed."""
    check_parameters(genesis.parameters)
    _check_ascending("members", [member.id for member in genesis.members])
    _check_ascending("assets", [asset.code for asset in genesis.assets])
    _check_ascending("nodes", [node.id for node in genesis.nodes])
    members = {member.id for member in genesis.members}
    for member in genesis.members:
        check_policy(member.admin_policy)
        check_policy(member.teller_policy)
    for asset in genesis.assets:
        check_policy(asset.issuance_policy)
        if asset.issuer not in members:
            raise Malformed(f"asset {asset.code}: its issuer {asset.issuer!r} is not a member")
    _check_nodes(genesis, members)


def _check_nodes(genesis: Genesis, members: set[str]) -> None:
    owners: set[str] = set()
    keys: set[bytes] = set()
    for node in genesis.nodes:
        check_public_key(node.key)
        if node.member not in members:
            raise Malformed(f"node {node.id}: its member {node.member!r} is not a member")
        if node.member in owners:
            raise Malformed(
                f"node {node.id}: member {node.member!r} has another node already, it may have one"
            )
        if node.key in keys:
            raise Malformed(f"node {node.id}: another node has the same key, each needs its own")
        owners.add(node.member)
        keys.add(node.key)
    quorum(genesis.parameters.certificate_rule, len(genesis.nodes))


def _check_ascending(what: str, names: Sequence[str]) -> None:
    for before, after in pairwise(names):
        if before >= after:
            raise Malformed(
                f"{what}: {after!r} must not come after {before!r}; they stand ascending, each once"
            )
