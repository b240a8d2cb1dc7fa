"""Writing a private file so that a crash leaves the old one or the new one, never half of either.

It must not know what the files hold. POSIX: rename within a directory is atomic, and it is durable once the
directory itself is synced.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, readable by its owner alone (0600), on disk when this returns.

    Raises OSError when the directory can't be written; the file that was there is then unchanged.
    """
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", dir=path.parent
    )  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Let the disk know of all names in the directory. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, most_bytes: int) -> bytes | None:
    """The file's bytes, or None when it is longer than `most_bytes`. Raises OSError."""
    with open(path, "rb") as file:
        data = file.read(most_bytes + 1)
    return data if len(data) <= most_bytes else None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that programs writing `path` share: a file beside it, since `path` itself is replaced."""
    lock_path = path.with_name(f".{path.name}.lock")
    descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
