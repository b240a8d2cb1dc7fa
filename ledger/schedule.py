"""Schedules: values that take effect at a height decided well before it (formats.md, section 6).

It must not know what the values are, nor which heights have been executed.
"""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from ledger.codec import Record
from ledger.fields import Uint

LOOK_BACK: Final = 64
"""A value decided at height g holds from g + 64 or later: nobody checks a block before knowing its values."""

T = TypeVar("T")


class Entry(Record, Generic[T], frozen=True):
    """A value and the height from which it holds."""

    from_height: Uint
    value: T


class Schedule(Record, Generic[T], frozen=True):
    """All values of one thing, ascending by height, the first from 0; the version counts the decisions."""

    version: Uint
    entries: tuple[Entry[T], ...]


def starting_with(value: T) -> Schedule[T]:
    """The schedule at genesis: one value, in force from height 0, as version 1."""
    return Schedule(1, (Entry(0, value),))


def at(entries: Sequence[Entry[T]], height: int) -> T:
    """The value in force at `height`: the last one from that height or below."""
    for entry in reversed(entries):
        if entry.from_height <= height:
            return entry.value
    raise ValueError(f"no value is in force at height {height}: a schedule starts at height 0")


def activation_waits(entries: Sequence[Entry[T]], height: int) -> bool:
    """Whether some value takes effect above `height`."""
    return bool(entries) and entries[-1].from_height > height


def with_entry(schedule: Schedule[T], from_height: int, value: T) -> Schedule[T]:
    """The schedule after one more decision; a value decided earlier for the same height gives way."""
    others = [entry for entry in schedule.entries if entry.from_height != from_height]
    entries = sorted([*others, Entry(from_height, value)], key=lambda entry: entry.from_height)
    return Schedule(schedule.version + 1, tuple(entries))
