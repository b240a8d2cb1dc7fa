"""The command line against real processes: a development network, first payments, and an audit of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("NOSTRO_")}
STOP_TIMEOUT_S = 60


def free_block(count: int) -> int:
    """The first of `count` ports in a row that are free, below those that the system gives to connections."""
    for first in range(20_000 + os.getpid() % 1_000 * 10, 32_000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


class Dev:
    """A running `nostro dev`, what it said, and commands in the same folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Starts it; `ready` waits."""
        self.folder = folder
        self.process = self._started(*arguments)

    def start_again(self) -> str:
        """Start what was stopped; what it says until the network is up."""
        self.process = self._started()
        return self.ready()

    def _started(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NOSTRO, "dev", *arguments],
            cwd=self.folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> str:
        """Everything said up to the line after which the network is up."""
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            if "Ctrl-C" in line:
                return said
        raise AssertionError(f"nostro dev ended before it was ready:\n{said}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        self.process.communicate(timeout=STOP_TIMEOUT_S)
        return self.process.returncode

    def end(self) -> None:
        """Kill it if it still runs, and close its pipes; its nodes end with it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, in the folder where `dev` was started."""
        return subprocess.run(
            [*NOSTRO, *arguments], cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True
        )

    def document(self, *arguments: str) -> dict[str, Any]:
        """What a command prints with --json."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


NOSTRO = (sys.executable, "-m", "cli")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, str]]:
    """A network that all tests of this module use, and what `dev` said; stopped at the end."""
    port = str(free_block(9))
    folder = tmp_path_factory.mktemp("dev")
    running = Dev(folder, "--accounts", "3", "--base-port", port, "--config-out", "dev.json")
    try:
        yield running, running.ready()
    finally:
        running.end()


def test_first_payment_works_when_pasted(dev: tuple[Dev, str]) -> None:
    """The command that `dev` prints is run as it stands, and pays."""
    running, said = dev
    found = re.search(r"^  nostro (pay .*)$", said, re.MULTILINE)
    assert found is not None, said
    paid = running.run(*shlex.split(found[1]))
    assert paid.returncode == 0, paid.stderr
    assert "The transaction was executed." in paid.stderr
    assert running.document("account", "show", "bob")["balance"] == "10012.50"


def test_config_has_what_a_program_needs(dev: tuple[Dev, str]) -> None:
    """URLs, CA and accounts with their keys, in a file that only its owner reads."""
    running, _ = dev
    path = running.folder / "dev.json"
    config = json.loads(path.read_text())
    assert [account["name"] for account in config["accounts"]] == ["alice", "bob", "carol"]
    assert len(config["urls"]) == 3
    assert path.stat().st_mode & 0o077 == 0


def test_receipt_of_a_real_payment(dev: tuple[Dev, str]) -> None:
    """Certified by real nodes, fetched, and verified offline."""
    running, _ = dev
    paid = running.document("pay", "carol", "1", "--from", "alice", "--wait", "certified")
    assert paid["status"] == "certified"
    assert running.run("receipt", "get", paid["tx_id"], "--out", "r").returncode == 0
    verified = running.run("receipt", "verify", "r")
    assert verified.returncode == 0, verified.stderr


def test_status_of_real_nodes(dev: tuple[Dev, str]) -> None:
    """Three nodes answer, one of them leads."""
    nodes = dev[0].document("node", "status")["nodes"]
    assert sorted(node["role"] for node in nodes) == ["follower", "follower", "leader"]


def test_port_in_use_is_explained(dev: tuple[Dev, str], tmp_path: Path) -> None:
    """A second network on the same ports fails with the reason, and with no traceback."""
    running, _ = dev
    config = json.loads((running.folder / "dev.json").read_text())
    port = int(config["urls"][0].rsplit(":", 1)[1]) - 1
    second = Dev(tmp_path, "--accounts", "1", "--nodes", "1", "--base-port", str(port))
    _, said = second.process.communicate(timeout=STOP_TIMEOUT_S)
    assert second.process.returncode == 1
    assert str(port) in said
    assert "Traceback" not in said


def test_stopped_network_is_audited_and_starts_again(dev: tuple[Dev, str]) -> None:
    """Ctrl-C ends with 0; two nodes' stores pass the audit; the network comes back with its balances.

    It is left running, for the tests come in any order.
    """
    running, _ = dev
    before = running.document("account", "show", "alice")
    assert running.stop() == 0
    for node in ("alpha-1", "charlie-1"):
        audited = running.run("audit", f"nostro-network/nodes/{node}/data")
        assert audited.returncode == 0, audited.stdout + audited.stderr
    running.start_again()
    assert running.document("account", "show", "alice")["balance"] == before["balance"]
    assert running.stop(signal.SIGTERM) == 0
    running.start_again()
