"""Whoever asks a node from this program leaves no connection behind, though the node never says farewell."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from node import tls
from node.config import load_config
from node.doctor_links import check_peers
from node.local import LocalNetwork, free_node_ports
from node.operators import admin_port, ask
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network
from node.snapshot_fetch import PeerClient
from tests.unit.node.peer_ends import Node, listen, node_files
from tests.unit.wallet.no_farewell import CLOSING, left_open, never_farewell
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

ASKING, ASKED = "alpha-1", "bravo-1"


def node_tls(network: ProvisionedNetwork, node: str) -> tls.TlsFiles:
    config = load_config(network.config(node))
    return tls.TlsFiles(config.ca, config.certificate, config.key)


async def by_an_operator(network: ProvisionedNetwork, _: str) -> None:
    assert (await ask(admin_port(network, ASKED), "/"))[0] == 404


async def by_who_runs_it(network: ProvisionedNetwork, _: str) -> None:
    assert (await LocalNetwork(network).ask_admin(ASKED, "/"))[0] == 404


async def by_a_peer(network: ProvisionedNetwork, address: str) -> None:
    context = tls.peer_client_context(node_tls(network, ASKING))
    async with PeerClient(context, network.name, lambda: {ASKED: address}) as client:
        assert (await client.ask(ASKED, "/")).status == 404


async def by_the_doctor(network: ProvisionedNetwork, address: str) -> None:
    found = await check_peers(load_config(network.config(ASKING)), network.name, {ASKED: address})
    assert "lets this node in" in found[0].what


@pytest.mark.parametrize("asked", [by_an_operator, by_who_runs_it, by_a_peer, by_the_doctor])
def test_an_answer_leaves_no_connection(
    tmp_path: Path, asked: Callable[[ProvisionedNetwork, str], Coroutine[object, object, None]]
) -> None:
    """Each way to ask a node, answered once and never bidden farewell."""
    plan = plan_network(nodes=2, ports=free_node_ports(2))
    cost = ScryptCost(n=LEAST_SCRYPT_N)
    network = create_network(plan, tmp_path / "net", "passphrase", keystore_cost=cost)
    port = urlsplit(LocalNetwork(network).place(ASKED).admin_url).port
    assert port is not None
    context = tls.peer_server_context(node_tls(network, ASKED))
    with never_farewell(context, CLOSING, port=port) as address:
        assert left_open(lambda: asked(network, address)) == []


def test_links_that_are_closed_leave_no_connection(tmp_path: Path) -> None:
    """The peer answers that it opens no link."""

    async def scenario() -> None:
        listener, at_alpha = listen()
        alpha = Node(tmp_path, ASKING, {ASKING: at_alpha, ASKED: address})
        await alpha.links.start(listener, alpha.recorder)
        await alpha.log.until("peer_unreachable")
        await alpha.links.close()

    with never_farewell(tls.peer_server_context(node_files(tmp_path, ASKED)), CLOSING) as address:
        assert left_open(scenario) == []
