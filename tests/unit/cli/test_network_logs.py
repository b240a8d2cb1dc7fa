"""Following a node's log: only what is new, only whole lines, also across the change to a new file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.network_logs import Followed
from node.background import BackgroundNode
from node.log_file import LogFile
from node.plan import plan_network
from node.provision import create_network
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost


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


def line(node: str, event: str, second: int) -> str:
    """A line as a node writes it."""
    moment = f"2026-11-21T05:00:{second:02}.000001Z"
    return json.dumps({"node": node, "event": event, "level": "info", "timestamp": moment}) + "\n"


def test_the_command_follows_until_it_is_interrupted(tmp_path: Path) -> None:
    """First the last lines, then what comes, of all nodes; Ctrl-C is no error."""
    plan = plan_network(nodes=2, ports=list(range(1, 7)))
    cost = ScryptCost(n=LEAST_SCRYPT_N)
    network = create_network(plan, tmp_path / "net", "passphrase", keystore_cost=cost)
    alpha, bravo = (BackgroundNode(place.id, network.config(place.id)) for place in network.nodes)
    alpha.log_file.write_text(line("alpha-1", "first", 1) + line("alpha-1", "third", 3))
    bravo.log_file.write_text(line("bravo-1", "second", 2))
    command = [sys.executable, "-m", "cli", "network", "logs", str(network.directory), "-f", "-n", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        events = [following.stdout.readline().split()[4] for _ in range(2)]
        with bravo.log_file.open("a") as log:
            log.write(line("bravo-1", "fourth", 4))
        events.append(following.stdout.readline().split()[4])
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    assert events == ["second", "third", "fourth"]
