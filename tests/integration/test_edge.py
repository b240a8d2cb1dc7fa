"""What stands at a running node's three doors, and is not let in or can't hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from pathlib import Path

import aiohttp
import pytest

from node import tls
from node.config import load_config
from node.local import LocalNetwork, wait_until
from node.peers import PEER_PATH
from tests.integration.harness import Bank, funded
from wallet.connections import Connections

pytestmark = pytest.mark.processes

NODE = "alpha-1"
KNOCK = (
    b"GET %s HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def _trusting(network: LocalNetwork) -> ssl.SSLContext:
    return tls.trusting_context(network.network.ca)


async def _knock_as(network: LocalNetwork, context: ssl.SSLContext) -> str:
    """Try to open a peer link: the HTTP status that came back, or that the connection was closed."""
    address = load_config(network.network.config(NODE)).peer
    name = tls.node_name(NODE, network.network.name)
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname=name
    )
    try:
        writer.write(KNOCK % PEER_PATH.encode())
        words = (await reader.readline()).split()
    except (ssl.SSLError, ConnectionError):
        return "closed"
    finally:
        # A TLS end that is being refused may never finish its farewell: nothing is left to be said.
        writer.transport.abort()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()
    return words[1].decode() if words else "closed"


@pytest.mark.parametrize("stranger", ["without a certificate", "of another CA", "not on the chain"])
def test_a_stranger_gets_no_peer_link_and_is_logged(
    running: LocalNetwork, tmp_path: Path, stranger: str
) -> None:
    """The node goes on, and its log says that somebody knocked."""
    network = running.network
    now = datetime.datetime.now(datetime.UTC)
    context = _trusting(running)
    if stranger != "without a certificate":
        ca_folder = network.directory / "ca"
        own = tls.Issued((ca_folder / "ca.pem").read_bytes(), (ca_folder / "ca.key").read_bytes())
        ca = own if stranger == "not on the chain" else tls.create_ca(network.name, now)
        issued = tls.issue(ca, "zulu-1", [tls.node_name("zulu-1", network.name)], now)
        (tmp_path / "cert").write_bytes(issued.certificate)
        tls.write_private(tmp_path / "key", issued.key)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    before = running.log_file(NODE).read_text().count("peer_refused")

    async def scenario() -> None:
        refused = "403" if stranger == "not on the chain" else "closed"
        assert await _knock_as(running, context) == refused

        async def logged() -> bool:
            # A line a second at most: keep knocking until this one's turn has come.
            await _knock_as(running, context)
            return running.log_file(NODE).read_text().count("peer_refused") > before

        await wait_until(logged, 10, "the refusal is in the log")
        assert (await running.ask_admin(NODE, "/readyz"))[0] == 200

    asyncio.run(scenario())


def test_operators_see_health_and_metrics_and_only_of_their_own_node(running: LocalNetwork) -> None:
    """The metrics name heights; another bank's operators get nothing."""

    async def scenario() -> None:
        assert await running.ask_admin(NODE, "/livez") == (200, "alive\n")
        status, metrics = await running.ask_admin(NODE, "/metrics")
        assert status == 200
        assert 'nostro_height{stage="executed"}' in metrics
        context = tls.peer_client_context(running.network.operator_files("bravo"))
        url = running.place(NODE).admin_url + "/metrics"
        name = tls.node_name(NODE, running.network.name)
        async with (
            aiohttp.ClientSession(connector=Connections()) as session,
            session.get(url, ssl=context, server_hostname=name) as response,
        ):
            assert response.status == 403

    asyncio.run(scenario())


def test_over_long_headers_are_refused_and_the_node_goes_on(running: LocalNetwork) -> None:
    """The limit of the API holds through TLS and the real server."""

    async def scenario() -> None:
        url = running.place(NODE).api_url + "/v1/network"
        async with aiohttp.ClientSession(connector=Connections()) as session:
            headers = {"X-Long": "x" * 20_000}
            async with session.get(url, ssl=_trusting(running), headers=headers) as response:
                assert response.status == 431
            async with session.get(url, ssl=_trusting(running)) as response:
                assert response.status == 200

    asyncio.run(scenario())


def test_clients_that_never_finish_their_requests_hold_nobody_up(running: LocalNetwork, bank: Bank) -> None:
    """Fifty half-sent requests stand open while a payment goes through."""

    async def scenario() -> None:
        place = load_config(running.network.config(NODE)).api
        slow = [
            await asyncio.open_connection(place.host, place.port, ssl=_trusting(running)) for _ in range(50)
        ]
        for number, (_, writer) in enumerate(slow):
            head = b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/msgpack\r\n"
            writer.write(head if number % 2 else head + b"Content-Length: 500\r\n\r\n\x92")
            await writer.drain()
        async with bank.client(NODE) as client:
            await funded(bank, client, 100)
        for _, writer in slow:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for _, writer in slow), return_exceptions=True)

    asyncio.run(scenario())
