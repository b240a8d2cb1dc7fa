"""Whether the log that LevelDB's manifest names is there, which LevelDB itself doesn't ask.

A manifest that lost its end looks whole to it: it goes on from an older log, which was deleted once its rows
stood in a table, and finds nothing to read. A log that is gone is to it one that was never written. Either
way rows that were synced would be missing without a word. It must not know what the rows mean, nor change a
file. Layout: LevelDB, doc/impl.md and db/version_edit.cc.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from node.leveldb_log import whole_records

CURRENT = "CURRENT"
_NAMES_MANIFEST = re.compile(rb"(MANIFEST-[0-9]+)\n")
_LOG_NUMBER = 2
_NUMBER, _TEXT = "n", "t"
_FIELDS = {
    1: _TEXT,
    _LOG_NUMBER: _NUMBER,
    3: _NUMBER,
    4: _NUMBER,
    5: _NUMBER + _TEXT,
    6: _NUMBER * 2,
    7: _NUMBER * 3 + _TEXT * 2,
    9: _NUMBER,
}
"""What follows each tag of a version edit: comparator, log, next file, last sequence, where to compact, file
that goes, file that comes, log before (always 0 in the LevelDB that we use).
"""


class MissingLog(NamedTuple):
    """A log that must be there, and the manifest that says so, by the names of their files."""

    log: str
    manifest: str


def missing_log(store: Path) -> MissingLog | None:
    """The log from which LevelDB would recover, if it isn't there; what LevelDB refuses itself is left to it.

    A log is written from before the manifest names it until after the manifest names its successor. So in a
    store that a process writes to meanwhile, a second look finds another name.
    """
    seen = None
    while (named := _named_log(store)) != seen:
        if named is None or (store / named.log).exists():
            return None
        seen = named
    return seen


def _named_log(store: Path) -> MissingLog | None:
    """The log that the store's newest version begins with; None where no store was ever made to the end."""
    with contextlib.suppress(FileNotFoundError):
        current = _NAMES_MANIFEST.fullmatch((store / CURRENT).read_bytes())
        if current is not None:
            manifest = current[1].decode("ascii")
            number = _log_number((store / manifest).read_bytes())
            return MissingLog(f"{number:06d}.log", manifest) if number else None
    return None


def _log_number(manifest: bytes) -> int | None:
    """The number of the log in the last edit: each has it. None where an edit can't be read."""
    number = None
    for edit in whole_records(manifest):
        try:
            number = dict(_fields(edit)).get(_LOG_NUMBER, number)
        except (IndexError, KeyError):
            return None
    return number


def _fields(edit: bytes) -> Iterator[tuple[int, int]]:
    """The tag and the first number of each field; raises IndexError or KeyError for what is no edit."""
    place = 0
    while place < len(edit):
        tag, place = _varint(edit, place)
        first, _ = _varint(edit, place)
        for kind in _FIELDS[tag]:
            value, place = _varint(edit, place)
            place += value if kind == _TEXT else 0
        yield tag, first


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte with the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            return value, place
