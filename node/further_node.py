"""A further node for a network that exists: its key, certificates and configuration, in the network's folder.

It must not know the chain: that the members register the node, and let it take part, is their decision.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.keys import public_bytes
from node import tls
from node.config import Listen, NodeConfig, load_config, render_config
from node.plan import PORTS_A_NODE, PlannedNode, check_node
from node.provision import (
    NodePlace,
    ProvisionedNetwork,
    ProvisionError,
    node_place,
    note_node,
    url,
    write_node,
)

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class FurtherNode:
    """A node that was written: where it is, and what the members register of it."""

    place: NodePlace
    key: bytes
    address: str


def free_base_port(network: ProvisionedNetwork) -> int:
    """The port after all that the network's nodes have; raises ProvisionError if there is no room."""
    ports = [
        listen.port
        for config in _configs(network).values()
        for listen in (config.peer, config.api, config.admin)
    ]
    first = max(ports, default=0) + 1
    if first + PORTS_A_NODE - 1 > HIGHEST_PORT:
        raise ProvisionError("no port above those of the other nodes is left. Name one with --base-port.")
    return first


def add_node(network: ProvisionedNetwork, node: PlannedNode, member: str) -> FurtherNode:
    """Write the folder of a further node of `member`, with the network's own CA.

    It knows the addresses of all nodes in the folder, so that it finds those that genesis doesn't name.
    Raises PlanError for an id or a port that is none, and ProvisionError.
    """
    check_node(node)
    _check(network, node.id, member)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    try:
        write_node(
            network.directory / "nodes" / node.id,
            network.name,
            node,
            key,
            network.genesis.read_bytes(),
            tls.read_ca(network.directory / "ca"),
            now,
            _config(network, node, member),
        )
        place = node_place(member, node)
        note_node(network, place)
    except OSError as error:
        raise ProvisionError(
            f"cannot write node {node.id} to {network.directory}: {error.strerror} ({error.filename})."
        ) from error
    return FurtherNode(place, public_bytes(key), f"{node.host}:{node.peer_port}")


def _check(network: ProvisionedNetwork, node: str, member: str) -> None:
    if any(place.id == node for place in network.nodes):
        raise ProvisionError(f"{network.directory} has a node {node} already: an id is never used twice.")
    if all(place.id != member for place in network.members):
        known = ", ".join(place.id for place in network.members)
        raise ProvisionError(f"{network.directory} has no member {member}. Its members: {known}.")


def _config(network: ProvisionedNetwork, node: PlannedNode, member: str) -> str:
    others = _configs(network)
    first = next(iter(others.values()), None)
    return render_config(
        node=node.id,
        member=member,
        peer=Listen(node.host, node.peer_port),
        api=Listen(node.host, node.api_port),
        admin=Listen(node.host, node.admin_port),
        api_urls={place.id: place.api_url for place in network.nodes}
        | {node.id: url(node.host, node.api_port)},
        peer_addresses={id_: f"{other.peer.host}:{other.peer.port}" for id_, other in others.items()},
        timing=first.timing if first is not None else None,
        log=first.log if first is not None else None,
    )


def _configs(network: ProvisionedNetwork) -> dict[str, NodeConfig]:
    """The configurations of the nodes that are still in the folder, and not only in its summary."""
    paths = {place.id: network.config(place.id) for place in network.nodes}
    return {id_: load_config(path) for id_, path in paths.items() if path.exists()}
