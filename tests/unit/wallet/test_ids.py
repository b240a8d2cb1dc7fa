"""Payment ids: the UUIDv7 layout, ids that are derived, and their text."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.errors import IdMalformed
from wallet.ids import MOST_ROW, MOST_TIME_MS, derived_tx_id, format_tx_id, new_tx_id, parse_tx_id


def test_rfc_9562_example() -> None:
    """The example of RFC 9562, appendix A.6, from its time and its random bits."""
    random_bits = bytes.fromhex("0cc318c4dc0c0c07398f")
    tx_id = new_tx_id(0x017F22E279B0, lambda size: random_bits[:size])
    assert format_tx_id(tx_id) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(st.integers(0, MOST_TIME_MS), st.binary(min_size=10, max_size=10))
def test_layout(now_ms: int, random_bits: bytes) -> None:
    """Version 7, the variant of the RFC, the time in front, 74 bits of randomness behind."""
    tx_id = new_tx_id(now_ms, lambda size: random_bits[:size])
    value = uuid.UUID(bytes=tx_id)
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert int.from_bytes(tx_id[:6]) == now_ms
    kept = int.from_bytes(tx_id[6:]) & 0x0FFF_3FFF_FFFF_FFFF_FFFF
    assert kept == int.from_bytes(random_bits) & 0x0FFF_3FFF_FFFF_FFFF_FFFF
    assert parse_tx_id(format_tx_id(tx_id)) == parse_tx_id(format_tx_id(tx_id).upper()) == tx_id


@pytest.mark.parametrize("now_ms", [-1, MOST_TIME_MS + 1])
def test_time_out_of_bounds(now_ms: int) -> None:
    """A time that doesn't fit 48 bits makes no id."""
    with pytest.raises(IdMalformed):
        new_tx_id(now_ms, os.urandom)
    with pytest.raises(IdMalformed):
        derived_tx_id(now_ms, "batch", 0, "settle")


def test_derived_id_is_the_same_again() -> None:
    """The id of a row never changes: a payment file sent again next year must not pay again."""
    assert (
        format_tx_id(derived_tx_id(1_700_000_000_000, "salaries.csv", 7, "settle"))
        == "018bcfe5-6800-77db-a47c-972e30960328"
    )


def test_derived_ids_differ() -> None:
    """Each of the four arguments matters, and none runs into its neighbour."""
    ids = {
        derived_tx_id(1_000, "ab", 1, "c"),
        derived_tx_id(1_001, "ab", 1, "c"),
        derived_tx_id(1_000, "a", 1, "bc"),
        derived_tx_id(1_000, "ab", 2, "c"),
        derived_tx_id(1_000, "ab", 1, "d"),
    }
    assert len(ids) == 5
    assert all(uuid.UUID(bytes=tx_id).version == 7 for tx_id in ids)


@pytest.mark.parametrize("row", [0, MOST_ROW])
def test_row_bounds(row: int) -> None:
    """The first and the last row have ids."""
    assert len(derived_tx_id(0, "b", row, "p")) == 16


@pytest.mark.parametrize(
    ("batch", "row", "purpose"),
    [
        ("b", -1, "p"),
        ("b", MOST_ROW + 1, "p"),
        ("", 0, "p"),
        ("b", 0, ""),
        ("x" * 256, 0, "p"),
        ("b", 0, "é" * 128),
        ("\ud800", 0, "p"),
        ("b", 0, "\x00"),
    ],
)
def test_derived_arguments_refused(batch: str, row: int, purpose: str) -> None:
    """Rows and names out of bounds have no id."""
    with pytest.raises(IdMalformed):
        derived_tx_id(0, batch, row, purpose)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "017f22e279b07cc398c4dc0c0c07398f",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
    ],
)
def test_text_refused(text: str) -> None:
    """Only the one form of 36 characters is read."""
    with pytest.raises(IdMalformed):
        parse_tx_id(text)


@pytest.mark.parametrize("size", [15, 17])
def test_other_sizes_have_no_text(size: int) -> None:
    """An id has 16 bytes."""
    with pytest.raises(IdMalformed):
        format_tx_id(bytes(size))
