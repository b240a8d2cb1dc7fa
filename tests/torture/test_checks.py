"""The checks of a history: each finds what it is for, and nothing where all is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.checks import (
    contradicts_store,
    not_linearizable,
    out_of_order,
    places_given_twice,
    sum_at_one_height,
)
from tests.torture.history import Fate, History, Paid, Place, Read
from tests.torture.linearizable import NEVER


def paid(
    at_s: float, place: Place | None, fate: Fate = Fate.EXECUTED, *, debtor: int = 0, takes_s: float = 1
) -> Paid:
    """A payment of 5 from one account to the next."""
    returned_s = NEVER if fate is Fate.UNKNOWN else at_s + takes_s
    return Paid("payer", f"id-{at_s}", debtor, debtor + 1, 5, at_s, returned_s, fate, place)


def read(at_s: float, height: int, balance: int, account: int = 0, last: Place | None = None) -> Read:
    """A read that takes a second."""
    return Read("alpha-1", account, balance, height, last, at_s, at_s + 1)


GOOD = [paid(0, (1, 0)), paid(1, (1, 1), debtor=1), paid(2, None, Fate.UNKNOWN), paid(9, (3, 0), Fate.SHORT)]


def test_a_good_history_passes_every_check() -> None:
    """Payments in order, one of unknown fate, one that was refused, and reads of two accounts."""
    payments = [*GOOD[:3], paid(9, None, Fate.REFUSED)]
    reads = [read(3, 1, 5), read(5, 2, 0), read(5, 2, 10, account=1)]
    assert not list(not_linearizable([0, 1, 2], 10, payments, reads[:2]))
    assert not list(out_of_order(payments, reads))
    assert not list(places_given_twice(payments))


def test_a_stale_read_is_not_linearizable() -> None:
    """The account is named, and so are the balances that it could have had."""
    (found,) = not_linearizable([0, 1], 10, [paid(0, (1, 0))], [read(2, 0, 10)])
    assert "account 0" in found
    assert "(5,)" in found


def test_a_payment_that_was_short_though_there_was_enough() -> None:
    """Such a refusal is a contradiction on the debtor's account only."""
    (found,) = not_linearizable([0, 1], 10, [paid(0, (1, 0), Fate.SHORT)], [])
    assert "account 0" in found


@pytest.mark.parametrize(
    ("payments", "reads"),
    [
        pytest.param([paid(0, (2, 0)), paid(5, (1, 0), debtor=2)], [], id="two payments of other accounts"),
        pytest.param([paid(0, (2, 0))], [read(5, 1, 0, account=9)], id="a read of before"),
        pytest.param([paid(5, (2, 0))], [read(0, 2, 0, account=9)], id="a read of the future"),
    ],
)
def test_an_order_that_is_not_the_chains(payments: list[Paid], reads: list[Read]) -> None:
    """What was over before another began stands before it, whatever accounts they touch."""
    assert len(list(out_of_order(payments, reads))) == 1


def test_what_overlaps_may_stand_in_any_order() -> None:
    """No order is demanded of two payments at the same time, nor of two reads of one height."""
    assert not list(out_of_order([paid(0, (2, 0), takes_s=5), paid(5, (1, 0))], []))
    assert not list(out_of_order([], [read(0, 2, 0), read(5, 2, 0)]))


def test_a_read_of_the_same_height_hides_no_disorder() -> None:
    """Of two reads of one height, the one that was over before the block's payment began is found."""
    assert len(list(out_of_order([paid(2, (1, 0))], [read(5, 1, 0), read(0, 1, 0)]))) == 1


def test_a_place_is_given_once() -> None:
    """Two payments with the same place are found."""
    assert list(places_given_twice([paid(0, (1, 0)), paid(1, (1, 0))])) == ["(1, 0) was given to 2 payments"]


def test_the_sum_counts_only_where_one_height_is_seen() -> None:
    """Reads of several heights show one where nothing happened in between."""
    assert sum_at_one_height([read(0, 4, 3, last=(4, 0)), read(0, 4, 7, last=(2, 0))]) == 10
    assert sum_at_one_height([read(0, 4, 3, last=(4, 0)), read(0, 6, 7, last=(4, 1))]) == 10
    assert sum_at_one_height([read(0, 4, 3, last=(4, 0)), read(0, 6, 7, last=(5, 0))]) is None


HERE = ((1, 0), Fate.EXECUTED)
ELSEWHERE = ((1, 1), Fate.EXECUTED)


@pytest.mark.parametrize(
    ("payment", "found", "wrong"),
    [
        (paid(0, (1, 0)), [HERE], False),
        (paid(0, (1, 0)), [], True),
        (paid(0, (1, 0)), [ELSEWHERE], True),
        (paid(0, (1, 0)), [HERE, ELSEWHERE], True),
        (paid(0, (1, 0)), [((1, 0), Fate.SHORT)], True),
        (paid(0, None, Fate.UNKNOWN), [HERE], False),
        (paid(0, None, Fate.UNKNOWN), [], False),
        (paid(0, None, Fate.UNKNOWN), [HERE, ELSEWHERE], True),
        (paid(0, None, Fate.REFUSED), [], False),
        (paid(0, None, Fate.REFUSED), [HERE], True),
    ],
)
def test_what_a_store_may_say(payment: Paid, found: list[tuple[Place, Fate]], wrong: bool) -> None:
    """What was acknowledged stands there, once; what was refused doesn't; the unknown may, once."""
    assert (contradicts_store(payment, found) is not None) is wrong


def test_a_history_is_written_as_it_happens_and_tells_its_silences(tmp_path: Path) -> None:
    """A line an event; silences count from the start and to the end of the time that is asked for."""
    with History(tmp_path / "history") as history:
        history.paid(paid(0, None, Fate.UNKNOWN))
        history.paid(paid(2, (1, 0)))
        history.paid(paid(6, (2, 0)))
        history.read([read(0, 1, 1)])
        history.violated("liveness", "nothing happens")
    assert len((tmp_path / "history").read_bytes().splitlines()) == 5
    assert history.executed_between(3, 7) == 2
    assert history.executed_between(3.5, 6.5) == 0
    assert history.longest_silence_s(0, 8) == 4
    assert history.longest_silence_s(2, 12) == 5
    assert [payment.tx_id for payment in history.with_fate(Fate.UNKNOWN)] == ["id-0"]
