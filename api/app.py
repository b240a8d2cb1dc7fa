"""Puts the HTTP face together: routes, guards and error answers around one Host.

Must not know what the routes do, nor how a server listens (api.protocol has the settings for that).
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import accounts, blocks, network, payments
from api.errors import add_error_answers
from api.guard import BodyGuard, BodyLimit
from api.limits import DEFAULT_LIMITS, Limits
from api.openapi import openapi_document
from api.ports import Host
from api.reading import MSGPACK
from api.submit import BATCH_PATH, SUBMIT_ROUTES

TITLE: Final = "Nostro"
API_VERSION: Final = "1"
NO_TELEMETRY: Final = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""A node's environment must not decide that its requests are reported elsewhere."""


def create_app(host: Host, limits: Limits = DEFAULT_LIMITS) -> FastAPI:
    """The ASGI application that answers for this host, its bodies held to these limits."""
    app = described_app()
    app.state.host = host
    app.add_middleware(
        BodyGuard,
        limit_of=_body_limit(limits),
        discard_bytes=limits.discard_bytes,
        timeout_ms=limits.body_timeout_ms,
    )
    return app


def described_app() -> FastAPI:
    """The routes and their description, with nobody behind them yet."""
    app: FastAPI = FastAPIOffline(
        title=TITLE, version=API_VERSION, redirect_slashes=False, telemetry=NO_TELEMETRY
    )
    # Routes are tried in order, and these are asked for most.
    app.router.routes[:0] = SUBMIT_ROUTES
    for module in (payments, accounts, blocks, network):
        app.include_router(module.router)
    add_error_answers(app)
    document = openapi_document(app)
    app.openapi = lambda: document  # type: ignore[method-assign]  # as FastAPI's own documentation has it
    return app


def _body_limit(limits: Limits) -> BodyLimit:
    def limit_of(path: str, media: str) -> int:
        if path == BATCH_PATH:
            return limits.batch_bytes
        return limits.envelope_bytes if media == MSGPACK else limits.json_bytes

    return limit_of
