"""The folder in which a drill has its copies: for its user alone, and removed at the end, however that comes.

A drill that was killed can't remove its folder; the next one does. It must not know what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "nostro-drill-"
LOCK = "lock"
"""Held while the drill runs. A folder without this file was kept on purpose."""


@contextlib.contextmanager
def scratch(parent: Path | None, keep: bool) -> Iterator[Path]:
    """A new folder under `parent`, or under the system's folder for such; raises OSError."""
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            if keep:
                (folder / LOCK).unlink()
            else:
                shutil.rmtree(folder)


def sweep(parent: Path) -> None:
    """Remove what drills of this user left behind that were killed."""
    for folder in parent.glob(PREFIX + "*"):
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not (folder / LOCK).is_file():
            continue
        with (folder / LOCK).open("rb") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A copy that is still ending may write there: what that leaves, the next drill removes.
            shutil.rmtree(folder, ignore_errors=True)
