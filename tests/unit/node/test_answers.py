"""From the core's reports to the API's answers: when waiting ends, and what is then said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest

from api.ports import DecidedBy, Leader, Place, Status, Wait
from ledger.outcome import Outcome
from node.answers import RETRY_AFTER_MS, answer, submit_all
from node.results import Stage, SubmitResult

Report = Callable[[SubmitResult], None]
LEADER = Leader("alpha-1", "https://alpha")


def result(stage: Stage, outcome: Outcome = Outcome.EXECUTED, reason: str = "") -> SubmitResult:
    return SubmitResult(stage, b"author", b"\x01" * 16, outcome, 7, 2, 1_000, reason=reason)


def submitted(*stages: Stage, wait: Wait, timeout_ms: int = 5_000) -> SubmitResult | None:
    """What is known at the end of a submission whose core reports these stages at once."""

    def submit(submissions: Iterable[tuple[bytes, Report]]) -> None:
        for _, report in submissions:
            for stage in stages:
                report(result(stage))

    (known,) = asyncio.run(submit_all(submit, [b"raw"], wait, timeout_ms))
    return known


@pytest.mark.parametrize(
    ("wait", "stages", "ends_with"),
    [
        (Wait.NONE, (Stage.PENDING, Stage.EXECUTED), Stage.PENDING),
        (Wait.EXECUTED, (Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED), Stage.EXECUTED),
        (Wait.CERTIFIED, (Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED), Stage.CERTIFIED),
        (Wait.CERTIFIED, (Stage.REFUSED,), Stage.REFUSED),
        (Wait.EXECUTED, (Stage.PENDING, Stage.REFUSED), Stage.REFUSED),
    ],
)
def test_waiting_ends_with_the_stage_that_was_asked_for(
    wait: Wait, stages: tuple[Stage, ...], ends_with: Stage
) -> None:
    """Each wait ends at its own stage, and at a refusal."""
    known = submitted(*stages, wait=wait)
    assert known is not None
    assert known.stage is ends_with


@pytest.mark.parametrize(
    ("wait", "stages", "known"),
    [
        (Wait.EXECUTED, (), None),
        (Wait.EXECUTED, (Stage.PENDING,), Stage.PENDING),
        (Wait.CERTIFIED, (Stage.PENDING, Stage.EXECUTED), Stage.EXECUTED),
    ],
)
def test_at_the_deadline_the_newest_stage_is_what_is_known(
    wait: Wait, stages: tuple[Stage, ...], known: Stage | None
) -> None:
    """Nobody is left hanging when the stage that was asked for doesn't come."""
    found = submitted(*stages, wait=wait, timeout_ms=5)
    assert (None if found is None else found.stage) is known


def test_a_batch_ends_when_all_of_it_has_and_keeps_its_order() -> None:
    """Reports come in any order; results stand in the order of the envelopes."""

    def submit(submissions: Iterable[tuple[bytes, Report]]) -> None:
        (_, first), (_, second) = submissions
        second(result(Stage.REFUSED, Outcome.EXPIRED))
        second(result(Stage.EXECUTED))
        first(result(Stage.EXECUTED))

    first, second = asyncio.run(submit_all(submit, [b"a", b"b"], Wait.EXECUTED, 5_000))
    assert first is not None
    assert second is not None
    assert (first.stage, second.stage) == (Stage.EXECUTED, Stage.REFUSED)


def test_reports_after_the_deadline_change_nothing() -> None:
    """The answer was given; a late stage must neither fail nor alter it."""
    reports: list[tuple[bytes, Report]] = []
    known = asyncio.run(submit_all(reports.extend, [b"raw"], Wait.EXECUTED, 1))
    reports[0][1](result(Stage.EXECUTED))
    assert known == [None]


def test_no_envelopes_need_no_waiting() -> None:
    """An empty batch is answered at once."""
    taken: list[tuple[bytes, Report]] = []
    assert asyncio.run(submit_all(taken.extend, [], Wait.EXECUTED, 5_000)) == []
    assert taken == []


def test_an_executed_payment_is_the_chains_word_with_its_place() -> None:
    """Outcome, height, index and the block's time."""
    said = answer(result(Stage.EXECUTED), b"", Wait.EXECUTED, None)
    assert (said.status, said.decided_by, said.outcome) == (
        Status.EXECUTED,
        DecidedBy.CHAIN,
        Outcome.EXECUTED,
    )
    assert (said.place, said.time_ms) == (Place(7, 2), 1_000)
    assert answer(result(Stage.CERTIFIED), b"", Wait.EXECUTED, None).status is Status.CERTIFIED


def test_pending_is_an_answer_only_to_who_did_not_want_to_wait() -> None:
    """With wait=none it is pending, decided by nobody; else the time ran out: `unknown`, with the leader."""
    taken = answer(result(Stage.PENDING), b"", Wait.NONE, None)
    assert (taken.status, taken.decided_by, taken.outcome) == (Status.PENDING, None, None)
    late = answer(result(Stage.PENDING), b"", Wait.EXECUTED, LEADER)
    assert (late.outcome, late.decided_by, late.leader) == (Outcome.UNKNOWN, DecidedBy.NODE, LEADER)
    assert late.tx_id == b"\x01" * 16


@pytest.mark.parametrize(
    ("outcome", "retry_after_ms"),
    [
        (Outcome.OVERLOADED, RETRY_AFTER_MS),
        (Outcome.NO_QUORUM, RETRY_AFTER_MS),
        (Outcome.TOO_MANY_PENDING, RETRY_AFTER_MS),
        (Outcome.EXPIRED, None),
        (Outcome.INSUFFICIENT_FUNDS, None),
    ],
)
def test_a_refusal_is_the_nodes_word_and_says_when_to_try_again(
    outcome: Outcome, retry_after_ms: int | None
) -> None:
    """Only what may pass by itself carries a time."""
    said = answer(result(Stage.REFUSED, outcome, "because"), b"", Wait.EXECUTED, LEADER)
    assert (said.decided_by, said.outcome, said.detail) == (DecidedBy.NODE, outcome, "because")
    assert said.retry_after_ms == retry_after_ms


def test_bytes_that_nothing_is_known_of_and_that_cannot_be_read_have_no_id() -> None:
    """Even then there is an answer."""
    said = answer(None, b"\xc1", Wait.EXECUTED, None)
    assert (said.outcome, said.tx_id, said.author) == (Outcome.UNKNOWN, None, None)
