"""An end of peer links on a real socket under real TLS, with a driver that records what it hears.

It must not know what a test checks.
"""

from __future__ import annotations

import asyncio
import datetime
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from node import tls
from node.messages import Hello, NodeMessage
from node.peers import PeerLinks, PeerSettings

NETWORK = "testnet"
NETWORK_ID = bytes(32)
NOW = datetime.datetime.now(datetime.UTC)
CA = tls.create_ca(NETWORK, NOW)
MEBIBYTE = 1024 * 1024


class Recorder:
    """A driver that says Hello on every link and remembers what it hears, as the real one is called."""

    def __init__(self, links: PeerLinks, node: str, network_id: bytes = NETWORK_ID) -> None:
        self.links, self.node, self.network_id = links, node, network_id
        self.heard: list[tuple[str, NodeMessage]] = []
        self.events: list[str] = []
        self.changed = asyncio.Condition()

    def on_connected(self, peer: str) -> None:
        self.events.append(f"connected {peer}")
        self.links.send(peer, Hello(self.network_id, self.node, bytes(16), 0, 0))
        self._wake()

    def on_disconnected(self, peer: str) -> None:
        self.events.append(f"disconnected {peer}")
        self._wake()

    def on_message(self, sender: str, message: NodeMessage) -> None:
        self.heard.append((sender, message))
        self._wake()

    def _wake(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        self._task = asyncio.ensure_future(notify())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(condition)


class Lines:
    """A log that keeps its events and wakes who waits for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.arrived = asyncio.Event()

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))
        self.arrived.set()

    warning = info
    error = info

    async def until(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                for name, fields in self.lines:
                    if name == event:
                        return fields
                self.arrived.clear()
                await self.arrived.wait()


class SeededRandom:
    """Chance under a seed, so that backoffs are the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(1)

    def randrange(self, stop: int) -> int:
        return self._random.randrange(stop)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def files(folder: Path, name: str, issued: tls.Issued) -> tls.TlsFiles:
    made = tls.TlsFiles(folder / f"{name}.ca", folder / f"{name}.pem", folder / f"{name}.key")
    for path, data in zip(made, (CA.certificate, issued.certificate, issued.key), strict=True):
        path.write_bytes(data)
    return made


def node_files(folder: Path, node: str, ca: tls.Issued = CA) -> tls.TlsFiles:
    return files(folder, node, tls.issue(ca, node, [tls.node_name(node, NETWORK)], NOW))


def listen() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"127.0.0.1:{listener.getsockname()[1]}"


class Node:
    """One end: links, their recorder and log."""

    def __init__(
        self,
        folder: Path,
        node: str,
        known: dict[str, str],
        *,
        queue_bytes: int = 8 * MEBIBYTE,
        message_bytes: int = 8 * MEBIBYTE,
        knocked: Callable[[str], None] = lambda node: None,
    ) -> None:
        made = node_files(folder, node)
        limits = (queue_bytes, message_bytes)
        settings = PeerSettings(node, NETWORK, NETWORK_ID, made, lambda: known, *limits, knocked)
        self.log = Lines()
        self.links = PeerLinks(settings, SeededRandom(), self.log)
        self.recorder = Recorder(self.links, node)


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.Response]],
    listener: socket.socket,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """A web server that gives one answer to everything."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=context).start()
    try:
        yield
    finally:
        await runner.cleanup()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)
