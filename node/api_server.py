"""The HTTP API's server inside a node: uvicorn on a socket that is bound already, ended with the node.

It must not know the application that it serves.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.protocol import server_settings
from node.tasks import raise_what_it_raised


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the node decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_api(
    application: ASGIApp, listener: socket.socket, context: ssl.SSLContext, stop_timeout_ms: int
) -> AsyncIterator[None]:
    """Serve meanwhile; at the end, answers under way have `stop_timeout_ms` left."""
    settings = uvicorn.Config(
        application,
        ssl_context_factory=lambda _config, _default: context,
        timeout_graceful_shutdown=max(1, stop_timeout_ms // 1_000),
        **server_settings(),
    )
    server = _Server(settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    serving.add_done_callback(raise_what_it_raised)
    try:
        yield
    finally:
        server.should_exit = True
        await serving
