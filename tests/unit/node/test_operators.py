"""Asking a node's admin port: answers of another version's form are told, not raised as a decoder's error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from node import tls
from node.operators import AdminPort, AdminRefused, hand_over, make_snapshot, report
from tests.unit.node.test_admin import NETWORK, files


async def _asked(folder: Path, status: int, question: Callable[[AdminPort], Awaitable[object]]) -> None:
    """Ask a port that answers everything with a document which nobody reads."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"node": 7}, status=status)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    node = files(folder, "node", tls.node_name("alpha-1", NETWORK))
    await web.SockSite(runner, listener, ssl_context=tls.peer_server_context(node)).start()
    operator = files(folder, "operator", tls.operator_name("alpha", NETWORK))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    try:
        await question(AdminPort(url, tls.node_name("alpha-1", NETWORK), operator))
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "question"),
    [(200, report), (200, make_snapshot), (202, lambda port: hand_over(port, None)), (409, make_snapshot)],
)
def test_an_answer_of_another_version_is_told(
    tmp_path: Path, status: int, question: Callable[[AdminPort], Awaitable[object]]
) -> None:
    """It names the port, what doesn't fit, and what to do."""
    with pytest.raises(AdminRefused, match=r"https://127\.0\.0\.1:\d+ answers what .* use a program of"):
        asyncio.run(_asked(tmp_path, status, question))
