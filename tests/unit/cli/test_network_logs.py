"""Following a node's log: only what is new, only whole lines, also across the change to a new file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.network_logs import Followed
from node.background import BackgroundNode
from node.log_file import LogFile


@pytest.fixture
def node(tmp_path: Path) -> BackgroundNode:
    """A node that has logged nothing yet."""
    return BackgroundNode("alpha-1", tmp_path / "node.toml")


def raws(followed: Followed) -> list[str]:
    return [line.raw for line in followed.new_lines()]


def test_only_what_is_new_is_followed(node: BackgroundNode) -> None:
    """What stood there before was shown by other means."""
    node.log_file.write_text("old\n")
    followed = Followed(node)
    assert raws(followed) == []
    with node.log_file.open("a") as log:
        log.write("new\n")
    assert raws(followed) == ["new"]
    assert raws(followed) == []


def test_half_a_line_waits_for_its_end(node: BackgroundNode) -> None:
    """A character of two bytes may be cut in the middle, too."""
    node.log_file.touch()
    followed = Followed(node)
    data = "é\n".encode()
    with node.log_file.open("ab", buffering=0) as log:
        log.write(data[:1])
        assert raws(followed) == []
        log.write(data[1:])
    assert raws(followed) == ["é"]


def test_a_new_file_is_followed_from_its_beginning(node: BackgroundNode) -> None:
    """Nothing is lost where the log is put aside, neither of the old file nor of the new one."""
    with LogFile(node.log_file, limit_bytes=1, redirected=()) as log:
        log.write(b"1\n")
        followed = Followed(node)
        log.write(b"2\n")
        assert raws(followed) == ["2"]
        log.write(b"3\n")
    assert raws(followed) == ["3"]


def test_a_log_that_comes_later_is_followed(node: BackgroundNode) -> None:
    """A node that has never run may be started while it is followed."""
    followed = Followed(node)
    assert raws(followed) == []
    node.log_file.write_text("first\n")
    assert raws(followed) == ["first"]
