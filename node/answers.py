"""Waiting for submissions: from the core's callbacks to one answer an envelope, within a deadline.

A client is never left hanging: at the deadline it hears what is known, and `unknown` where nothing
is. It knows nothing of HTTP, nor of how the core decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

from api.ports import DecidedBy, Leader, Place, Status, SubmitAnswer, Wait
from ledger.codec import Malformed
from ledger.envelope import EnvelopeLimits, decode_envelope
from ledger.outcome import Outcome
from ledger.parameters import PARAMETER_RANGES
from node.results import Stage, SubmitResult

RETRY_AFTER_MS = 1_000
"""When a client that was refused for want of room or of a quorum may try again."""
_RETRY = frozenset({Outcome.OVERLOADED, Outcome.NO_QUORUM, Outcome.TOO_MANY_PENDING, Outcome.STOPPING})
_ENDS_WAITING = {
    Wait.NONE: frozenset(Stage),
    Wait.EXECUTED: frozenset({Stage.EXECUTED, Stage.CERTIFIED, Stage.REFUSED}),
    Wait.CERTIFIED: frozenset({Stage.CERTIFIED, Stage.REFUSED}),
}
_WIDEST = EnvelopeLimits(PARAMETER_RANGES["envelope_bytes"][1], PARAMETER_RANGES["signers"][1])


Report: TypeAlias = Callable[[SubmitResult], None]
Submit: TypeAlias = Callable[[Iterable[tuple[bytes, Report]]], None]
"""The driver's `submit_all`: each report hears of each stage, perhaps at once."""


class _Batch:
    """What is known of each envelope of one request so far."""

    def __init__(self, size: int, wait: Wait, finished: asyncio.Future[None]) -> None:
        self.results: list[SubmitResult | None] = [None] * size
        self._ends = _ENDS_WAITING[wait]
        self._open = size
        self._finished = finished

    def report(self, index: int, result: SubmitResult) -> None:
        before = self.results[index]
        # A refusal after a deadline or a second stage may come when the answer has been given already.
        if self._finished.done() or (before is not None and before.stage in self._ends):
            return
        self.results[index] = result
        if result.stage in self._ends:
            self._open -= 1
            if self._open == 0:
                self._finished.set_result(None)


async def submit_all(
    submit: Submit, envelopes: Sequence[bytes], wait: Wait, timeout_ms: int
) -> list[SubmitResult | None]:
    """Submit each; what is known of each (None: nothing) once all have ended or the time is up."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    batch = _Batch(len(envelopes), wait, finished)
    if not envelopes:
        return batch.results
    timer = loop.call_later(timeout_ms / 1_000, _expire, finished)
    submit((raw, partial(batch.report, index)) for index, raw in enumerate(envelopes))
    try:
        await finished
    finally:
        timer.cancel()
    return batch.results


def answer(result: SubmitResult | None, raw: bytes, wait: Wait, leader: Leader | None) -> SubmitAnswer:
    """The API's answer for what is known of one envelope when its waiting ended."""
    if result is None:
        return _unknown(*_identity(raw), "It was not yet taken when the time ran out.", leader)
    author, tx_id = result.author or None, result.tx_id or None
    if result.stage is Stage.PENDING:
        if wait is Wait.NONE:
            return SubmitAnswer(status=Status.PENDING, tx_id=tx_id, author=author)
        return _unknown(author, tx_id, "It was not yet executed when the time ran out.", leader)
    if result.stage is Stage.REFUSED:
        return SubmitAnswer(
            status=Status.PENDING,
            decided_by=DecidedBy.NODE,
            tx_id=tx_id,
            author=author,
            outcome=result.outcome,
            detail=result.reason or None,
            leader=leader,
            retry_after_ms=RETRY_AFTER_MS if result.outcome in _RETRY else None,
        )
    return SubmitAnswer(
        status=Status.CERTIFIED if result.stage is Stage.CERTIFIED else Status.EXECUTED,
        decided_by=DecidedBy.CHAIN,
        tx_id=tx_id,
        author=author,
        outcome=result.outcome,
        place=Place(result.height, result.index),
        time_ms=result.time_ms,
    )


def _unknown(author: bytes | None, tx_id: bytes | None, detail: str, leader: Leader | None) -> SubmitAnswer:
    return SubmitAnswer(
        status=Status.PENDING,
        decided_by=DecidedBy.NODE,
        tx_id=tx_id,
        author=author,
        outcome=Outcome.UNKNOWN,
        detail=detail,
        leader=leader,
        retry_after_ms=RETRY_AFTER_MS,
    )


def _identity(raw: bytes) -> tuple[bytes | None, bytes | None]:
    """Author and id of an envelope that nothing is known of yet, if its bytes can be read at all."""
    try:
        payload = decode_envelope(raw, _WIDEST).payload
    except Malformed:
        return None, None
    return payload.author, payload.tx_id


def _expire(finished: asyncio.Future[None]) -> None:
    if not finished.done():
        finished.set_result(None)
