"""Real HTTP servers on loopback that play nodes: each answers from a script, hangs, breaks off or is gone."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.bodies import Kind, Transfer
from ledger.envelope import build_payload
from ledger.keys import account_id, public_bytes
from ledger.outcome import OUTCOMES, Outcome
from wallet import answers
from wallet.ids import format_tx_id
from wallet.payment import sign_payload
from wallet.submission import view_outcome

Scene = Callable[[web.Request], Awaitable[web.StreamResponse]]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
KEY = ec.derive_private_key(5, ec.SECP256R1())
ALICE = account_id("alpha", "EUR", bytes(16))
BOB = account_id("beta", "EUR", bytes(16))


class PlayedNode:
    """One server. `requests` are (method, path with query, body), in order."""

    def __init__(self, url: str, script: tuple[Scene, ...]) -> None:
        self.url = url
        self.requests: list[tuple[str, str, bytes]] = []
        self._script = script

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Play the next scene; the last one is played again and again."""
        self.requests.append((request.method, request.path_qs, await request.read()))
        return await self._script[min(len(self.requests), len(self._script)) - 1](request)


@asynccontextmanager
async def play(*script: Scene, tls: ssl.SSLContext | None = None) -> AsyncIterator[PlayedNode]:
    """A running server; when the context ends it is gone, its open connections with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    node = PlayedNode(f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}", script)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", node.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=tls).start()
    try:
        yield node
    finally:
        await runner.cleanup()


def gone_url() -> str:
    """The URL of a node that isn't there any more: connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def envelope(number: int = 0) -> bytes:
    """A signed transfer with the id of that number."""
    payload = build_payload(
        network_id=bytes(32),
        tx_id=number.to_bytes(16),
        author=ALICE,
        kind=Kind.TRANSFER,
        body=Transfer(BOB, "EUR", 1),
        valid_from_ms=0,
        valid_until_ms=1,
        signers=[public_bytes(KEY)],
    )
    return sign_payload(payload, [KEY])


def tx_id(number: int = 0) -> str:
    """The text of that envelope's id."""
    return format_tx_id(number.to_bytes(16))


def submitted(number: int = 0, outcome: Outcome | None = Outcome.EXECUTED, status: str = "executed") -> bytes:
    """The JSON of an answer by the chain, or of a node's that took it (no outcome)."""
    shown = None if outcome is None else view_outcome(outcome)
    fields: dict[str, object] = {
        "tx_id": tx_id(number),
        "author": "alice",
        "status": status,
    }
    fields |= {} if shown is None else {"decided_by": "chain", "height": 7, "index": number}
    return msgspec.json.encode({**fields, **({} if shown is None else {"outcome": shown})})


def problem_of(
    status: int,
    outcome: Outcome | None = None,
    type_: str = "urn:nostro:problem:x",
    leader_url: str | None = None,
) -> answers.Problem:
    """A problem as nodes tell them."""
    title = "It can't." if outcome is None else OUTCOMES[outcome].sentence
    number = None if outcome is None else int(outcome)
    return answers.Problem(
        type=type_, title=title, status=status, detail="d", remedy="r", outcome=number, leader_url=leader_url
    )


def says(
    body: bytes,
    status: int = 200,
    media_type: str = "application/json",
    headers: Mapping[str, str] = NO_HEADERS,
) -> Scene:
    """A scene: this answer."""

    async def scene(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers, content_type=media_type)

    return scene


def refuses(
    status: int,
    outcome: Outcome | None = None,
    *,
    type_: str = "urn:nostro:problem:x",
    leader_url: str | None = None,
    retry_after: str | None = None,
) -> Scene:
    """A scene: this problem."""
    headers = NO_HEADERS if retry_after is None else {"Retry-After": retry_after}
    body = msgspec.json.encode(problem_of(status, outcome, type_, leader_url))
    return says(body, status, "application/problem+json", headers)


async def hangs(_: web.Request) -> web.StreamResponse:
    """A scene: never an answer, until the server is gone."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """A scene: the connection is cut before an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """A scene: half an answer, then the connection is cut."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"tx_id":')
    assert request.transport is not None
    request.transport.abort()
    return response
