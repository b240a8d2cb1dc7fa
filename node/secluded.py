"""A network's folder for copies of its nodes, which reach nobody but each other.

They listen on this machine alone, every other node that the chain knows stands in their configuration at an
address where nothing listens, and their certificates are of an authority made for them: no link with a real
node comes about, whoever dials. Their signing keys are the real ones, for the chain knows no others. It must
not know what the copies are for.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.keys import public_bytes
from node import tls
from node.config import Listen, LogSection, NodeConfig, Timing, load_config, render_config
from node.further_node import FurtherNode
from node.local import free_node_ports
from node.plan import PORTS_A_NODE, PlannedNode
from node.provision import ProvisionedNetwork, node_place, note_node, url, write_node

HOST = "127.0.0.1"
NOWHERE = f"{HOST}:1"
"""Where nodes are looked for that must not be found: no server listens on TCP's first port."""


@dataclass(frozen=True, slots=True)
class _Copies:
    """What the configurations of all copies have in common."""

    nodes: tuple[PlannedNode, ...]
    known: Collection[str]
    timing: Timing
    log: LogSection


def seclude(
    network: ProvisionedNetwork,
    target: Path,
    keys: Mapping[str, ec.EllipticCurvePrivateKey],
    known: Collection[str],
) -> ProvisionedNetwork:
    """Make the folder `target` for copies of the nodes whose signing keys these are, without their stores.

    `known` are the ids of all nodes that the chain knows. Raises ConfigError, ProvisionError, OSError.
    """
    now = datetime.datetime.now(datetime.UTC)
    ca = tls.create_ca(network.name, now)
    (target / "ca").mkdir(mode=0o700, parents=True)
    tls.write_private(target / "ca" / "ca.key", ca.key)
    for folder in (target, target / "ca"):
        (folder / "ca.pem").write_bytes(ca.certificate)
    (target / "genesis.bin").write_bytes(network.genesis.read_bytes())
    made = ProvisionedNetwork(
        target.absolute(), network.name, network.network_id, network.development, (), network.members
    )
    originals = [load_config(network.config(node)) for node in sorted(keys)]
    planned = _planned([original.node for original in originals])
    copies = _Copies(planned, known, originals[0].timing, originals[0].log)
    for original, node in zip(originals, planned, strict=True):
        made = _write(made, copies, node, original.member, keys[node.id])
    return made


def add_secluded(
    secluded: ProvisionedNetwork, node: str, member: str, known: Collection[str]
) -> tuple[ProvisionedNetwork, FurtherNode]:
    """Make the folder of one more node, with a key of its own; it finds the others, and they it by the chain.

    Raises as `seclude` does.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    (planned,) = _planned([node])
    others = [load_config(secluded.config(place.id)) for place in secluded.nodes]
    copies = _Copies((*map(_node_of, others), planned), known, others[0].timing, others[0].log)
    made = _write(secluded, copies, planned, member, key)
    address = f"{HOST}:{planned.peer_port}"
    return made, FurtherNode(node_place(member, planned), public_bytes(key), address)


def _planned(ids: list[str]) -> tuple[PlannedNode, ...]:
    """These nodes on free ports of this machine."""
    ports = free_node_ports(len(ids))
    starts = range(0, len(ports), PORTS_A_NODE)
    return tuple(
        PlannedNode(node, HOST, *ports[start : start + PORTS_A_NODE])
        for node, start in zip(ids, starts, strict=True)
    )


def _node_of(config: NodeConfig) -> PlannedNode:
    return PlannedNode(config.node, HOST, config.peer.port, config.api.port, config.admin.port)


def _write(
    made: ProvisionedNetwork,
    copies: _Copies,
    node: PlannedNode,
    member: str,
    key: ec.EllipticCurvePrivateKey,
) -> ProvisionedNetwork:
    """Write one node's folder and its operators' certificate, and note the node."""
    now = datetime.datetime.now(datetime.UTC)
    ca = tls.read_ca(made.directory / "ca")
    config = render_config(
        node=node.id,
        member=member,
        peer=Listen(HOST, node.peer_port),
        api=Listen(HOST, node.api_port),
        admin=Listen(HOST, node.admin_port),
        api_urls={each.id: url(HOST, each.api_port) for each in copies.nodes},
        peer_addresses=dict.fromkeys(copies.known, NOWHERE)
        | {each.id: f"{HOST}:{each.peer_port}" for each in copies.nodes},
        timing=copies.timing,
        log=copies.log,
    )
    folder = made.directory / "nodes" / node.id
    write_node(folder, made.name, node, key, made.genesis.read_bytes(), ca, now, config)
    _write_operator(made, ca, member, now)
    return note_node(made, node_place(member, node))


def _write_operator(made: ProvisionedNetwork, ca: tls.Issued, member: str, now: datetime.datetime) -> None:
    """What opens the admin ports of a member's nodes here."""
    files = made.operator_files(member)
    issued = tls.issue(ca, f"{member} operators", [tls.operator_name(member, made.name)], now)
    files.ca.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.ca.write_bytes(ca.certificate)
    files.certificate.write_bytes(issued.certificate)
    tls.write_private(files.key, issued.key)
