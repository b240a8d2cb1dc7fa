"""Bounds what a request's body may cost, as pure ASGI middleware: its size, and the time it takes to arrive.

The whole body is read here, before any route is entered, so that a route never waits for a client. Must not
know what a body means. What comes before the body (line and headers) is bounded by api.protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import BODY_TOO_LARGE, BODY_TOO_SLOW, RequestProblem, problem_of, respond

BodyLimit = Callable[[str, str], int]
"""The most bytes that a body may have, by path and media type."""


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


def header(scope: Scope, name: bytes) -> str:
    """The first header of that (lower-case) name, or an empty string."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


def media_type(scope: Scope) -> str:
    """The body's media type, lower-case and without parameters; an empty string where none is given."""
    return header(scope, b"content-type").partition(";")[0].strip().lower()


class BodyGuard:
    """Reads bodies under a limit and a deadline; answers 413 or 408 and closes the connection beyond them."""

    def __init__(self, app: ASGIApp, *, limit_of: BodyLimit, discard_bytes: int, timeout_ms: int) -> None:
        self._app = app
        self._limit_of = limit_of
        self._discard_bytes = discard_bytes
        self._timeout_ms = timeout_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its whole body, or answer for it."""
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except ClientGone:
            return
        except RequestProblem as problem:
            found = problem_of(problem.kind, problem.detail, scope["path"])
            # What is left of the body is not worth reading: the connection goes with it.
            await respond(found, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        limit_bytes = self._limit_of(scope["path"], media_type(scope))
        declared = header(scope, b"content-length")
        too_large = declared.isdecimal() and int(declared) > limit_bytes
        if too_large and header(scope, b"expect"):
            # It asks before it sends: the answer is no, and reading on would be a yes.
            raise _too_large(limit_bytes)
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                return await _collect(receive, limit_bytes, self._discard_bytes)
        except TimeoutError:
            raise RequestProblem(
                BODY_TOO_SLOW, f"The body was not complete {self._timeout_ms} ms after the headers."
            ) from None


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    names = [name for name, _ in headers]
    return b"content-length" in names or b"transfer-encoding" in names


def _too_large(limit_bytes: int) -> RequestProblem:
    return RequestProblem(
        BODY_TOO_LARGE, f"The body has more than the {limit_bytes} bytes that are taken here."
    )


async def _collect(receive: Receive, limit_bytes: int, discard_bytes: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size_bytes += len(part)
        parts.append(part)
        if size_bytes > limit_bytes:
            # Closing on a client that is still sending would lose the answer on its way.
            parts.clear()
            if size_bytes > limit_bytes + discard_bytes or not message.get("more_body", False):
                raise _too_large(limit_bytes)
        elif not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
