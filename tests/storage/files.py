"""LevelDB's files for tests that damage them: copies in which one file is other, and what is read of them."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from node.disk import LevelDatabase, StoreError

SMALL_BUFFER_BYTES = 64 * 1024
"""The smallest that LevelDB takes: a few hundred rows make several table files."""
AFTER_ALL_KEYS = b"\xff" * 64
Rows = dict[bytes, bytes]


def the_file(store: Path, pattern: str) -> Path:
    """The one file of that pattern."""
    found = list(store.glob(pattern))
    assert len(found) == 1, found
    return found[0]


def read(store: Path) -> Rows | None:
    """All rows, by scan and by key; None where the damage is named."""
    try:
        with contextlib.closing(LevelDatabase(store)) as database:
            scanned = dict(database.scan(b"", AFTER_ALL_KEYS))
            assert {key: database.get(key) for key in scanned} == scanned
            return scanned
    except StoreError:
        return None


def with_file(sound: Path, place: Path, name: str, data: bytes | None) -> Path:
    """A copy of the store in which one file is other, or is missing."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound, place, copy_function=_copied)
    (place / name).unlink()
    if data is not None:
        (place / name).write_bytes(data)
    return place


def _copied(source: str, target: str) -> None:
    """A table never changes, so that a link to it is as good as a copy."""
    (os.link if source.endswith(".ldb") else shutil.copyfile)(source, target)
