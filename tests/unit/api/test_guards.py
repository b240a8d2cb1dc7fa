"""The limits of a connection and of a request, each at its boundary, against a real server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator

import msgspec
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from api.describe import PAGE
from api.guard import BodyGuard
from api.limits import DEFAULT_LIMITS, MAX_BATCH_ENVELOPES
from api.protocol import HEADER_OVERHEAD_BYTES, server_settings
from ledger.codec import encode
from tests.unit.api.client import TIMEOUT_S, Api, read_all
from tests.unit.api.conftest import TEST_LIMITS
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import issue
from tests.unit.ledger import sample

MSGPACK = "application/msgpack"
JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "media", "limit_bytes"),
    [
        ("/v1/payments", MSGPACK, DEFAULT_LIMITS.envelope_bytes),
        ("/v1/payments", JSON, DEFAULT_LIMITS.json_bytes),
        ("/v1/simulate", MSGPACK, DEFAULT_LIMITS.envelope_bytes),
        ("/v1/simulate", JSON, DEFAULT_LIMITS.json_bytes),
        ("/v1/payments/batch", MSGPACK, DEFAULT_LIMITS.batch_bytes),
        ("/v1/payments/batch", JSON, DEFAULT_LIMITS.batch_bytes),
    ],
)
def test_a_body_is_taken_up_to_its_limit(api: Api, path: str, media: str, limit_bytes: int) -> None:
    """At the limit the route reads it (and finds it wrong); one byte more is 413."""
    assert api.post(path, b" " * limit_bytes, media).problem != "urn:nostro:problem:body_too_large"
    answer = api.post(path, b" " * (limit_bytes + 1), media)
    assert answer.status == 413
    assert answer.problem == "urn:nostro:problem:body_too_large"
    assert answer.headers["connection"] == "close"


def test_who_asks_before_sending_too_much_is_answered_at_once(api: Api) -> None:
    """Expect: 100-continue with too large a body is refused before any of it is sent."""
    with api.open() as connection:
        connection.sendall(
            b"POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (DEFAULT_LIMITS.envelope_bytes + 1)
        )
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("discard_bytes", "reads"), [(3, 3), (4, 4)])
def test_only_so_much_of_too_large_a_body_is_read(discard_bytes: int, reads: int) -> None:
    """Bodies of two bytes are taken; parts of two come without end, and reading them ends."""
    received: list[int] = []
    sent: list[Message] = []

    async def receive() -> Message:
        received.append(2)
        return {"type": "http.request", "body": b"ab", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = BodyGuard(
        PlainTextResponse(""), limit_of=lambda path, media: 2, discard_bytes=discard_bytes, timeout_ms=1_000
    )
    scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(guard(scope, receive, send))
    assert (len(received), sent[0]["status"]) == (reads, 413)


def test_the_sizes_are_those_documented() -> None:
    """68 KiB as MessagePack, 272 KiB as JSON, 8 MiB a batch."""
    assert (DEFAULT_LIMITS.envelope_bytes, DEFAULT_LIMITS.json_bytes) == (68 * 1024, 272 * 1024)
    assert DEFAULT_LIMITS.batch_bytes == 8 * 1024 * 1024
    page = PAGE.read_text(encoding="utf-8")
    sizes = (
        DEFAULT_LIMITS.envelope_bytes,
        DEFAULT_LIMITS.json_bytes,
        DEFAULT_LIMITS.batch_bytes,
        DEFAULT_LIMITS.head_bytes,
    )
    for size_bytes in sizes:
        assert f"| {size_bytes:,} bytes |" in page
    singles = f"| {DEFAULT_LIMITS.envelope_bytes:,} and {DEFAULT_LIMITS.json_bytes:,} bytes |"
    assert singles in PAGE.with_name("limits.md").read_text(encoding="utf-8")
    times = (
        DEFAULT_LIMITS.head_timeout_ms,
        DEFAULT_LIMITS.body_timeout_ms,
        DEFAULT_LIMITS.idle_timeout_ms,
        DEFAULT_LIMITS.write_timeout_ms,
    )
    for time_ms in times:
        assert f"| {time_ms // 1_000} s |" in page
    assert f"| connections | {DEFAULT_LIMITS.connections:,} |" in page
    assert f"| envelopes in a batch | {MAX_BATCH_ENVELOPES:,} |" in page


@pytest.mark.parametrize(("extra", "kind"), [(0, b"outcome:too_large"), (1, b"problem:body_too_large")])
def test_a_body_of_undeclared_length_is_counted(api: Api, extra: int, kind: bytes) -> None:
    """Chunks count as they come, whatever their sizes."""
    body = b" " * (DEFAULT_LIMITS.envelope_bytes + extra)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5_000], body[5_000:]))
    with api.open() as connection:
        connection.sendall(
            b"POST /v1/payments HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            b"Content-Type: application/msgpack\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        )
        assert b"urn:nostro:" + kind in read_all(connection)


def test_a_body_that_does_not_come_is_not_waited_for(api: Api) -> None:
    """408 after the time, and the connection is closed."""
    with api.open() as connection:
        connection.sendall(
            b"POST /v1/payments HTTP/1.1\r\nHost: a\r\nContent-Type: application/msgpack\r\n"
            b"Content-Length: 10\r\n\r\nabc"
        )
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:nostro:problem:body_too_slow" in answer


def test_headers_that_do_not_come_are_not_waited_for(api: Api) -> None:
    """408 after the time, and the connection is closed."""
    with api.open() as connection:
        connection.sendall(b"GET /v1/network HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:nostro:problem:head_too_slow" in answer


def test_a_silent_connection_is_closed(api: Api) -> None:
    """Who connects and says nothing gets nothing, and is not kept."""
    with api.open() as connection:
        assert read_all(connection) == b""


def head(size_bytes: int) -> bytes:
    """A GET whose line's path and headers count so many bytes."""
    path, fixed = b"/v1/network", [(b"host", b"a"), (b"connection", b"close")]
    counted = len(path) + sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in fixed)
    padding = b"x" * (size_bytes - counted - len(b"x-padding") - HEADER_OVERHEAD_BYTES)
    lines = [name + b": " + value for name, value in [*fixed, (b"x-padding", padding)]]
    return b"GET " + path + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("size_bytes", "status"), [(DEFAULT_LIMITS.head_bytes, 200), (DEFAULT_LIMITS.head_bytes + 1, 431)]
)
def test_a_head_is_taken_up_to_its_limit(api: Api, size_bytes: int, status: int) -> None:
    """At the limit it is answered; one byte more is 431."""
    with api.open() as connection:
        connection.sendall(head(size_bytes))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"urn:nostro:problem:head_too_large" in answer) == (status == 431)


def test_a_head_without_an_end_is_cut_off(api: Api) -> None:
    """Headers that never end are refused once they pass the limit, long before the time is over."""
    with api.open() as connection:
        connection.sendall(b"GET /v1/network HTTP/1.1\r\nX-Long: " + b"x" * (DEFAULT_LIMITS.head_bytes + 1))
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_not_http_is_a_problem(api: Api, noise: bytes) -> None:
    """400 as a problem, like everything else."""
    with api.open() as connection:
        connection.sendall(noise)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "urn:nostro:problem:bad_request"


def test_connections_are_taken_up_to_their_number(api: Api) -> None:
    """One more than the node holds is told that it is overloaded."""
    held = [api.open() for _ in range(TEST_LIMITS.connections)]
    try:
        for connection in held:
            connection.sendall(b"GET /v1/network HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        with api.open() as extra:
            answer = read_all(extra)
    finally:
        for connection in held:
            connection.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"urn:nostro:outcome:overloaded" in answer
    assert b"Retry-After: 1" in answer


def test_requests_follow_each_other_on_one_connection(api: Api) -> None:
    """Each request's head counts by itself."""
    request = b"GET /v1/network/genesis HTTP/1.1\r\nHost: a\r\nX-Padding: " + b"x" * 9_000 + b"\r\n\r\n"
    with api.open() as connection:
        for _ in range(3):
            connection.sendall(request)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            while not connection.recv(65_536).endswith(sample.genesis_raw()[-4:]):
                continue


def test_a_failure_is_a_problem_that_tells_no_secrets(api: Api, host: InstantHost) -> None:
    """500 names the kind of failure and not its text; the server logs the rest."""
    host.state.registry = None  # type: ignore[assignment]  # broken on purpose
    answer = api.get("/v1/members")
    assert answer.status == 500
    assert answer.problem == "urn:nostro:problem:internal"
    assert "NoneType" not in answer.json["detail"]


def test_a_client_that_goes_away_reaches_no_route() -> None:
    """A body cut off by a closed connection is dropped, and nothing is sent."""
    reached: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    parts: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        sent.append(message)

    guard = BodyGuard(app, limit_of=lambda path, media: 10, discard_bytes=0, timeout_ms=1_000)
    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"2")]}
    asyncio.run(guard(scope, receive, send))
    assert (reached, sent) == ([], [])


def test_a_route_reads_the_body_and_then_the_connection() -> None:
    """What the guard has read is given once; after it come the server's own messages."""
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append({"type": "body", "body": await Request(scope, receive).body()})
        heard.append(await receive())
        await PlainTextResponse("")(scope, receive, send)

    parts: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": b"a", "more_body": True},
            {"type": "http.request", "body": b"b", "more_body": False},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Message:
        return next(parts)

    async def send(message: Message) -> None:
        heard.append(message)

    guard = BodyGuard(app, limit_of=lambda path, media: 2, discard_bytes=0, timeout_ms=1_000)
    scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(guard(scope, receive, send))
    assert heard[:2] == [{"type": "body", "body": b"ab"}, {"type": "http.disconnect"}]


async def _never_reads(write_timeout_ms: int) -> list[Message]:
    """What a route hears that sends without end to a client that reads nothing."""
    heard: list[Message] = []
    gone = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(32_000_000), "more_body": True})
        heard.append(await receive())
        gone.set()

    limits = msgspec.structs.replace(TEST_LIMITS, write_timeout_ms=write_timeout_ms)
    config = uvicorn.Config(app, **server_settings(limits))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: server_settings(limits)["http"](config=config, server_state=ServerState(), app_state={}),  # type: ignore[call-arg]  # as uvicorn calls it
        "127.0.0.1",
        0,
    )
    with socket.create_connection(server.sockets[0].getsockname()) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(TIMEOUT_S):
            await gone.wait()
    server.close()
    return heard


def test_an_answer_that_is_not_taken_is_given_up() -> None:
    """A client that stops reading is cut off, so that it holds no memory for ever."""
    assert asyncio.run(_never_reads(write_timeout_ms=100)) == [{"type": "http.disconnect"}]


def test_the_server_is_given_the_limits() -> None:
    """What uvicorn itself enforces comes from the same place."""
    settings = server_settings(TEST_LIMITS)
    assert settings["timeout_keep_alive"] == 30
    assert settings["backlog"] == TEST_LIMITS.backlog
    assert vars(settings["http"])["limits"] is TEST_LIMITS


def test_a_batch_of_the_largest_envelopes_fits() -> None:
    """1,000 envelopes of the default size are within a batch's bytes."""
    assert len(encode((issue(1) + b"\x00" * (4_096 - len(issue(1))),) * 1_000)) < DEFAULT_LIMITS.batch_bytes
