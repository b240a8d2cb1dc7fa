"""The preloaded faults do what they say, to a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.torture.shim import Faults, compile_shim

WRITE = "import os,sys; f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); print(os.write(f, b'x' * 100))"
SYNC = "import os,sys,time; f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); t = time.monotonic(); "
SYNC += "os.fsync(f); os.fdatasync(f); print(time.monotonic() - t)"
CLOCK = "import time; print(time.time())"


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Faults for one process."""
    library = compile_shim(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler here")
    return Faults(library, tmp_path / "page")


def _run(faults: Faults, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **faults.variables}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("free_bytes", "said"), [(None, "100"), (100, "100"), (99, "99"), (0, "No space left on device")]
)
def test_a_full_disk_takes_what_still_fits(
    faults: Faults, tmp_path: Path, free_bytes: int | None, said: str
) -> None:
    """A write that doesn't fit is cut short, and one into a full disk is refused by ENOSPC."""
    faults.set(free_bytes=free_bytes)
    done = _run(faults, WRITE, str(tmp_path / "file"))
    assert said in done.stdout + done.stderr
    assert faults.free_bytes == max(0, (free_bytes or 0) - 100)


def test_both_kinds_of_sync_are_slow(faults: Faults, tmp_path: Path) -> None:
    """fsync and fdatasync each take as much longer."""
    faults.set(sync_delay_ms=150)
    assert float(_run(faults, SYNC, str(tmp_path / "file")).stdout) >= 0.3


@pytest.mark.parametrize("offset_ms", [0, 90_500, -90_500])
def test_the_wall_clock_is_off(faults: Faults, offset_ms: int) -> None:
    """By the offset, forwards and backwards, to the millisecond."""
    faults.set(clock_offset_ms=offset_ms)
    before = time.time()
    told = float(_run(faults, CLOCK).stdout)
    assert before - 0.001 <= told - offset_ms / 1_000 <= time.time() + 0.001
