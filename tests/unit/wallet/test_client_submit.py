"""Submitting against real servers: nothing hangs, and nothing uncertain is called certain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from ledger.outcome import Outcome
from tests.unit.wallet.played_nodes import (
    Scene,
    breaks_off,
    envelope,
    gone_url,
    hangs,
    hangs_up,
    play,
    problem_of,
    refuses,
    says,
    submitted,
    tx_id,
)
from wallet.answers import Answer, Wait
from wallet.client import Client
from wallet.delivery import Pause
from wallet.errors import PaymentMalformed, ProtocolError

T = TypeVar("T")
DEADLINE_MS = 250
PATIENT_MS = 20_000
EXECUTED = says(submitted())
PENDING = says(submitted(outcome=None, status="pending"), 202)
OVERLOADED = refuses(503, Outcome.OVERLOADED)
NO_QUORUM = refuses(503, Outcome.NO_QUORUM)
UNKNOWN = refuses(504, Outcome.UNKNOWN)
POOR = refuses(422, Outcome.INSUFFICIENT_FUNDS)


async def at_once(_: float) -> None:
    """Doesn't pause: the test looks at what was to be waited for, not at the clock."""


def with_client(
    urls: Sequence[str],
    use: Callable[[Client], Awaitable[T]],
    timeout_ms: int = PATIENT_MS,
    pause: Pause = at_once,
) -> Coroutine[Any, Any, T]:
    async def used() -> T:
        async with Client(urls, timeout_ms=timeout_ms, random=lambda: 0.0, pause=pause) as client:
            return await use(client)

    return used()


def submit_to(
    *scripts: Sequence[Scene], timeout_ms: int = PATIENT_MS, wait: Wait = "executed"
) -> tuple[Answer, list[int]]:
    """Submit one envelope to nodes that play these scripts; also how many requests each got."""

    async def scenario() -> tuple[Answer, list[int]]:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(play(*script)) for script in scripts]
            urls = [node.url for node in nodes]
            answer = await with_client(urls, lambda client: client.submit(envelope(), wait), timeout_ms)
            for node in nodes:
                assert {body for _, _, body in node.requests} <= {envelope()}
            return answer, [len(node.requests) for node in nodes]

    return asyncio.run(scenario())


def test_executed() -> None:
    """The chain's outcome, its place, and one request that says how long the node may take."""

    async def scenario() -> None:
        async with play(EXECUTED) as node:
            answer = await with_client([node.url], lambda client: client.submit(envelope()))
            ((method, path, body),) = node.requests
        assert (answer.status, answer.decided_by, answer.height, answer.index) == ("executed", "chain", 7, 0)
        assert answer.outcome is not None
        assert answer.outcome.name == "executed"
        assert (answer.attempts, answer.tx_id) == (1, tx_id())
        assert (method, urlsplit(path).path, body) == ("POST", "/v1/payments", envelope())
        query = parse_qs(urlsplit(path).query)
        assert query["wait"] == ["executed"]
        assert 1 <= int(query["timeout_ms"][0]) <= 10_000

    asyncio.run(scenario())


def test_refused_by_the_chain_is_an_outcome() -> None:
    """A payment that the chain refused is answered as executed, with its outcome."""
    answer, _ = submit_to([says(submitted(outcome=Outcome.INSUFFICIENT_FUNDS))])
    assert answer.status == "executed"
    assert answer.outcome is not None
    assert answer.outcome.number == Outcome.INSUFFICIENT_FUNDS


def test_refused_by_a_node() -> None:
    """A refusal by the first node that got the bytes is certain."""
    answer, counts = submit_to([POOR], [EXECUTED])
    assert (answer.status, answer.decided_by, answer.attempts) == ("refused", "node", 1)
    assert answer.outcome is not None
    assert answer.outcome.name == "insufficient_funds"
    assert answer.problem is not None
    assert counts == [1, 0]


def test_refused_without_outcome() -> None:
    """A problem that is no outcome (the request itself was wrong) is a refusal too."""
    answer, _ = submit_to([refuses(415)])
    assert (answer.status, answer.outcome) == ("refused", None)
    assert answer.problem is not None
    assert answer.problem.status == 415


@pytest.mark.parametrize(
    "first",
    [
        OVERLOADED,
        NO_QUORUM,
        UNKNOWN,
        hangs_up,
        breaks_off,
        PENDING,
        refuses(500),
        refuses(429, Outcome.TOO_MANY_PENDING),
        says(b"<html>", 502, "text/html"),
        says(b"{}"),
        says(submitted(1)),
    ],
)
def test_another_node_answers(first: Scene) -> None:
    """Whatever the first node does or says, the same bytes go to the next, and its answer counts."""
    answer, counts = submit_to([first], [EXECUTED])
    assert (answer.status, answer.attempts) == ("executed", 2)
    assert counts == [1, 1]


def test_node_that_is_gone() -> None:
    """A refused connection turns to the next node, and nothing was delivered by it."""

    async def scenario() -> Answer:
        async with play(POOR) as node:
            return await with_client([gone_url(), node.url], lambda client: client.submit(envelope()))

    answer = asyncio.run(scenario())
    assert (answer.status, answer.attempts) == ("refused", 2)


def test_node_that_hangs() -> None:
    """A node that takes the bytes and never answers costs its share of the time, then another is asked."""

    async def scenario() -> Answer:
        async with play(hangs) as silent, play(EXECUTED) as node:
            urls = [silent.url, node.url]
            async with Client(urls, timeout_ms=PATIENT_MS, attempt_timeout_ms=50) as client:
                return await client.submit(envelope())

    answer = asyncio.run(scenario())
    assert (answer.status, answer.attempts) == ("executed", 2)


def test_all_hang() -> None:
    """When nobody answers, the client is back by its deadline and says that it doesn't know."""
    started_s = time.monotonic()
    answer, _ = submit_to([hangs], [hangs], timeout_ms=DEADLINE_MS)
    assert (answer.status, answer.reached, answer.outcome) == ("unknown", True, None)
    assert answer.tx_id == tx_id()
    assert time.monotonic() - started_s < 4 * DEADLINE_MS / 1000


def test_all_gone() -> None:
    """Where no connection came about it is unknown as well, but says that nothing was delivered."""
    urls = [gone_url(), gone_url()]
    answer = asyncio.run(
        with_client(urls, lambda client: client.submit(envelope()), DEADLINE_MS, asyncio.sleep)
    )
    assert (answer.status, answer.reached) == ("unknown", False)
    assert answer.attempts >= 4


@pytest.mark.parametrize(
    ("scene", "reached"),
    [
        (OVERLOADED, False),
        (refuses(408), False),
        (refuses(429, Outcome.TOO_MANY_PENDING), False),
        (refuses(503, Outcome.STOPPING), False),
        (NO_QUORUM, True),
        (UNKNOWN, True),
        (refuses(500), True),
        (breaks_off, True),
        (says(b"<html>", 502, "text/html"), True),
    ],
)
def test_whether_it_was_delivered(scene: Scene, reached: bool) -> None:
    """Only where a node said that it didn't take the bytes is it certain that none has them."""
    answer, _ = submit_to([scene], timeout_ms=DEADLINE_MS)
    assert (answer.status, answer.reached) == ("unknown", reached)


@pytest.mark.parametrize("first", [hangs_up, breaks_off, UNKNOWN, NO_QUORUM, PENDING])
def test_refusal_after_a_lost_attempt_is_not_certain(first: Scene) -> None:
    """Once bytes may be with one node, another's refusal doesn't prove that they won't be executed."""
    answer, _ = submit_to([first], [POOR], timeout_ms=DEADLINE_MS)
    assert answer.status in ("unknown", "pending")
    assert answer.reached
    assert answer.problem is None or answer.problem.status in (422, 503, 504)


def test_refusal_after_an_attempt_that_was_not_taken() -> None:
    """After a node that was full, the next one's refusal is certain."""
    answer, _ = submit_to([OVERLOADED], [POOR])
    assert answer.status == "refused"


@pytest.mark.parametrize("outcome", [Outcome.BAD_SIGNATURE, Outcome.NOT_CANONICAL, Outcome.WRONG_NETWORK])
def test_refusal_that_is_certain_at_once(outcome: Outcome) -> None:
    """Bytes that no honest node puts on a block are refused, even after a lost attempt."""
    answer, _ = submit_to([hangs_up], [refuses(400, outcome)])
    assert answer.status == "refused"


def test_unknown_outcome_number() -> None:
    """An outcome that this version doesn't know is a refusal, with the node's own problem."""
    problem = msgspec.structs.replace(problem_of(422), outcome=9_999)
    answer, _ = submit_to([says(msgspec.json.encode(problem), 422, "application/problem+json")])
    assert (answer.status, answer.outcome) == ("refused", None)


def test_retry_after_is_honoured() -> None:
    """The pause that the only node asked for is made before it is asked again."""
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    async def scenario() -> Answer:
        async with play(refuses(503, Outcome.OVERLOADED, retry_after="7"), EXECUTED) as node:
            return await with_client([node.url], lambda client: client.submit(envelope()), pause=noted)

    assert asyncio.run(scenario()).status == "executed"
    assert waits == [pytest.approx(7.0, abs=0.5)]


def test_retry_after_beyond_the_deadline() -> None:
    """A pause that the deadline doesn't allow is not begun: the answer comes at once."""

    async def never(_: float) -> None:
        raise AssertionError("it was not to wait")

    async def scenario() -> Answer:
        async with play(refuses(503, Outcome.OVERLOADED, retry_after="60")) as node:
            return await with_client([node.url], lambda client: client.submit(envelope()), pause=never)

    answer = asyncio.run(scenario())
    assert (answer.status, answer.reached, answer.attempts) == ("unknown", False, 1)


def test_leader_hint_is_followed() -> None:
    """The leader that a node names is asked next, though the client didn't know it."""

    async def scenario() -> Answer:
        async with play(EXECUTED) as leader, play(EXECUTED) as other:
            async with play(refuses(503, Outcome.NO_QUORUM, leader_url=leader.url)) as node:
                answer = await with_client([node.url, other.url], lambda client: client.submit(envelope()))
            assert (len(node.requests), len(leader.requests), len(other.requests)) == (1, 1, 0)
            return answer

    assert asyncio.run(scenario()).status == "executed"


def test_hints_in_a_circle() -> None:
    """Two nodes that name each other don't keep the client beyond its deadline."""

    async def scenario() -> Answer:
        gone = gone_url()
        async with play(refuses(503, Outcome.NO_QUORUM, leader_url=gone)) as node:
            return await with_client(
                [node.url], lambda client: client.submit(envelope()), DEADLINE_MS, asyncio.sleep
            )

    assert asyncio.run(scenario()).status == "unknown"


def test_pending_at_the_deadline() -> None:
    """A payment that a node holds when the time is over is pending, not unknown."""
    answer, _ = submit_to([PENDING], timeout_ms=DEADLINE_MS)
    assert (answer.status, answer.decided_by) == ("pending", None)


def test_wait_none() -> None:
    """Who doesn't wait gets the first answer."""
    answer, counts = submit_to([PENDING], wait="none")
    assert (answer.status, counts) == ("pending", [1])


def test_wait_certified() -> None:
    """Who waits for the certificate asks again while it is only executed; the deadline ends that."""
    certified = says(submitted(status="certified"))
    answer, counts = submit_to([EXECUTED, PENDING, certified], wait="certified")
    assert (answer.status, counts) == ("certified", [3])
    answer, _ = submit_to([EXECUTED, UNKNOWN], wait="certified", timeout_ms=DEADLINE_MS)
    assert (answer.status, answer.height) == ("executed", 7)


@pytest.mark.parametrize("scene", [says(b"<html>", 404, "text/html"), says(b"", 301)])
def test_not_a_node(scene: Scene) -> None:
    """Where something else than nodes answers, that is said at once."""
    with pytest.raises(ProtocolError, match="not as a Nostro node does"):
        submit_to([scene], [scene])


def test_not_an_envelope() -> None:
    """Bytes that aren't an envelope are refused before any node is asked."""

    async def scenario() -> None:
        async with play(EXECUTED) as node:
            with pytest.raises(PaymentMalformed, match="no envelope"):
                await with_client([node.url], lambda client: client.submit(b"\x90"))
            assert node.requests == []

    asyncio.run(scenario())


def test_client_that_is_not_open() -> None:
    """A client outside of its context says how to use it."""
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Client(["http://127.0.0.1:1"]).submit(envelope()))


@pytest.mark.parametrize(("timeout_ms", "attempt_timeout_ms"), [(0, 1), (1, 0)])
def test_timeouts_below_one(timeout_ms: int, attempt_timeout_ms: int) -> None:
    """A timeout is at least a millisecond."""
    with pytest.raises(ValueError, match="1 ms"):
        Client(["http://a"], timeout_ms=timeout_ms, attempt_timeout_ms=attempt_timeout_ms)
