"""The node's own port for its operators: /livez, /readyz and /metrics, over mutual TLS.

Only a certificate of this node's own member opens it. It knows nothing of the node beyond the
questions that it is given.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from node import tls


@dataclass(frozen=True, slots=True)
class AdminQuestions:
    """What the port answers. `not_ready` gives the reason why the node isn't ready, or None when it is."""

    not_ready: Callable[[], str | None]
    metrics: Callable[[], bytes]


METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""


class AdminServer:
    """The running port. `close` ends it."""

    def __init__(self, files: tls.TlsFiles, operators: str, questions: AdminQuestions) -> None:
        """`operators` is the DNS name that an operator's certificate must have; raises TlsError."""
        self._context = tls.peer_server_context(files)
        self._operators = operators
        self._questions = questions
        application = web.Application(middlewares=[self._operators_only])
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=self._context).start()

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()

    @web.middleware
    async def _operators_only(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        if self._operators not in tls.dns_names(certificate):
            return web.Response(
                status=403, text=f"This port wants a certificate of {self._operators}; yours is another's.\n"
            )
        return await handler(request)

    async def _livez(self, request: web.Request) -> web.Response:
        """The process runs and its loop turns."""
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        """The node can take payments now, or 503 and why it can't."""
        reason = self._questions.not_ready()
        if reason is None:
            return web.Response(text="ready\n")
        return web.Response(status=503, text=f"not ready: {reason}\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._questions.metrics(), headers={"Content-Type": METRICS_CONTENT_TYPE})
