"""Nodes that run in the background of this machine: started in sessions of their own, and found again later.

A process is known by its id together with the moment it started, so that an id which was given to another
process since is never believed or signalled. It knows a node only as a command and a folder. Linux only:
it reads /proc and uses pidfds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from node.log_file import set_aside
from wallet.atomic_file import write_private

PID_FILE_BYTES = 4_096
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
START_FIELD = 19
"""Where a process's start is among the fields of /proc/PID/stat that follow its name (proc(5): field 22)."""
ENDED_STATES = ("Z", "X")
TAIL_BLOCK_BYTES = 64 * 1024


class ProcessRecord(msgspec.Struct, frozen=True):
    """What the pid file says. `start_ticks` counts from the boot named `boot`; `started_ms` is wall time."""

    pid: int
    start_ticks: int
    boot: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class BackgroundNode:
    """A node's files that concern its process; all are in the folder of its configuration."""

    id: str
    config: Path

    @property
    def log_file(self) -> Path:
        """The log of all its starts; the older half is beside it (node/log_file.py)."""
        return self.config.with_name("node.log")

    @property
    def pid_file(self) -> Path:
        """Which process it is."""
        return self.config.with_name("node.pid")

    @property
    def exit_file(self) -> Path:
        """How it ended last; absent while it runs, and where it was killed."""
        return self.config.with_name("node.exit")


def start(node: BackgroundNode) -> ProcessRecord:
    """Start the node's process, which outlives this one. It must not run: see `running`."""
    node.exit_file.unlink(missing_ok=True)
    arguments = (
        *(sys.executable, "-m", "node", str(node.config)),
        *("--log-file", str(node.log_file), "--exit-file", str(node.exit_file)),
    )
    log = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    pid = os.posix_spawn(
        sys.executable,
        arguments,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(node.log_file), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    record = ProcessRecord(pid, start_ticks(pid) or 0, boot_id(), time.time_ns() // 1_000_000)
    write_private(node.pid_file, msgspec.json.encode(record))
    return record


def running(node: BackgroundNode) -> ProcessRecord | None:
    """The node's process, if it lives."""
    record = _recorded(node)
    return record if record is not None and _is_alive(record) else None


def send_signal(node: BackgroundNode, number: signal.Signals) -> bool:
    """Signal the node's process, and surely no other; False where it doesn't live."""
    with _held(node) as descriptor:
        if descriptor is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
        return True


def wait_for_end(node: BackgroundNode, timeout_s: float) -> bool:
    """Whether the node's process has ended within the time; True at once where it doesn't live."""
    with _held(node) as descriptor:
        if descriptor is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1_000))


def exit_code(node: BackgroundNode) -> int | None:
    """How the node ended last; None where it was killed, never ran in the background, or runs."""
    try:
        return int(node.exit_file.read_text())
    except (OSError, ValueError):
        return None


def last_lines(node: BackgroundNode, count: int) -> list[str]:
    """The end of the node's log, read from the end."""
    lines = _tail(node.log_file, count)
    return [*_tail(set_aside(node.log_file), count - len(lines)), *lines]


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot; None where there is none that lives."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may hold anything, brackets and spaces too.
    state, *fields = text.rpartition(")")[2].split()
    return None if state in ENDED_STATES else int(fields[START_FIELD - 1])


def boot_id() -> str:
    """What names the time since the machine was started."""
    return BOOT_ID.read_text().strip()


@contextlib.contextmanager
def _held(node: BackgroundNode) -> Iterator[int | None]:
    """A descriptor that stands for the node's process and for no later one with its id; None if it's dead."""
    record = _recorded(node)
    descriptor = None
    if record is not None:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(record.pid)
    try:
        # Only now: between a look and the opening the id might have gone to another process.
        yield descriptor if record is not None and descriptor is not None and _is_alive(record) else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _recorded(node: BackgroundNode) -> ProcessRecord | None:
    """What the pid file says; a file that can't be read says nothing."""
    try:
        with node.pid_file.open("rb") as file:
            return msgspec.json.decode(file.read(PID_FILE_BYTES), type=ProcessRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_alive(record: ProcessRecord) -> bool:
    return record.boot == boot_id() and start_ticks(record.pid) == record.start_ticks


def _tail(path: Path, count: int) -> list[str]:
    """The last lines of a file; none of one that isn't there."""
    if count <= 0 or not path.exists():
        return []
    data = b""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        while at > 0 and data.count(b"\n") <= count:
            step = min(at, TAIL_BLOCK_BYTES)
            at -= step
            file.seek(at)
            data = file.read(step) + data
    return data.decode("utf-8", "replace").splitlines()[-count:]
