"""Examines one node, running or stopped: everything that keeps it from working, or soon will.

It must not know how a check is done, nor how the findings are shown. Nothing is changed or mended.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

from ledger.codec import Malformed
from ledger.genesis import Genesis, decode_genesis
from ledger.records import RETIRED
from node.config import ConfigError, NodeConfig, load_config
from node.doctor_files import (
    Stored,
    check_certificates,
    check_configuration,
    check_disk,
    check_membership,
    check_signing_key,
    check_store,
)
from node.doctor_links import check_peers, check_ports
from node.findings import FAILED, OK, Finding, failed
from wallet.client import Client
from wallet.errors import NotReachable
from wallet.replies import Refused

API_TIMEOUT_MS = 2_000


async def examine(path: Path) -> list[Finding]:
    """All that is found about the node with that configuration, in the order of the checks."""
    try:
        config = load_config(path)
        genesis_raw = config.genesis.read_bytes()
        genesis = decode_genesis(genesis_raw)
    except ConfigError as error:
        return [failed("configuration", error)]
    except (OSError, Malformed) as error:
        return [
            Finding(
                "genesis",
                FAILED,
                f"genesis can't be read: {error}.",
                "Take genesis.bin from the network's folder or another bank: its hash is the network's id.",
            )
        ]
    now = datetime.datetime.now(datetime.UTC)
    store, stored = check_store(config, genesis_raw)
    return [
        *check_configuration(config),
        check_signing_key(config, genesis, stored, in_use=stored is None and store.result == OK),
        *check_certificates(config, genesis.name, now),
        *check_ports(config),
        check_disk(config.data),
        store,
        *check_membership(config.node, stored),
        *await check_peers(config, genesis.name, await _addresses(config, genesis, stored)),
    ]


async def _addresses(config: NodeConfig, genesis: Genesis, stored: Stored | None) -> Mapping[str, str]:
    """Where the other nodes are: by the store, else by the running node, else by genesis."""
    found = {node.id: node.address for node in genesis.nodes}
    if stored is not None:
        found = {node.id: node.address for node in stored.nodes.values() if node.status != RETIRED}
    else:
        found |= await _by_running_node(config)
    found.pop(config.node, None)
    return {node: config.peer_addresses.get(node, address) for node, address in sorted(found.items())}


async def _by_running_node(config: NodeConfig) -> Mapping[str, str]:
    """The peers that the node itself names, if it runs; genesis may be older than they are."""
    url = config.api_urls.get(config.node)
    if url is None:
        return {}
    try:
        async with Client([url], ca_file=config.ca, timeout_ms=API_TIMEOUT_MS) as client:
            return {peer.node: peer.address for peer in (await client.cluster()).peers}
    except (NotReachable, Refused, OSError):
        # It doesn't run, or is retired, or the CA's file can't be read, which another check says.
        return {}
