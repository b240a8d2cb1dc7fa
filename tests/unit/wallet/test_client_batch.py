"""Batches against real servers: a result each, and only what isn't decided is submitted again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from ledger.codec import decode, encode
from ledger.outcome import Outcome
from tests.unit.wallet.played_nodes import (
    Scene,
    breaks_off,
    envelope,
    gone_url,
    hangs_up,
    play,
    problem_of,
    refuses,
    says,
    submitted,
    tx_id,
)
from wallet.answers import Answer, Problem
from wallet.client import MOST_BATCH_BYTES, MOST_BATCH_ENVELOPES, Client
from wallet.errors import BatchTooLarge, PaymentMalformed, ProtocolError

DEADLINE_MS = 250


async def at_once(_: float) -> None:
    """Doesn't pause."""


def batch(*results: bytes | Problem) -> Scene:
    """A scene: these results, answers as JSON or problems."""
    items = [
        {"problem": result} if isinstance(result, Problem) else {"answer": msgspec.Raw(result)}
        for result in results
    ]
    return says(msgspec.json.encode({"results": items}))


def submit_to(
    *script: Scene, numbers: Sequence[int] = (0, 1, 2), timeout_ms: int = 20_000
) -> tuple[list[Answer], list[list[bytes]]]:
    """Submit the envelopes of these numbers to one node; also what each request carried."""

    async def scenario() -> tuple[list[Answer], list[list[bytes]]]:
        async with play(*script) as node, Client([node.url], timeout_ms=timeout_ms, pause=at_once) as client:
            answers = await client.submit_batch([envelope(number) for number in numbers])
            return answers, [list(decode(body, tuple[bytes, ...])) for _, _, body in node.requests]

    return asyncio.run(scenario())


def test_all_decided() -> None:
    """One request in canonical bytes, an answer each in their order."""
    poor = problem_of(422, Outcome.INSUFFICIENT_FUNDS)
    results: list[bytes | Problem] = [submitted(0), poor, submitted(2, Outcome.DEBIT_FROZEN)]
    answers, requests = submit_to(batch(*results))
    assert [answer.status for answer in answers] == ["executed", "refused", "executed"]
    assert [answer.tx_id for answer in answers] == [tx_id(0), tx_id(1), tx_id(2)]
    assert requests == [[envelope(0), envelope(1), envelope(2)]]


def test_only_the_rest_again() -> None:
    """What was pending or full is submitted again, what was decided is not."""
    pending = submitted(1, None, "pending")
    full = problem_of(503, Outcome.OVERLOADED)
    answers, requests = submit_to(
        batch(submitted(0), pending, full), batch(submitted(1), submitted(2)), timeout_ms=20_000
    )
    assert [answer.status for answer in answers] == ["executed"] * 3
    assert [answer.attempts for answer in answers] == [1, 2, 2]
    assert requests[1] == [envelope(1), envelope(2)]


@pytest.mark.parametrize(
    "first", [refuses(503, Outcome.NO_QUORUM), hangs_up, breaks_off, says(b"{}"), batch(submitted(0))]
)
def test_whole_request_lost(first: Scene) -> None:
    """After a request without results, or with too few, all go again, and a refusal isn't certain."""
    poor = problem_of(422, Outcome.INSUFFICIENT_FUNDS)
    answers, requests = submit_to(first, batch(submitted(0), poor, submitted(2)), batch(submitted(1)))
    assert [answer.status for answer in answers] == ["executed"] * 3
    assert [len(carried) for carried in requests] == [3, 3, 1]


def test_whole_request_refused() -> None:
    """A problem of the request itself refuses each, and is no outcome of any."""
    answers, _ = submit_to(refuses(413, Outcome.TOO_LARGE))
    assert [(answer.status, answer.outcome) for answer in answers] == [("refused", None)] * 3


def test_one_item_is_empty() -> None:
    """A result that is neither answer nor problem leaves its payment unknown."""
    results = [{"answer": msgspec.Raw(submitted(0))}, {}, {}]
    answers, _ = submit_to(says(msgspec.json.encode({"results": results})), hangs_up, timeout_ms=DEADLINE_MS)
    assert [(answer.status, answer.reached) for answer in answers] == [
        ("executed", True),
        ("unknown", True),
        ("unknown", True),
    ]


def test_nobody_there() -> None:
    """Without any node all are unknown, and known not to be delivered."""

    async def scenario() -> list[Answer]:
        async with Client([gone_url()], timeout_ms=DEADLINE_MS) as client:
            return await client.submit_batch([envelope(0), envelope(1)])

    answers = asyncio.run(scenario())
    assert [(answer.status, answer.reached) for answer in answers] == [("unknown", False)] * 2


def test_not_a_node() -> None:
    """Something else than a node at the URL is said at once."""
    with pytest.raises(ProtocolError):
        submit_to(says(b"<html>", 404, "text/html"))


def test_none() -> None:
    """No envelopes, no request."""
    assert submit_to(hangs_up, numbers=[]) == ([], [])


def test_most_envelopes() -> None:
    """1,000 go in one batch, 1,001 don't, and neither do too many bytes."""
    several = list(range(MOST_BATCH_ENVELOPES))
    answers, _ = submit_to(batch(*(submitted(number) for number in several)), numbers=several)
    assert len(answers) == MOST_BATCH_ENVELOPES
    with pytest.raises(BatchTooLarge):
        submit_to(hangs_up, numbers=[*several, 1_000])


def test_most_bytes() -> None:
    """A batch's bytes, the array around them included, are counted before it is sent."""
    framing_bytes = len(encode([bytes(70_000)])) - 70_000

    async def scenario(size_bytes: int) -> None:
        async with Client([gone_url()]) as client:
            await client.submit_batch([bytes(size_bytes)])

    with pytest.raises(BatchTooLarge, match="8,388,608"):
        asyncio.run(scenario(MOST_BATCH_BYTES - framing_bytes + 1))
    # This one fits, and so it is looked at: zeros are no envelope.
    with pytest.raises(PaymentMalformed):
        asyncio.run(scenario(MOST_BATCH_BYTES - framing_bytes))
