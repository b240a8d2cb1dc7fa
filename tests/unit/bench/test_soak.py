"""What a soak keeps, how it judges it, and how it is told."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.bench.measure import Latency
from ledger.codec import encode
from ledger.outcome import Outcome
from ledger.records import HISTORY_PREFIX, ConsumedId, HistoryRow, history_row_key, member_ref
from tests.campaigns.soak import folder_bytes, shaped
from tests.campaigns.soak_book import (
    INDEX_BITS,
    Book,
    Check,
    Ending,
    Minute,
    Shape,
    StoreSays,
    growth,
    judge,
    verdict,
)
from tests.campaigns.soak_report import heading, to_document, to_line, to_lines
from tests.campaigns.soak_stores import compare, executed
from wallet.answers import Answer, OutcomeView

MIB = 2**20


def outcome(found: Outcome) -> OutcomeView:
    """As a node tells it."""
    return OutcomeView(
        number=int(found),
        name=found.name.lower(),
        class_="",
        on_chain=True,
        final=True,
        retry_can_help=False,
        sentence="",
        remedy="",
        iso20022="",
    )


def settled(height: int, index: int = 0, found: Outcome = Outcome.EXECUTED) -> Answer:
    """The chain decided."""
    return Answer(status="executed", tx_id="", attempts=1, outcome=outcome(found), height=height, index=index)


UNKNOWN = Answer(status="unknown", tx_id="", attempts=3)


def filled(shape: Shape, waits_ms: Sequence[float]) -> Book:
    """A book in which every payment was executed, after so long."""
    book = Book(shape)
    for request, wait_ms in enumerate(waits_ms):
        book.answered(request, 1.0, wait_ms, [settled(request + 1, index) for index in range(shape.batch)])
    return book


def minutes(*memory: float) -> list[Minute]:
    """A minute for each mean of the memory of the one node."""
    return [
        Minute(number, 10, Latency(10, 1, 2, 3, 4), 0.5, {"a-1": rss}, {"a-1": rss / 2}, {"a-1": MIB})
        for number, rss in enumerate(memory, 1)
    ]


GOOD_STORE = StoreSays(state="ab", right=3, wrong=0, untold=0, total=0, issued=50)


def ending(
    heights: tuple[int, int] = (7, 7),
    codes: tuple[int, int] = (0, 0),
    store: StoreSays = GOOD_STORE,
) -> Ending:
    """How two nodes ended; `store` is the second's."""
    return Ending(
        dict(zip(("a-1", "b-1"), heights, strict=True)),
        dict(zip(("a-1", "b-1"), codes, strict=True)),
        {"a-1": GOOD_STORE, "b-1": store},
        50,
    )


def judged(end: Ending, book: Book | None = None) -> dict[str, bool | None]:
    """What holds of three minutes of one payment each, by name."""
    book = book or filled(Shape(3, 1, 1), [5.0, 10.0, 10.0])
    found = [
        Minute(1, 1, Latency(1, 1, 1, 1, 1), 0, {"a-1": 1.0, "b-1": 1.0}, {"a-1": 1.0, "b-1": 1.0}, {}),
    ]
    return {check.name: check.holds for check in judge(book, found, end)}


def test_a_book_counts_by_the_minute_in_which_a_request_was_due() -> None:
    """Executed payments, what became of the others, latency and lateness, whatever is answered first."""
    book = Book(Shape(minutes=2, requests=2, batch=2))
    book.answered(3, 2.0, 40.0, [settled(9, 1), UNKNOWN])
    book.answered(0, 1.0, 10.0, [settled(5, 0), settled(5, 1)])
    book.answered(2, 7.0, 30.0, [settled(8, 0, Outcome.INSUFFICIENT_FUNDS), settled(8, 1)])
    assert (book.executed_in(0), book.executed_in(1), book.executed) == (2, 2, 4)
    assert book.others == {"unknown": 1, "insufficient_funds": 1}
    assert list(book.places) == [
        *(5 << INDEX_BITS | 0, 5 << INDEX_BITS | 1),
        *(0, 0),
        *(0, 8 << INDEX_BITS | 1),
        *(9 << INDEX_BITS | 1, 0),
    ]
    assert book.latency(1) == Latency(2, 30.0, 40.0, 40.0, 40.0)
    assert book.late_ms(1) == 7.0


def test_a_minute_is_complete_once_its_last_request_is_answered() -> None:
    """Not before, and that of another minute doesn't count."""

    async def run() -> None:
        book = Book(Shape(minutes=2, requests=1, batch=1))
        waiting = asyncio.create_task(book.complete(1))
        book.answered(0, 0.0, 1.0, [UNKNOWN])
        await asyncio.sleep(0)
        assert not waiting.done()
        book.answered(1, 0.0, 1.0, [UNKNOWN])
        await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_thirds_are_the_last_minutes_and_as_many_before_them() -> None:
    """Of seven minutes the last two against the fourth and fifth; of two there are none."""
    book = filled(Shape(7, 1, 1), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert book.thirds() == (book.latency(3, 2), book.latency(5, 2))
    assert book.latency(5, 2) == Latency(2, 6.0, 7.0, 7.0, 7.0)
    assert filled(Shape(2, 1, 1), [1.0, 2.0]).thirds() is None
    assert filled(Shape(3, 1, 1), [1.0, 2.0, 3.0]).thirds() is not None


def test_growth_compares_two_minutes_with_the_two_that_ended_ten_before() -> None:
    """Twelve minutes are the least; what was before the two, and between, doesn't count."""
    assert growth([100.0] * 11) is None
    assert growth([100.0, 102.0, *[500.0] * 8, 110.0, 112.2]) == pytest.approx(0.1)
    assert growth([1.0, 100.0, 102.0, *[500.0] * 8, 110.0, 112.2]) == pytest.approx(0.1)
    assert growth([100.0] * 10 + [50.0] * 2) == pytest.approx(-0.5)


@pytest.mark.parametrize(("last", "holds"), [(101.99, True), (102.0, False), (50.0, True)])
def test_memory_must_grow_by_less_than_two_percent(last: float, holds: bool) -> None:
    """Two percent exactly are too much; shrinking is no fault."""
    book = filled(Shape(3, 1, 1), [5.0, 10.0, 10.0])
    end = Ending({"a-1": 7}, {"a-1": 0}, {"a-1": GOOD_STORE}, 50)
    checks = judge(book, minutes(*[100.0] * 10, last, last), end)
    assert (checks[0].name, checks[0].holds) == ("memory of a-1", holds)
    assert verdict(checks) == ("passed" if holds else "failed")


@pytest.mark.parametrize(("last_ms", "holds"), [(15.0, True), (15.001, False), (1.0, True)])
def test_p99_is_steady_up_to_one_and_a_half_times(last_ms: float, holds: bool) -> None:
    """Of the third before."""
    book = filled(Shape(3, 1, 1), [5.0, 10.0, last_ms])
    assert judged(ending(), book)["p99 steady"] is holds


@pytest.mark.parametrize(("wait_ms", "holds"), [(999.9, True), (1_000.0, False)])
def test_a_backlog_is_told_though_p99_is_steady(wait_ms: float, holds: bool) -> None:
    """Half of the last minute's payments must wait less than a second; other minutes don't count."""
    found = judged(ending(), filled(Shape(3, 1, 1), [5_000.0, 5_000.0, wait_ms]))
    assert (found["p99 steady"], found["no backlog"]) == (True, holds)


def test_what_a_run_is_too_short_for_is_not_judged_and_that_is_said() -> None:
    """It doesn't pass; and what fails beside it makes it fail."""
    book = filled(Shape(2, 1, 1), [5.0, 10.0])
    assert judged(ending(), book)["p99 steady"] is None
    assert judged(ending())["memory of b-1"] is None
    short, good, bad = (Check("", holds, "") for holds in (None, True, False))
    assert verdict([good]) == "passed"
    assert verdict([good, short]) == "not judged"
    assert verdict([short, bad, good]) == "failed"


def test_a_good_ending_holds() -> None:
    """All but memory, which three minutes are too short for."""
    assert {name for name, holds in judged(ending()).items() if not holds} == {
        "memory of a-1",
        "memory of b-1",
    }


@pytest.mark.parametrize(
    ("end", "failing"),
    [
        (ending(heights=(7, 6)), "heights equal"),
        (ending(codes=(0, -9)), "nodes stopped well"),
        (ending(store=GOOD_STORE._replace(right=2)), "chain of b-1"),
        (ending(store=GOOD_STORE._replace(right=2, wrong=1)), "chain of b-1"),
        (ending(store=GOOD_STORE._replace(wrong=1)), "chain of b-1"),
        (ending(store=GOOD_STORE._replace(state="cd")), "chains and states equal"),
        (ending(store=GOOD_STORE._replace(total=1)), "balances of b-1"),
        (ending(store=GOOD_STORE._replace(issued=49)), "balances of b-1"),
    ],
)
def test_each_fault_of_an_ending_fails_its_own_check(end: Ending, failing: str) -> None:
    """And no other."""
    assert [name for name, holds in judged(end).items() if holds is False] == [failing]


def test_a_payment_that_was_refused_or_left_unknown_fails() -> None:
    """Each is told with its number."""
    book = filled(Shape(3, 1, 1), [5.0, 10.0])
    book.answered(2, 0.0, 10.0, [UNKNOWN])
    checks = judge(book, minutes(1.0), Ending({}, {}, {}, 0))
    assert Check("payments executed", False, "2 of 3; 1 unknown") in checks


def test_executed_payments_are_found_in_history_rows() -> None:
    """By the time that their ids begin with; refusals and what consumed no id are left out."""

    def row(height: int, index: int, time_ms: int, found: Outcome) -> tuple[bytes, bytes]:
        consumed = (ConsumedId(member_ref(1), time_ms.to_bytes(6) + bytes(10), bytes(32)),)
        return history_row_key(height, index), encode(HistoryRow(int(found), (), bytes(32), consumed, ()))

    without = encode(HistoryRow(int(Outcome.EXECUTED), (), bytes(32), (), ()))
    rows = [
        row(3, 0, 1_000, Outcome.EXECUTED),
        row(3, 1, 1_001, Outcome.INSUFFICIENT_FUNDS),
        (history_row_key(3, 2), without),
        row(4, 9, 999, Outcome.EXECUTED),
    ]
    assert rows[0][0].startswith(HISTORY_PREFIX)
    assert list(executed(rows, 1_000)) == [(0, 3 << INDEX_BITS), (-1, 4 << INDEX_BITS | 9)]


def test_a_store_is_compared_with_what_payers_were_told() -> None:
    """Where they were told, elsewhere, told to nobody; ids beside the payments' don't count."""
    places = [11, 22, 0, 33]
    assert compare(places, [(-1, 5), (0, 11), (1, 23), (2, 24), (4, 6)]) == (1, 1, 1)


def test_lines_tell_every_minute_every_check_and_the_verdict() -> None:
    """A minute's columns stand under their names."""
    minute = Minute(
        3, 90_000, Latency(9, 10.4, 20, 30, 4_000), 7, {"a-1": 3 * MIB}, {"a-1": MIB}, {"a-1": 9 * MIB}
    )
    line = to_line(minute)
    assert line.split() == ["3", "90,000", "10", "20", "30", "4,000", "7", "3.0", "(1.0)", "9"]
    assert len(line) == len(heading(["a-1"]))
    lines = to_lines([minute], [Check("one", True, "yes"), Check("two", None, "short")])
    assert lines[-3:] == ["holds: one: yes", "not judged: two: short", "verdict: not judged"]
    assert line in lines


def test_the_document_has_the_same_for_programs() -> None:
    """Plain values, in their units; growth only where it could be measured."""
    checks = [Check("one", False, "no")]
    found = to_document({"minutes": 12}, minutes(*[100.0] * 10, 103.0, 103.0), checks)
    assert json.loads(json.dumps(found)) == found
    assert found["growth"]["a-1"] == pytest.approx(0.03)
    assert found["verdict"] == "failed"
    assert found["minutes"][11]["rss_bytes"] == {"a-1": 103}
    assert found["minutes"][11]["p99_ms"] == 3
    assert to_document({}, minutes(1.0), checks)["growth"] == {"a-1": None}


def options(**changed: int) -> argparse.Namespace:
    """The command's, with some changed."""
    return argparse.Namespace(**{"minutes": 30, "rate": 1_500, "accounts": 2_000, "batch": 25, **changed})


def test_half_an_hour_at_half_load_is_2_700_000_payments() -> None:
    """And the accounts have money for all of them."""
    assert shaped(argparse.ArgumentParser(), options()) == Shape(30, 3_600, 25)


@pytest.mark.parametrize(
    "good", [{"minutes": 1}, {"batch": 1_000}, {"accounts": 3}, {"minutes": 1_380, "rate": 1}]
)
def test_the_widest_options_are_taken(good: dict[str, int]) -> None:
    """Three accounts have money for three million payments."""
    shaped(argparse.ArgumentParser(), options(**good))


@pytest.mark.parametrize(
    "bad",
    [
        {"minutes": 0},
        {"minutes": 1_381, "rate": 1},
        {"batch": 0},
        {"batch": 1_001},
        {"accounts": 1},
        {"accounts": 2},
        {"rate": 0},
        {"rate": 30_000},
    ],
)
def test_options_that_cannot_be_carried_out_are_refused(
    bad: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two accounts run dry before 2,700,000 payments; 54 million don't fit into the book."""
    with pytest.raises(SystemExit):
        shaped(argparse.ArgumentParser(), options(**bad))
    assert "error:" in capsys.readouterr().err


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    """In bytes."""
    (tmp_path / "one").write_bytes(bytes(10))
    (tmp_path / "two").write_bytes(bytes(5))
    assert folder_bytes(tmp_path) == 15
