"""The connection under the HTTP face: uvicorn's httptools protocol, with a request's head bounded.

uvicorn leaves open how large the headers may grow, how long they may take, how long an answer may lie
unread, and what a refused connection is told. Here they are bounded and told as problems. Must not know of
routes; bodies are api.guard's.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final, TypedDict

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.limits import DEFAULT_LIMITS, Limits
from api.problems import (
    BAD_REQUEST,
    HEAD_TOO_LARGE,
    HEAD_TOO_SLOW,
    MEDIA_TYPE,
    OUTCOME_KINDS,
    RETRY_AFTER_S,
    ProblemKind,
    problem_of,
)
from ledger.outcome import Outcome

HEADER_OVERHEAD_BYTES: Final = 4
"""The colon, the space and the line's end that go with every header."""


class HeadTooLarge(Exception):
    """Raised inside the parser's callback: the head is complete and larger than it may be."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. `limits` is set by `bounded_protocol`."""

    limits: ClassVar[Limits] = DEFAULT_LIMITS
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_size_bytes = 0
    _refusal: ProblemKind | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """Take a connection, or refuse it where there are as many as the node holds."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(OUTCOME_KINDS[Outcome.OVERLOADED], "The node holds as many connections as it may.")
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timer."""
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is slower than the answer: it has so long to take what is written."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(self.limits.write_timeout_ms / 1000, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        self._stop_write_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that stays incomplete counts against its size and its time."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_size_bytes += len(data)
        if self._head_size_bytes > self.limits.head_bytes:
            self._refuse(HEAD_TOO_LARGE, self._too_large())
        elif self._head_timer is None:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """A request starts."""
        self._in_head = True
        self._head_size_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete: pass the request on, unless it is too large."""
        self._in_head = False
        self._stop_head_timer()
        fields = sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in self.headers)
        if len(self.url) + fields > self.limits.head_bytes:
            self._refusal = HEAD_TOO_LARGE
            raise HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refused, or what a callback of ours did."""
        if self._refusal is HEAD_TOO_LARGE:
            self._refuse(HEAD_TOO_LARGE, self._too_large())
        else:
            self._refuse(BAD_REQUEST, "What was received is not an HTTP/1.1 request.")

    def _too_large(self) -> str:
        return f"The request's line and headers have more than {self.limits.head_bytes} bytes."

    def _refuse(self, kind: ProblemKind, detail: str) -> None:
        self._stop_head_timer()
        self.transport.write(_response(kind, detail))
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_ms / 1000, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(
                HEAD_TOO_SLOW, f"The headers were not complete after {self.limits.head_timeout_ms} ms."
            )
        else:
            # It has said nothing at all: there is no request to answer.
            self.transport.close()


def _response(kind: ProblemKind, detail: str) -> bytes:
    body = msgspec.json.encode(problem_of(kind, detail))
    lines = [
        f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_AFTER_S}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def bounded_protocol(limits: Limits) -> type[BoundedHttpProtocol]:
    """The protocol class that holds connections to these limits, for uvicorn's `http` setting."""
    return type("LimitedHttpProtocol", (BoundedHttpProtocol,), {"limits": limits})


class ServerSettings(TypedDict):
    """What uvicorn.Config is to be given, besides the application, the address and TLS."""

    http: type[asyncio.Protocol]
    ws: Any
    lifespan: Any
    timeout_keep_alive: int
    backlog: int
    proxy_headers: bool
    server_header: bool
    access_log: bool
    log_config: None


def server_settings(limits: Limits = DEFAULT_LIMITS) -> ServerSettings:
    """The settings under which the limits hold: `uvicorn.Config(app, host=..., **server_settings())`."""
    return ServerSettings(
        http=bounded_protocol(limits),
        ws="none",
        lifespan="off",
        timeout_keep_alive=max(1, limits.idle_timeout_ms // 1000),
        backlog=limits.backlog,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )
