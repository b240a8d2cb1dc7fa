"""The folder in which a drill has its copies: for its user alone, and removed at the end, however that comes.

A drill that was killed can't remove its folder; the next one does. It must not know what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

PREFIX = "nostro-drill-"
LOCK = "lock"
"""Held while the drill runs. A folder without this file was kept on purpose."""
_UNLOCKED = "not-yet-locked"


@contextlib.contextmanager
def scratch(parent: Path | None, keep: bool) -> Iterator[Path]:
    """A new folder under `parent`, or under the system's folder for such; raises OSError.

    SIGTERM ends what runs in it like an error would, so that the folder goes then too.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    sweep(parent)
    with _ended_by_sigterm():
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with (folder / _UNLOCKED).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # A sweep that saw the lock before it is held would take the folder for one left behind.
            (folder / _UNLOCKED).rename(folder / LOCK)
            try:
                yield folder
            finally:
                # Half a removal might leave the keys and take the lock, and nobody would remove the rest.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if keep:
                    (folder / LOCK).unlink()
                else:
                    shutil.rmtree(folder)


def sweep(parent: Path) -> None:
    """Remove what drills of this user left behind that were killed."""
    for folder in parent.glob(PREFIX + "*"):
        # Another drill may end meanwhile, and its folder with it.
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                _remove_left(folder)


def _remove_left(folder: Path) -> None:
    """Raises FileNotFoundError where it has no lock, and BlockingIOError where that is held."""
    with (folder / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been let go on purpose since it was opened.
        if (folder / LOCK).is_file():
            # A copy that is still ending may write there: what that leaves, the next drill removes.
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Raise SystemExit where SIGTERM comes; for the main thread."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
