"""A client that is closed leaves no connection behind, whatever its node does: one that is paused or killed
never says its TLS farewell.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.wallet.no_farewell import CLOSING, left_open, never_farewell
from tests.unit.wallet.test_client_tls import self_signed
from wallet.transport import Lost, Request, Transport, tls_context

REQUEST = Request(method="GET", path="/")
TIMEOUT_S = 10.0


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return self_signed(tmp_path, "node")


def server_context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def gives_up(context: ssl.SSLContext, address: str, moments: list[Callable[[], object]]) -> None:
    """Ask, and be cancelled at the moment when what is put into `moments` is called. Nothing of it stays
    there: whatever the request has left open could not be found to be garbage.
    """
    async with Transport(context) as transport:
        asking = asyncio.create_task(transport.exchange(f"https://{address}", REQUEST, TIMEOUT_S))
        moments.append(asking.cancel)
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        moments.clear()


def test_after_an_answer_that_ends_the_connection(pem: Path) -> None:
    """The answer is whole, and the connection isn't kept."""

    async def scenario() -> None:
        async with Transport(tls_context(pem)) as transport:
            assert (await transport.exchange(f"https://{address}", REQUEST, TIMEOUT_S)).status == 404

    with never_farewell(server_context(pem), CLOSING) as address:
        assert left_open(scenario) == []


def test_after_an_answer_that_is_none(pem: Path) -> None:
    """What came can't be read: aiohttp says farewell by itself, and again when the request ends."""

    async def scenario() -> None:
        async with Transport(tls_context(pem)) as transport:
            with pytest.raises(Lost):
                await transport.exchange(f"https://{address}", REQUEST, TIMEOUT_S)

    with never_farewell(server_context(pem), b"no HTTP\r\n\r\n") as address:
        assert left_open(scenario) == []


def test_after_a_request_that_is_given_up(pem: Path) -> None:
    """The node has the request and doesn't answer, as one that is paused."""
    moments: list[Callable[[], object]] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def scenario() -> None:
        loops.append(asyncio.get_running_loop())
        await gives_up(tls_context(pem), address, moments)

    def heard() -> None:
        loops[0].call_soon_threadsafe(moments[0])

    with never_farewell(server_context(pem), b"", heard) as address:
        assert left_open(scenario) == []


def test_after_a_request_that_is_given_up_just_when_the_handshake_is_complete(pem: Path) -> None:
    """asyncio has the connection, and aiohttp never gets it."""
    moments: list[Callable[[], object]] = []

    class Telling(ssl.SSLObject):
        """Tells when the handshake is complete: asyncio asks for the cipher then."""

        def cipher(self) -> tuple[str, str, int] | None:
            moments[0]()
            return super().cipher()

    context = tls_context(pem)
    context.sslobject_class = Telling
    with never_farewell(server_context(pem), b"") as address:
        assert left_open(lambda: gives_up(context, address, moments)) == []
