"""Amounts: text to minor units and back, and everything that is no amount."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.amounts import AmountError, format_amount, parse_amount
from ledger.codec import MAX_INTEGER


@given(st.integers(0, MAX_INTEGER), st.integers(0, 18))
def test_round_trip(amount: int, scale: int) -> None:
    """Every amount has one text with all its decimals, which gives it back."""
    text = format_amount(amount, scale)
    assert parse_amount(text, scale) == amount
    assert len(text.partition(".")[2]) == scale


@pytest.mark.parametrize(
    ("text", "scale", "amount"),
    [
        ("12.50", 2, 1250),
        ("12.5", 2, 1250),
        ("12", 2, 1200),
        ("0", 0, 0),
        ("0.000000000000000001", 18, 1),
        ("7", 0, 7),
    ],
)
def test_texts_that_are_amounts(text: str, scale: int, amount: int) -> None:
    """Missing decimals are zeros."""
    assert parse_amount(text, scale) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "1e3",
        "1,5",
        "1.",
        ".5",
        "01",
        "1_000",
        "0x1",
        "١",
        "1.2.3",
        "1\n",
        "NaN",
        "9" * 41,
    ],
)
def test_texts_that_are_none(text: str) -> None:
    """No signs, exponents, commas, spaces, other digits, leading zeros."""
    with pytest.raises(AmountError, match="not an amount"):
        parse_amount(text, 2)


def test_more_decimals_than_the_asset_has_are_refused() -> None:
    """Nothing is ever rounded, not even a zero."""
    assert parse_amount("1.23", 2) == 123
    with pytest.raises(AmountError, match="3 decimals, the asset has 2"):
        parse_amount("1.230", 2)


def test_largest_amount_is_the_boundary() -> None:
    """2⁶³−1 minor units and not one more."""
    assert parse_amount(str(MAX_INTEGER), 0) == MAX_INTEGER
    with pytest.raises(AmountError, match="more than the ledger counts"):
        parse_amount(str(MAX_INTEGER + 1), 0)


def test_debts_have_a_sign() -> None:
    """A balance below zero, as an issuance account has it."""
    assert format_amount(-5, 2) == "-0.05"
    assert format_amount(-1250, 2) == "-12.50"


@pytest.mark.parametrize("scale", [-1, 19])
def test_scales_out_of_range_are_refused(scale: int) -> None:
    """A scale is 0 to 18."""
    with pytest.raises(AmountError, match="between 0 and 18"):
        format_amount(1, scale)
    with pytest.raises(AmountError, match="between 0 and 18"):
        parse_amount("1", scale)
