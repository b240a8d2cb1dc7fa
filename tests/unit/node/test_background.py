"""Processes in the background: found again by id and start, signalled without mistaking another for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node import background
from node.background import TAIL_BLOCK_BYTES, BackgroundNode, ProcessRecord
from node.log_file import set_aside


@pytest.fixture
def node(tmp_path: Path) -> BackgroundNode:
    """A node whose configuration isn't there: its process ends at once, with code 1."""
    return BackgroundNode("alpha-1", tmp_path / "node.toml")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lasts."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def claim(node: BackgroundNode, pid: int, **changes: int | str) -> None:
    """Have the pid file name a process as it is, but for the changes."""
    ticks = background.start_ticks(pid)
    record = ProcessRecord(pid, ticks or 0, background.boot_id(), 0)
    node.pid_file.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, **changes)))


def test_a_process_is_started_and_its_end_told(node: BackgroundNode) -> None:
    """Its exit code and its last words are found by whoever looks later."""
    record = background.start(node)
    assert background.wait_for_end(node, 30)
    assert background.running(node) is None
    assert background.exit_code(node) == 1
    assert "cannot read the configuration" in background.last_lines(node, 5)[-1]
    assert node.log_file.stat().st_mode & 0o077 == 0
    assert os.waitpid(record.pid, 0)[0] == record.pid


def test_a_running_process_is_found_and_signalled(
    node: BackgroundNode, sleeper: subprocess.Popen[bytes]
) -> None:
    """While it lives it is found; killed, it is not, and it left no exit code."""
    claim(node, sleeper.pid)
    found = background.running(node)
    assert found is not None
    assert found.pid == sleeper.pid
    assert not background.wait_for_end(node, 0)
    assert background.send_signal(node, signal.SIGKILL)
    assert background.wait_for_end(node, 10)
    assert background.running(node) is None
    assert background.exit_code(node) is None


@pytest.mark.parametrize("changes", [{"start_ticks": 1}, {"boot": "another boot"}])
def test_a_process_that_only_has_the_same_id_is_left_alone(
    node: BackgroundNode, sleeper: subprocess.Popen[bytes], changes: dict[str, int | str]
) -> None:
    """An id that was given out again is neither believed nor signalled."""
    claim(node, sleeper.pid, **changes)
    assert background.running(node) is None
    assert not background.send_signal(node, signal.SIGKILL)
    assert background.wait_for_end(node, 0)
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", [None, b"", b"123\n", b"{}"])
def test_a_pid_file_that_says_nothing(node: BackgroundNode, content: bytes | None) -> None:
    """Missing or damaged, it means that nothing runs."""
    if content is not None:
        node.pid_file.write_bytes(content)
    assert background.running(node) is None
    assert not background.send_signal(node, signal.SIGTERM)


def test_an_id_that_nobody_has(node: BackgroundNode) -> None:
    """The process ended and was forgotten by the system."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    claim(node, process.pid)
    assert background.running(node) is None
    assert background.wait_for_end(node, 0)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 6, 100])
def test_the_last_lines_reach_into_the_older_half(node: BackgroundNode, count: int) -> None:
    """However many are wanted: of both files, in order, and no more than there are."""
    set_aside(node.log_file).write_text("1\n2\n3\n")
    node.log_file.write_text("4\n5\n")
    assert background.last_lines(node, count) == ["1", "2", "3", "4", "5"][5 - min(count, 5) :]


def test_the_last_lines_of_a_long_log(node: BackgroundNode) -> None:
    """Lines that lie across the blocks in which the file is read backwards stay whole."""
    lines = [f"{number} " + "é" * 500 for number in range(3 * TAIL_BLOCK_BYTES // 1_000)]
    node.log_file.write_text("\n".join(lines) + "\n")
    assert background.last_lines(node, 150) == lines[-150:]
