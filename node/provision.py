"""Makes a new network from a plan: genesis, the certificate authority, and one folder a node and a member.

The folders are ready to be handed to the banks: a node's has all that the node needs, a member's the
keystore with its keys and its operators' certificate. It starts nothing (that is node/local.py).
"""

from __future__ import annotations

import datetime
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.codec import Malformed
from ledger.genesis import (
    DEFAULT_PARAMETERS,
    Genesis,
    GenesisAsset,
    GenesisMember,
    GenesisNode,
    encode_genesis,
    network_id,
)
from ledger.keys import public_bytes
from ledger.policy import single_key
from node import tls
from node.config import Listen, render_config
from node.plan import NetworkPlan, PlanError, PlannedMember, PlannedNode, check_plan
from wallet.derive import P256_ORDER, derive_key
from wallet.keystore import create_keystore
from wallet.keystore_file import DEFAULT_COST, ScryptCost

ADMIN, TELLER, CUSTOMERS, ISSUANCE = "admin", "teller", "customers", "issuance"
"""Aliases in a member's keystore. `customers` is the parent that customers' keys are derived from."""
RULES = 1
SUMMARY_FILE = "network.json"
SUMMARY_FILE_BYTES = 4 * 1024 * 1024

Keys = dict[str, ec.EllipticCurvePrivateKey]


class ProvisionError(RuntimeError):
    """The network can't be written or read there; the text says why and what to do."""


class NodePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provisioned node: its folder (relative to the network's) and where it is reached."""

    id: str
    member: str
    folder: str
    api_url: str
    admin_url: str


class MemberPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provisioned member and its folder (relative to the network's)."""

    id: str
    name: str
    folder: str


class _Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    network_id: str
    development: bool
    nodes: tuple[NodePlace, ...]
    members: tuple[MemberPlace, ...]


@dataclass(frozen=True, slots=True)
class ProvisionedNetwork:
    """A network's folder. `development` says that its keys come from a seed that others may know."""

    directory: Path
    name: str
    network_id: bytes
    development: bool
    nodes: tuple[NodePlace, ...]
    members: tuple[MemberPlace, ...]

    @property
    def ca(self) -> Path:
        """The network's CA certificate, PEM: all that a client of the API needs to trust."""
        return self.directory / "ca.pem"

    @property
    def genesis(self) -> Path:
        """The genesis document."""
        return self.directory / "genesis.bin"

    @property
    def api_urls(self) -> tuple[str, ...]:
        """The base URL of each node's API."""
        return tuple(node.api_url for node in self.nodes)

    def keystore(self, member: str) -> Path:
        """The keystore file of a member."""
        return self.directory / "members" / member / "keystore.json"

    def config(self, node: str) -> Path:
        """The configuration file of a node."""
        return self.directory / "nodes" / node / "node.toml"

    def operator_files(self, member: str) -> tls.TlsFiles:
        """The TLS files with which a member's operators reach their node's admin port."""
        folder = self.directory / "members" / member
        return tls.TlsFiles(folder / "ca.pem", folder / "operator.pem", folder / "operator.key")


def create_network(
    plan: NetworkPlan,
    directory: Path,
    passphrase: str,
    *,
    keystore_cost: ScryptCost = DEFAULT_COST,
    progress: Callable[[int, int], None] = lambda written, total: None,
) -> ProvisionedNetwork:
    """Write a whole network under `directory`, which must not exist or be empty; all of it or nothing.

    `passphrase` opens every member's keystore until its bank changes it; `progress(written, total)` counts
    the keystores, for theirs is the time that it takes. Raises PlanError, ProvisionError.
    """
    check_plan(plan)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ProvisionError(f"{directory} is there already and not empty. Choose another folder.")
    partial = directory.with_name(directory.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        _write_network(plan, partial, passphrase, keystore_cost, progress)
        partial.rename(directory)
    except OSError as error:
        raise ProvisionError(
            f"cannot write the network to {directory}: {error.strerror} ({error.filename})."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return load_network(directory)


def load_network(directory: Path) -> ProvisionedNetwork:
    """Read what `create_network` wrote; raises ProvisionError."""
    path = directory / SUMMARY_FILE
    try:
        if path.stat().st_size > SUMMARY_FILE_BYTES:
            raise ProvisionError(f"{path} is too long for a network's summary.")
        summary = msgspec.json.decode(path.read_bytes(), type=_Summary)
        identity = bytes.fromhex(summary.network_id)
    except OSError as error:
        raise ProvisionError(
            f"the folder {directory} holds no network: {path} can't be read ({error.strerror}). "
            "`nostro network new` makes one."
        ) from error
    except ValueError as error:
        raise ProvisionError(f"{path} is not a network's summary: {error}") from error
    return ProvisionedNetwork(
        directory.absolute(), summary.name, identity, summary.development, summary.nodes, summary.members
    )


def _write_network(
    plan: NetworkPlan,
    folder: Path,
    passphrase: str,
    cost: ScryptCost,
    progress: Callable[[int, int], None],
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    member_keys = {member.id: _member_keys(plan, member) for member in plan.members}
    node_keys = {node.id: _new_key(plan, f"node/{node.id}") for _, node in plan.nodes}
    genesis = _genesis(plan, member_keys, node_keys, int(now.timestamp() * 1_000))
    ca = tls.create_ca(plan.name, now)

    (folder / "ca").mkdir(mode=0o700)
    tls.write_private(folder / "ca" / "ca.key", ca.key)
    for where in (folder, folder / "ca"):
        (where / "ca.pem").write_bytes(ca.certificate)
    (folder / "genesis.bin").write_bytes(genesis)
    for member, node in plan.nodes:
        place, config = folder / "nodes" / node.id, _config(plan, member, node)
        write_node(place, plan.name, node, node_keys[node.id], genesis, ca, now, config)
    for number, member in enumerate(plan.members, start=1):
        target = folder / "members" / member.id
        _write_member(plan, target, member, genesis, ca, now)
        create_keystore(target / "keystore.json", passphrase, cost).add_all(member_keys[member.id])
        progress(number, len(plan.members))
    (folder / SUMMARY_FILE).write_bytes(_summary(plan, genesis))


def write_node(
    folder: Path,
    network: str,
    node: PlannedNode,
    key: ec.EllipticCurvePrivateKey,
    genesis: bytes,
    ca: tls.Issued,
    now: datetime.datetime,
    config: str,
) -> None:
    """Write all that a node needs into its folder, which must not exist; `config` is its node.toml."""
    folder.mkdir(parents=True, mode=0o700)
    hosts = list(dict.fromkeys([node.host, "localhost", "127.0.0.1"]))
    own = tls.issue(ca, node.id, [tls.node_name(node.id, network), *hosts], now)
    api = tls.issue(ca, f"{node.id} API", hosts, now, client=False)
    (folder / "genesis.bin").write_bytes(genesis)
    (folder / "ca.pem").write_bytes(ca.certificate)
    for name, issued in (("node", own), ("api", api)):
        (folder / f"{name}.pem").write_bytes(issued.certificate)
        tls.write_private(folder / f"{name}.key", issued.key)
    tls.write_private(folder / "signing.key", tls.private_pem(key))
    (folder / "node.toml").write_text(config, encoding="utf-8")


def _config(plan: NetworkPlan, member: PlannedMember, node: PlannedNode) -> str:
    return render_config(
        node=node.id,
        member=member.id,
        peer=Listen(node.host, node.peer_port),
        api=Listen(node.host, node.api_port),
        admin=Listen(node.host, node.admin_port),
        api_urls={other.id: url(other.host, other.api_port) for _, other in plan.nodes},
        timing=plan.timing,
        log=plan.log,
    )


def _write_member(
    plan: NetworkPlan,
    folder: Path,
    member: PlannedMember,
    genesis: bytes,
    ca: tls.Issued,
    now: datetime.datetime,
) -> None:
    folder.mkdir(parents=True, mode=0o700)
    operator = tls.issue(ca, f"{member.id} operators", [tls.operator_name(member.id, plan.name)], now)
    (folder / "genesis.bin").write_bytes(genesis)
    (folder / "ca.pem").write_bytes(ca.certificate)
    (folder / "operator.pem").write_bytes(operator.certificate)
    tls.write_private(folder / "operator.key", operator.key)


def _genesis(plan: NetworkPlan, member_keys: dict[str, Keys], node_keys: Keys, now_ms: int) -> bytes:
    """The checked document; the ledger's own objections come back as objections to the plan."""
    members = [
        GenesisMember(
            id=member.id,
            name=member.name,
            admin_policy=single_key(public_bytes(member_keys[member.id][ADMIN])),
            teller_policy=single_key(public_bytes(member_keys[member.id][TELLER])),
        )
        for member in sorted(plan.members, key=lambda member: member.id)
    ]
    assets = [
        GenesisAsset(
            code=asset.code,
            scale=asset.scale,
            issuer=asset.issuer,
            issuance_policy=single_key(public_bytes(member_keys[asset.issuer][ISSUANCE])),
            limit=asset.limit,
        )
        for asset in sorted(plan.assets, key=lambda asset: asset.code)
    ]
    nodes = [
        GenesisNode(
            id=node.id,
            member=member.id,
            key=public_bytes(node_keys[node.id]),
            address=f"{node.host}:{node.peer_port}",
        )
        for member, node in plan.nodes
    ]
    genesis = Genesis(
        format=1,
        name=plan.name,
        time_ms=now_ms,
        rules=RULES,
        parameters=DEFAULT_PARAMETERS,
        members=tuple(members),
        assets=tuple(assets),
        nodes=tuple(nodes),
    )
    try:
        return encode_genesis(genesis)
    except Malformed as error:
        raise PlanError(f"the plan gives no valid genesis: {error}") from error


def _member_keys(plan: NetworkPlan, member: PlannedMember) -> Keys:
    aliases = [ADMIN, TELLER, CUSTOMERS]
    if any(asset.issuer == member.id for asset in plan.assets):
        aliases.append(ISSUANCE)
    return {alias: _new_key(plan, f"member/{member.id}/{alias}") for alias in aliases}


def _new_key(plan: NetworkPlan, label: str) -> ec.EllipticCurvePrivateKey:
    if plan.seed is None:
        return ec.generate_private_key(ec.SECP256R1())
    scalar = int.from_bytes(hashlib.sha512(b"nostro/development-seed/v1\0" + plan.seed).digest(), "big")
    return derive_key(ec.derive_private_key(scalar % (P256_ORDER - 1) + 1, ec.SECP256R1()), label)


def _summary(plan: NetworkPlan, genesis: bytes) -> bytes:
    members = tuple(
        MemberPlace(member.id, member.name, f"members/{member.id}")
        for member in sorted(plan.members, key=lambda member: member.id)
    )
    nodes = tuple(node_place(member.id, node) for member, node in plan.nodes)
    summary = _Summary(plan.name, network_id(genesis).hex(), plan.seed is not None, nodes, members)
    return msgspec.json.format(msgspec.json.encode(summary), indent=2)


def node_place(member: str, node: PlannedNode) -> NodePlace:
    """Where a provisioned node is."""
    return NodePlace(
        node.id,
        member,
        f"nodes/{node.id}",
        url(node.host, node.api_port),
        url(node.host, node.admin_port),
    )


def note_node(network: ProvisionedNetwork, place: NodePlace) -> ProvisionedNetwork:
    """The network with one node more, also in its summary, which is replaced at once."""
    summary = _Summary(
        network.name, network.network_id.hex(), network.development, (*network.nodes, place), network.members
    )
    partial = network.directory / (SUMMARY_FILE + ".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2))
    partial.replace(network.directory / SUMMARY_FILE)
    return load_network(network.directory)


def url(host: str, port: int) -> str:
    """Where a port of a node is reached."""
    return f"https://{host}:{port}"
