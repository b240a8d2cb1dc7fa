"""Schedules: values that take effect at a height decided well before it (formats.md, section 6).

It must not know what the values are, nor which heights have been executed. A schedule's entries are
(from_height, value) pairs, ascending, the first from height 0.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

LOOK_BACK: Final = 64
"""A value decided at height g holds from g + 64 or later: nobody checks a block before knowing its values."""

T = TypeVar("T")


def at(entries: Sequence[tuple[int, T]], height: int) -> T:
    """The value in force at `height`: the last one from that height or below."""
    for from_height, value in reversed(entries):
        if from_height <= height:
            return value
    raise ValueError(f"no value is in force at height {height}: a schedule starts at height 0")


def version_at(entries: Sequence[tuple[int, T]], height: int) -> int:
    """How many values were decided of those from `height` or below, where no entry was ever replaced."""
    return sum(from_height <= height for from_height, _ in entries)


def activation_waits(entries: Sequence[tuple[int, T]], height: int) -> bool:
    """Whether some value takes effect above `height`."""
    return bool(entries) and entries[-1][0] > height


def with_entry(entries: Sequence[tuple[int, T]], from_height: int, value: T) -> tuple[tuple[int, T], ...]:
    """The entries after one more decision; a value decided earlier for the same height gives way."""
    others = [entry for entry in entries if entry[0] != from_height]
    return tuple(sorted([*others, (from_height, value)], key=lambda entry: entry[0]))
