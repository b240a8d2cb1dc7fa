"""The node's own port for its operators, over mutual TLS: how the node is, and what they may ask of it.

Only a certificate of this node's own member opens it. It knows nothing of the node beyond what it is
given to ask and to do.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from ledger.handovers import HandoverMissing
from node import tls
from node.handover import HandoverRefused
from node.report import NodeReport

REPORT_PATH = "/admin/v1/status"
TRANSFER_PATH = "/admin/v1/leader/transfer"
SNAPSHOT_PATH = "/admin/v1/snapshot"
PRUNE_PATH = "/admin/v1/prune"
METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""


@dataclass(frozen=True, slots=True)
class AdminQuestions:
    """What the port asks and does.

    `not_ready` gives the reason why the node isn't ready, or None when it is. `hand_over` begins to hand
    leadership to the named voter, or to the furthest one; it gives the voter's id, or raises HandoverRefused.
    `snapshot` makes a snapshot of now, and gives its folder or None; it raises HandoverMissing where none can
    be proved. `prune` forgets blocks, all but so many.
    """

    not_ready: Callable[[], str | None]
    metrics: Callable[[], bytes]
    report: Callable[[], NodeReport]
    hand_over: Callable[[str | None], str]
    snapshot: Callable[[], Awaitable[Path | None]]
    prune: Callable[[int], Awaitable[int]]


class HandingOver(msgspec.Struct, frozen=True):
    """The answer to a request to hand leadership over: `to` was told to lead."""

    to: str


class SnapshotMade(msgspec.Struct, frozen=True):
    """The answer to a request for a snapshot: the folder on the node's machine that holds it."""

    folder: str


class Pruned(msgspec.Struct, frozen=True):
    """The answer to a request to forget blocks: the highest whose body the node doesn't hold any more."""

    height: int


class AdminRefusal(msgspec.Struct, frozen=True):
    """Why a request of an operator wasn't done, and what to do."""

    reason: str


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
        application.router.add_get(REPORT_PATH, self._report)
        application.router.add_post(TRANSFER_PATH, self._transfer)
        application.router.add_post(SNAPSHOT_PATH, self._snapshot)
        application.router.add_post(PRUNE_PATH, self._prune)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context that the port serves under."""
        return self._context

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

    async def _report(self, request: web.Request) -> web.Response:
        return _json(200, self._questions.report())

    async def _transfer(self, request: web.Request) -> web.Response:
        """202 once the successor was chosen: whether it leads, the report tells. 409 where there is none."""
        try:
            return _json(202, HandingOver(self._questions.hand_over(request.query.get("to"))))
        except HandoverRefused as error:
            return _json(409, AdminRefusal(str(error)))

    async def _snapshot(self, request: web.Request) -> web.Response:
        """200 once it is made, 409 where its height isn't certified in time or can't be proved."""
        try:
            folder = await self._questions.snapshot()
        except HandoverMissing as error:
            return _json(409, AdminRefusal(f"no snapshot can be proved: {error}"))
        if folder is None:
            return _json(
                409, AdminRefusal("its newest block isn't certified yet: a quorum of nodes must run")
            )
        return _json(200, SnapshotMade(str(folder)))

    async def _prune(self, request: web.Request) -> web.Response:
        """200 with what isn't held any more; 400 where too few blocks would be left."""
        keep = request.query.get("keep", "")
        if not keep.isascii() or not keep.isdigit():
            return _json(400, AdminRefusal("`keep` must say how many of the newest blocks are to stay"))
        try:
            return _json(200, Pruned(await self._questions.prune(int(keep))))
        except ValueError as error:
            return _json(400, AdminRefusal(str(error)))


def _json(status: int, document: msgspec.Struct) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(document), content_type="application/json")
