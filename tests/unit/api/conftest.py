"""A real server on a loopback port around an instant ledger, and a client for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.limits import Limits
from api.protocol import server_settings
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost

TEST_LIMITS = Limits(head_timeout_ms=300, body_timeout_ms=300, connections=8)
"""The sizes are the real ones; the times are short, so that tests of slow clients are quick."""


@contextmanager
def serving(app: FastAPI, limits: Limits) -> Iterator[Api]:
    """Serve in a thread; the socket listens at once, so no one has to wait for the server."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **server_settings(limits)))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        yield Api(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """The application; each test puts its own ledger behind it."""
    return create_app(InstantHost(), TEST_LIMITS)


@pytest.fixture(scope="session")
def server(application: FastAPI) -> Iterator[Api]:
    """One server for all tests."""
    with serving(application, TEST_LIMITS) as api:
        yield api


@pytest.fixture
def host(application: FastAPI) -> InstantHost:
    """A fresh ledger behind the server."""
    application.state.host = InstantHost()
    found: InstantHost = application.state.host
    return found


@pytest.fixture
def api(server: Api, host: InstantHost) -> Api:
    """A client of the server, which has a fresh ledger."""
    return server
