"""Canonical MessagePack: the one encoding of every value that is signed, hashed or exchanged (formats.md, 1).

It must not know what the values mean. Decoding refuses every other encoding of the same value, so bytes and
values stand one to one.
"""

import re
import typing
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from ledger.outcome import Outcome

MAX_INTEGER = 2**63 - 1
"""The largest integer on the chain; amounts, heights and times stay at or below it."""

T = TypeVar("T")


class Malformed(ValueError):
    """Bytes or a value that the formats do not allow.

    `reason` says what is wrong with which thing; `outcome` is the number that a node answers with.
    """

    def __init__(self, reason: str, outcome: Outcome = Outcome.BAD_FIELD) -> None:
        """Keep the reason as the exception's text too."""
        super().__init__(reason)
        self.reason = reason
        self.outcome = outcome


class Record(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, kw_only=False
):
    """The base of every encoded value: a frozen struct, written as the array of its fields."""


_encoder = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """The canonical encoding of arrays, bools, unsigned integers, bytes, strings and Records of these.

    Raises Malformed for anything else: None, floats, negative or too large integers, maps, sets.
    """
    _check(value)
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError as error:
        raise Malformed(f"the text {error.object!r} can't be written as UTF-8") from error


def decode(data: bytes, type_: type[T]) -> T:
    """The value that `data` is the canonical encoding of, checked against the declared type.

    Raises Malformed, naming the field, for any other bytes: other types, other lengths, extra or missing
    items, trailing bytes, values out of range, and every encoding that is not the shortest.
    """
    try:
        decoder, bounded = _decoder(cast(Hashable, type_))
        value: T = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, type_) from error
    if not bounded:
        _check(value)
    if _encoder.encode(value) != data:
        raise Malformed(f"{_name(type_)}: not the canonical encoding of its value", Outcome.NOT_CANONICAL)
    return value


def optional(values: tuple[T, ...]) -> T | None:
    """What an optional field holds: its one item, or None when it is empty."""
    return values[0] if values else None


def present(value: T | None) -> tuple[T, ...]:
    """The optional field that holds `value`: an array of one, or of none for None."""
    return () if value is None else (value,)


def _check(value: object) -> None:
    kind = type(value)
    if kind is bytes or kind is str or kind is bool or kind is msgspec.Raw:
        return
    if kind is tuple or kind is list:
        _check_items(value)  # type: ignore[arg-type]  # narrowed by `kind`, which mypy does not follow
    elif isinstance(value, int):
        if not 0 <= value <= MAX_INTEGER:
            raise Malformed(f"the integer {value} is not between 0 and {MAX_INTEGER}")
    elif isinstance(value, Record):
        _check_items(msgspec.structs.astuple(value))
    else:
        raise Malformed(f"a {kind.__name__} has no canonical encoding")


def _check_items(items: tuple[object, ...] | list[object]) -> None:
    for item in items:
        kind = type(item)
        # The commonest types are settled here, without a call: thousands of records a second are encoded.
        if kind is bytes or kind is str:
            continue
        if kind is int:
            if not 0 <= item <= MAX_INTEGER:  # type: ignore[operator]  # an int, as `kind` says
                raise Malformed(f"the integer {item} is not between 0 and {MAX_INTEGER}")
            continue
        _check(item)


@cache
def _decoder(type_: Hashable) -> tuple["msgspec.msgpack.Decoder[Any]", bool]:
    """A decoder, and whether the type itself keeps out what has no canonical encoding."""
    return msgspec.msgpack.Decoder(type_), _is_bounded(inspect.type_info(type_), ())


def _is_bounded(info: inspect.Type, within: tuple[type, ...]) -> bool:
    match info:
        case inspect.Metadata():
            return _is_bounded(info.type, within)
        case inspect.IntType():
            return info.ge is not None and info.ge >= 0 and info.le is not None and info.le <= MAX_INTEGER
        case inspect.StructType():
            if info.cls in within:
                return True
            return info.array_like and all(
                _is_bounded(field.type, (*within, info.cls)) for field in info.fields
            )
        case inspect.VarTupleType() | inspect.ListType():
            return _is_bounded(info.item_type, within)
        case inspect.TupleType():
            return all(_is_bounded(item, within) for item in info.item_types)
        case inspect.LiteralType():
            return all(not isinstance(value, int) or value >= 0 for value in info.values)
        case _:
            return isinstance(info, inspect.BytesType | inspect.StrType | inspect.BoolType | inspect.RawType)


def _malformed(error: Exception, type_: Any) -> Malformed:
    if not isinstance(error, msgspec.ValidationError):
        return Malformed(f"{_name(type_)}: not MessagePack of that layout: {error}", Outcome.NOT_CANONICAL)
    text, _, path = str(error).partition(" - at `$")
    return Malformed(f"{_field_name(type_, path)}: {text}")


def _field_name(type_: Any, path: str) -> str:
    """Turn a path of positions, as in `[3][0]`, into the names of the fields that stand there."""
    name = _name(type_)
    for position in re.findall(r"\[(\d+|\.\.\.)\]", path):
        type_, step = _step(type_, position)
        name += step
    return name


def _step(type_: Any, position: str) -> tuple[Any, str]:
    origin = typing.get_origin(type_)
    if origin is typing.Annotated:
        return _step(typing.get_args(type_)[0], position)
    struct = origin or type_
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and position.isdigit():
        field = struct.__struct_fields__[int(position)]
        return typing.get_type_hints(struct, include_extras=True)[field], f".{field}"
    arguments = typing.get_args(type_)
    return (arguments[0] if arguments else None), f"[{position}]"


def _name(type_: Any) -> str:
    return str(getattr(type_, "__name__", type_))
