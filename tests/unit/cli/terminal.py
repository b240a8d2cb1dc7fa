"""Commands at a real terminal: a pseudo-terminal on which prompts appear and answers are typed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

READ_BYTES = 4_096
# Opening a terminal in a session that has none makes it the session's own, which prompts for secrets want.
START = "import os, sys; os.open(sys.argv.pop(1), os.O_RDWR); from cli.main import main; main()"


def at_terminal(
    folder: Path, arguments: Sequence[str], answers: Sequence[tuple[str, str]]
) -> tuple[int, str]:
    """Run `nostro` with these arguments; each answer is typed once its prompt has appeared.

    Returns the exit code and all that stood on the terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", START, os.ttyname(theirs), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("NOSTRO_")},
        start_new_session=True,
    )
    os.close(theirs)
    shown = _talk(ours, answers)
    os.close(ours)
    return process.wait(), shown


def _talk(terminal: int, answers: Sequence[tuple[str, str]]) -> str:
    shown, seen, waiting = "", 0, list(answers)
    while piece := _read(terminal):
        shown += piece
        if waiting and waiting[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    return shown


def _read(terminal: int) -> str:
    """What appears next; nothing once the other side has closed, which Linux tells as an error."""
    try:
        return os.read(terminal, READ_BYTES).decode()
    except OSError:
        return ""
