"""Faults below a node's process: a library of a page of C, compiled at run time and preloaded.

It makes syncs slow, the disk full (short writes, then ENOSPC) and the wall clock wrong, while the node runs.
Without a C compiler there is none, and the torture goes without those faults and says so. It must not know
when which fault is wanted.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
FAULTS_VARIABLE = "NOSTRO_TORTURE_FAULTS"
LAYOUT = struct.Struct("=qqqq")
"""sync_delay_us, limited, free_bytes, clock_offset_ms: as in shim.c."""


def compile_shim(folder: Path) -> Path | None:
    """The library, compiled into `folder`; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    command = [
        compiler,
        "-O2",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(SOURCE),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return library


class Faults:
    """The faults of one node; they take effect at once, and stay over its restarts."""

    def __init__(self, library: Path, page: Path) -> None:
        """Makes the page that is shared with the node; no fault yet."""
        page.write_bytes(bytes(LAYOUT.size))
        self._variables = {"LD_PRELOAD": str(library), FAULTS_VARIABLE: str(page)}
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), LAYOUT.size)

    @property
    def variables(self) -> dict[str, str]:
        """What the node's environment needs."""
        return self._variables

    @property
    def free_bytes(self) -> int:
        """What a limited disk still takes."""
        left: int = LAYOUT.unpack_from(self._page, 0)[2]
        return left

    def set(self, *, sync_delay_ms: int = 0, free_bytes: int | None = None, clock_offset_ms: int = 0) -> None:
        """These faults from now on, and no others; `free_bytes` None is a disk with room."""
        LAYOUT.pack_into(
            self._page, 0, sync_delay_ms * 1_000, free_bytes is not None, free_bytes or 0, clock_offset_ms
        )
