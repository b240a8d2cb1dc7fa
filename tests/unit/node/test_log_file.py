"""A log in a bounded file: whole lines, the newest always kept, whatever else the process writes too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from node.log_file import LogFile, set_aside

CRASH = "import sys; from node.log_file import open_log_file; from pathlib import Path; "


def test_a_full_log_is_put_aside(tmp_path: Path) -> None:
    """Up to the limit lines are added; then the file becomes the older half, in place of the one before."""
    path = tmp_path / "node.log"
    with LogFile(path, limit_bytes=8, redirected=()) as log:
        for line in (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n"):
            log.write(line)
    assert set_aside(path).read_bytes() == b"three\nfour\n"
    assert path.read_bytes() == b"five\n"


def test_a_line_is_never_torn(tmp_path: Path) -> None:
    """What comes in pieces is written once it is whole."""
    path = tmp_path / "node.log"
    with LogFile(path, limit_bytes=4, redirected=()) as log:
        log.write(b"first\n")
        log.write(b"sec")
        assert path.read_bytes() == b"first\n"
        log.write(b"ond\n")
    assert (set_aside(path).read_bytes(), path.read_bytes()) == (b"first\n", b"second\n")


def test_an_earlier_log_is_gone_on_with(tmp_path: Path) -> None:
    """Each start adds to the same file, which nobody else may read."""
    path = tmp_path / "node.log"
    for line in (b"first\n", b"second\n"):
        with LogFile(path, redirected=()) as log:
            log.write(line)
    assert path.read_bytes() == b"first\nsecond\n"
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_written_elsewhere_follows_into_the_new_file(tmp_path: Path) -> None:
    """A descriptor that is redirected, as stderr is, leads to the file that is the newest."""
    path, spare = tmp_path / "node.log", os.open(os.devnull, os.O_WRONLY)
    with LogFile(path, limit_bytes=1, redirected=(spare,)) as log:
        log.write(b"first\n")
        log.write(b"second\n")
        os.write(spare, b"traceback\n")
    os.close(spare)
    assert path.read_bytes() == b"second\ntraceback\n"


def test_a_traceback_of_the_process_is_in_the_log(tmp_path: Path) -> None:
    """A process that dies of a bug leaves its last words where its log is."""
    path = tmp_path / "node.log"
    code = CRASH + f"log = open_log_file(Path({str(path)!r})); print('a line', file=log); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert path.read_text().startswith("a line\nTraceback")
    assert path.read_text().endswith("ZeroDivisionError: division by zero\n")
