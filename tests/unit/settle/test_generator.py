"""The generator of realistic payment orders."""

import io
from collections import Counter
from decimal import Decimal
from itertools import islice

import pytest

from cli.settle.generator import (
    BANKS,
    CATEGORIES,
    COLUMNS,
    MAX_ORDERS,
    TOLD_EVERY_ORDERS,
    generate,
    write_orders,
)

PUBLISHED_ORDERS = 6_471
PUBLISHED_TOTAL = Decimal("21228993.60")
PUBLISHED_PAYERS = 3_758


def test_the_same_seed_makes_the_same_orders() -> None:
    """Rows are equal for one seed and differ for another; a longer run starts with the shorter one's rows."""
    assert list(generate(500, 7)) == list(generate(500, 7))
    assert list(generate(500, 7)) != list(generate(500, 8))
    assert list(islice(generate(600, 7), 500)) == list(generate(500, 7))


def test_a_run_of_the_published_size_looks_like_the_published_data() -> None:
    """Total, payers, and the shares of categories and banks are near the published figures."""
    rows = list(generate(PUBLISHED_ORDERS, 1))
    total = sum(Decimal(row[4]) for row in rows)
    assert abs(total / PUBLISHED_TOTAL - 1) < Decimal("0.08")
    assert abs(len({row[1] for row in rows}) / PUBLISHED_PAYERS - 1) < 0.05
    symbols = Counter(row[5] for row in rows)
    for category in CATEGORIES:
        assert abs(symbols[category.symbol] - category.count) < 0.02 * PUBLISHED_ORDERS
    banks = Counter(row[2] for row in rows)
    assert set(banks) == set(BANKS)
    assert max(banks.values()) < 1.5 * min(banks.values())


def test_amounts_are_positive_and_have_two_decimals() -> None:
    """No order is for nothing, and none has a fraction of a heller."""
    for row in generate(5_000, 3):
        whole, decimals = row[4].split(".")
        assert len(decimals) == 2
        assert Decimal(f"{whole}.{decimals}") >= 1


def test_amounts_stay_within_their_category() -> None:
    """The least and the greatest published amount bound what is drawn."""
    bounds = {category.symbol: (category.quantiles[0], category.quantiles[-1]) for category in CATEGORIES}
    for row in generate(5_000, 4):
        low, high = bounds[row[5]]
        assert low <= Decimal(row[4]) <= high


def test_writing_says_how_far_it_is_and_what_the_orders_come_to() -> None:
    """Once for so many orders, and at the end; the sum is that of the rows."""
    out = io.StringIO()
    told: list[tuple[int, int]] = []
    count = TOLD_EVERY_ORDERS + 2
    hellers = write_orders(out, count, 1, lambda written, total: told.append((written, total)))
    assert told == [(TOLD_EVERY_ORDERS, count), (count, count)]
    assert Decimal(hellers) / 100 == sum(Decimal(row[4]) for row in generate(count, 1))
    assert len(out.getvalue().splitlines()) == 1 + count


def test_the_number_of_orders_is_bounded() -> None:
    """None, and more than the limit, are refused; the limit itself is not."""
    for count in (0, MAX_ORDERS + 1):
        with pytest.raises(ValueError, match="number of orders"):
            next(generate(count, 1))
    assert len(next(generate(MAX_ORDERS, 1))) == len(COLUMNS)


def test_written_as_text_with_a_header() -> None:
    """One line an order under the names of the columns."""
    out = io.StringIO()
    write_orders(out, 3, 1)
    lines = out.getvalue().splitlines()
    assert lines[0] == ";".join(COLUMNS)
    assert len(lines) == 4
