"""Canonical MessagePack: against the independent `msgpack`, and every way in which bytes can be wrong."""

from typing import Annotated, Literal

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw, Struct

from ledger.codec import MAX_INTEGER, Malformed, Record, decode, encode, optional, present
from ledger.fields import Bin16, NodeId, Uint
from ledger.outcome import Outcome

VALUES = st.recursive(
    st.booleans() | st.integers(0, MAX_INTEGER) | st.binary(max_size=40) | st.text(max_size=40),
    lambda items: st.lists(items, max_size=20),
    max_leaves=30,
)


class Inner(Record, frozen=True):
    """A record to decode."""

    number: Uint
    name: NodeId


class Outer(Record, frozen=True):
    """A record with everything that fields are made of."""

    format: Literal[1]
    id: Bin16
    inners: tuple[Inner, ...]
    maybe: Annotated[tuple[Uint, ...], Meta(max_length=1)] = ()


GOOD = Outer(1, bytes(16), (Inner(5, "a"), Inner(6, "b")), (7,))


def decoded(data: bytes) -> Outer | None:
    """The record, or None for what is none."""
    try:
        return decode(data, Outer)
    except Malformed:
        return None


@given(VALUES)
def test_encoding_is_that_of_msgpack(value: object) -> None:
    """Two implementations write the same bytes."""
    assert encode(value) == msgpack.packb(value)


@given(VALUES)
def test_decoding_gives_the_value_back(value: object) -> None:
    """What was encoded is decoded, as a value and by the independent reader."""
    raw = encode([value])
    assert msgpack.unpackb(raw) == [value]
    assert decode(encode([1, 2]), list[Uint]) == [1, 2]


@given(st.binary(max_size=60))
def test_noise_is_refused(noise: bytes) -> None:
    """It is almost never a record; nothing but Malformed is raised."""
    assert decoded(noise) is None or encode(decoded(noise)) == noise


def test_one_changed_byte_is_refused_or_canonical_and_never_the_same_value() -> None:
    """Bytes and values stand one to one: what is accepted is the one encoding of what it says."""
    raw = encode(GOOD)
    changes = [
        raw[:place] + bytes([byte]) + raw[place + 1 :]
        for place in range(len(raw))
        for byte in range(256)
        if byte != raw[place]
    ]
    accepted = [(data, value) for data in changes if (value := decoded(data)) is not None]
    assert len(changes) > len(accepted) > 255 * len(GOOD.id)
    for data, value in accepted:
        assert encode(value) == data
        assert value != GOOD


def test_record_round_trip() -> None:
    """A record is the array of its fields."""
    assert decode(encode(GOOD), Outer) == GOOD
    assert encode(GOOD) == msgpack.packb([1, bytes(16), [[5, "a"], [6, "b"]], [7]])


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.5,
        -1,
        MAX_INTEGER + 1,
        2**64,
        {},
        {1: 2},
        set(),
        object(),
        [None],
        (1, (2, -1)),
        [[{}]],
        "\ud800",
    ],
)
def test_values_without_a_canonical_encoding_are_refused(value: object) -> None:
    """None, floats, maps, negative and too large integers, wherever they stand."""
    with pytest.raises(Malformed):
        encode(value)


def test_records_with_values_out_of_range_are_not_encoded() -> None:
    """A record is checked like any other array."""
    with pytest.raises(Malformed, match="-1"):
        encode(Inner(-1, "a"))


def test_largest_integer_is_the_boundary() -> None:
    """2⁶³−1 is in, 2⁶³ is out, both ways."""
    assert decode(encode(MAX_INTEGER), int) == MAX_INTEGER
    with pytest.raises(Malformed):
        encode(MAX_INTEGER + 1)
    for type_ in (int, Uint):
        with pytest.raises(Malformed):
            decode(msgpack.packb(MAX_INTEGER + 1), type_)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([2, bytes(16), [], []], "Outer.format"),
        ([1, bytes(15), [], []], "Outer.id"),
        ([1, bytes(17), [], []], "Outer.id"),
        ([1, "x" * 16, [], []], "Outer.id"),
        ([1, bytes(16), [[5, "a"], [-1, "b"]], []], "Outer.inners"),
        ([1, bytes(16), [[5, "A"]], []], r"Outer.inners\[.*\].name"),
        ([1, bytes(16), [[5, "a\n"]], []], r"name"),
        ([1, bytes(16), [[1.0, "a"]], []], r"number"),
        ([1, bytes(16), [[None, "a"]], []], r"number"),
        ([1, bytes(16), [[True, "a"]], []], r"number"),
        ([1, bytes(16), [[2**63, "a"]], []], r"number"),
        ([1, bytes(16), {}, []], "Outer.inners"),
        ([1, bytes(16), [], [1, 2]], "Outer.maybe"),
        ([1, bytes(16), [], [], 5], "Outer"),
        ([1], "Outer"),
        ({"format": 1}, "Outer"),
        (7, "Outer"),
    ],
)
def test_wrong_fields_are_refused_by_name(value: object, named: str) -> None:
    """The error says which field is wrong."""
    with pytest.raises(Malformed, match=named) as refused:
        decode(msgpack.packb(value), Outer)
    assert refused.value.outcome is Outcome.BAD_FIELD


def test_left_out_optional_array_is_not_canonical() -> None:
    """A shorter array would decode, by the default; there is one encoding only."""
    with pytest.raises(Malformed) as refused:
        decode(msgpack.packb([1, bytes(16), []]), Outer)
    assert refused.value.outcome is Outcome.NOT_CANONICAL


@pytest.mark.parametrize("data", [b"", b"\x94", b"\xc1", encode(GOOD) + b"\x00", encode(GOOD)[:-1]])
def test_broken_bytes_are_not_canonical(data: bytes) -> None:
    """Truncated, trailing and reserved bytes."""
    with pytest.raises(Malformed) as refused:
        decode(data, Outer)
    assert refused.value.outcome is Outcome.NOT_CANONICAL


class Keyed(Struct, frozen=True):
    """A struct that msgspec writes as a map."""

    number: Uint = 0


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ({1: 2}, dict),
        (1.5, float),
        (None, type(None)),
        ({"number": 1}, Keyed),
        (-1, int),
        (-1, Annotated[int, Meta(le=MAX_INTEGER, extra={"form": "amount"})]),
    ],
)
def test_types_that_allow_more_than_the_formats_do_not_widen_them(value: object, type_: type) -> None:
    """Whatever is asked for, maps, floats, nil and negative integers are refused."""
    with pytest.raises(Malformed):
        decode(msgpack.packb(value), type_)
    with pytest.raises(Malformed):
        encode(Keyed())


def test_deep_nesting_is_refused() -> None:
    """Arrays in arrays without end don't exhaust the stack."""
    with pytest.raises(Malformed):
        decode(b"\x91" * 100_000 + b"\x01", tuple[Raw])


@given(st.lists(st.integers(0, MAX_INTEGER), max_size=1))
def test_optional_and_present_are_inverse(values: list[int]) -> None:
    """An optional field holds one item or none."""
    assert present(optional(tuple(values))) == tuple(values)
