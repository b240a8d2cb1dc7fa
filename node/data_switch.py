"""Putting one data folder in place of another, so that a crash leaves the old or the new, never a mix.

Beside `data` stand `data.new` while a store is built, and `data.old` while it is switched. The first rename
is the decision: from then on `settle` finishes what was begun, before it undoes what wasn't decided. It must
not know what the folders hold. Nothing may have either of them open meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from node.disk import StoreError
from node.snapshot_folder import remove
from wallet.atomic_file import sync_directory, write_private

_KEEP = "KEEP"
"""A file of this name in a store says that it isn't to be removed once another has taken its place."""

Step = Callable[[str], None]
"""Is told of each step that is done; tests end the process there."""


def new_folder(data: Path) -> Path:
    """Where the store is built that will take the place of `data`."""
    return data.with_name(data.name + ".new")


def old_folder(data: Path) -> Path:
    """Where the store goes whose place was taken."""
    return data.with_name(data.name + ".old")


def keep(data: Path) -> None:
    """Have the store that a switch takes away kept beside the new one; raises OSError.

    The mark stands in the store itself, so that it is kept whoever ends the switch.
    """
    write_private(data / _KEEP, b"")


def fetched_folder(data: Path) -> Path:
    """Where the chunks of a snapshot gather that comes from a peer."""
    return data.with_name(data.name + ".fetched")


def served_folder(data: Path) -> Path:
    """Where the snapshots stand that this node gives to its peers."""
    return data.with_name(data.name + ".snapshots")


def suspect_file(data: Path) -> Path:
    """Stands there after a node met damage in its store: the next start looks through all of it."""
    return data.with_name(data.name + ".suspect")


def switch(data: Path, step: Step = lambda done: None) -> None:
    """Put `data.new`, which is whole, in the place of `data`; raises OSError."""
    new, old = new_folder(data), old_folder(data)
    sync_files(new)
    step("new store synced")
    if data.exists():
        data.rename(old)
        sync_directory(data.parent)
        step("old store moved away")
    new.rename(data)
    sync_directory(data.parent)
    step("new store in its place")
    _dispose(old)
    step("old store removed")


def settle(data: Path) -> None:
    """At a start, before anything opens `data`: finish a switch that was decided, undo one that wasn't.

    Raises StoreError where the store was moved away and nothing has taken its place.
    """
    new, old = new_folder(data), old_folder(data)
    if not data.exists() and old.exists():
        if not new.exists():
            raise StoreError(
                f"the store at {data} is missing, and {old} holds an earlier one. If that is the newest you "
                f"have, keep a copy and move it back to {data}; else bring the bank back as a new node."
            )
        new.rename(data)
        sync_directory(data.parent)
    _dispose(old)
    remove(new)


def _dispose(old: Path) -> None:
    """Remove a store whose place is taken, or give it a name of its own, `data.kept-1` and so on."""
    if not (old / _KEEP).exists():
        remove(old)
        return
    number = 1
    while (kept := old.with_name(f"{old.stem}.kept-{number}")).exists():
        number += 1
    old.rename(kept)
    sync_directory(old.parent)


def sync_files(folder: Path) -> None:
    """Let every file of a folder, and the folder itself, reach the disk."""
    for file in folder.iterdir():
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    sync_directory(folder)
