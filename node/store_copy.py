"""A copy of a store as it stands at one moment, of a node that may go on writing to it meanwhile.

LevelDB never changes a table file, and only appends to its log and manifest. So a copy made while no file
came or went and the manifest didn't grow is what a crash at that moment would have left, and is opened like
that. It reads the original and takes no lock on it. It must not know what the copy is for: what runs on one
has forgotten what the original promised since, and must never meet its peers.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from node.disk import StoreError, StoreMissing

ROUNDS = 50
"""So often the copy is made up to date, at most; each round copies only what the one before lacks."""
TABLES = (".ldb", ".sst")
LEFT_OUT = ("LOCK", "LOG", "LOG.old")
"""LevelDB's lock, and its own notes for people."""

Listing = dict[str, int]
"""The size of every file that never changes or whose growth matters, in bytes; 0 for LevelDB's log."""


def copy_store(data: Path, target: Path) -> int:
    """Copy the store at `data` to `target`, which must not exist; how many bytes that are.

    Raises StoreMissing, StoreError where the store never stands still, and OSError.
    """
    if not (data / "CURRENT").is_file():
        raise StoreMissing(f"there is no store at {data}. Start the node once, or leave it out.")
    target.mkdir(mode=0o700, parents=True)
    for _ in range(ROUNDS):
        if _copy_round(data, target):
            return sum(file.stat().st_size for file in target.iterdir())
    raise StoreError(f"the store at {data} did not stand still for a copy. Try again when less is written.")


def _copy_round(data: Path, target: Path) -> bool:
    """Copy what the copy lacks; whether nothing but LevelDB's log changed meanwhile."""
    before = _listing(data)
    for name, size_bytes in before.items():
        copied = target / name
        if name.endswith(TABLES) and copied.exists() and copied.stat().st_size == size_bytes:
            continue
        with contextlib.suppress(FileNotFoundError):
            # It is gone already: the listing after this round shows it.
            shutil.copyfile(data / name, copied)
    if _listing(data) != before:
        return False
    for file in target.iterdir():
        if file.name not in before:
            file.unlink()
    return True


def _listing(data: Path) -> Listing:
    found = {}
    for file in data.iterdir():
        if file.name not in LEFT_OUT:
            with contextlib.suppress(FileNotFoundError):
                found[file.name] = 0 if file.suffix == ".log" else file.stat().st_size
    return found
