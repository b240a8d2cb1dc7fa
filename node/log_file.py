"""A node's log in a bounded file: stdout and stderr of the process go there too, tracebacks included.

It must not know what is logged.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOG_FILE_BYTES = 32 * 1024 * 1024
"""A longer log is put aside as `NAME.1`, in place of the one before: the newest lines are never lost."""
STANDARD = (1, 2)
"""The descriptors of stdout and stderr."""


def set_aside(path: Path) -> Path:
    """Where the older half of a log is kept."""
    return path.with_name(path.name + ".1")


def open_log_file(path: Path) -> TextIO:
    """A stream for `open_log` into `path`, which the process's stdout and stderr are redirected to."""
    return io.TextIOWrapper(io.BufferedWriter(LogFile(path)), encoding="utf-8", line_buffering=True)


class LogFile(io.RawIOBase):
    """The bytes of a log. A line is written as a whole, and never torn by the change to a new file."""

    def __init__(
        self, path: Path, limit_bytes: int = LOG_FILE_BYTES, redirected: Sequence[int] = STANDARD
    ) -> None:
        """Go on at the end of `path`; from now on what is written to those descriptors goes there as well."""
        self._path = path
        self._limit_bytes = limit_bytes
        self._redirected = redirected
        self._lock = Lock()
        self._line = bytearray()
        self._descriptor = self._opened()

    def writable(self) -> bool:
        """It is for writing only."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Append whole lines; begins a new file first where the old one has reached its limit."""
        with self._lock:
            self._line += data
            if self._line.endswith(b"\n"):
                self._append(bytes(self._line))
                self._line.clear()
        return len(bytes(data))

    def close(self) -> None:
        """Close the file; the redirected descriptors stay as they are."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _append(self, data: bytes) -> None:
        if os.fstat(self._descriptor).st_size >= self._limit_bytes:
            self._path.replace(set_aside(self._path))
            os.close(self._descriptor)
            self._descriptor = self._opened()
        os.write(self._descriptor, data)

    def _opened(self) -> int:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for other in self._redirected:
            os.dup2(descriptor, other)
        return descriptor
