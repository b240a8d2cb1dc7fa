"""Runs the nodes of a provisioned network on this machine: for development, benchmarks and tests.

A node started here stops by itself when the process that started it ends, however that ends. It
knows a node only as a command, a configuration file and an admin port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import aiohttp

from node import tls
from node.plan import PORTS_A_NODE
from node.provision import NodePlace, ProvisionedNetwork
from wallet.connections import Connections

POLL_S = 0.05
ADMIN_TIMEOUT_S = 2.0
LAST_LINES = 20
PORTS = range(10_000, 32_768)
"""Where free ports are looked for: from 32,768 on Linux gives them to outgoing connections, and one of those
would now and then be there before the node."""


class LocalNetworkError(RuntimeError):
    """A node didn't start, or didn't become ready in time; the text has the end of its log."""


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports of loopback that are free at this moment, and that no outgoing connection takes."""
    listeners: list[socket.socket] = []
    try:
        for port in random.sample(PORTS, len(PORTS)):
            with contextlib.suppress(OSError):
                listeners.append(socket.create_server(("127.0.0.1", port)))
            if len(listeners) == count:
                return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
    raise LocalNetworkError(f"fewer than {count} ports from {PORTS.start} to {PORTS.stop - 1} are free")


def free_node_ports(nodes: int) -> list[int]:
    """Ports for that many nodes, as `plan_network` wants them."""
    return free_ports(nodes * PORTS_A_NODE)


async def wait_until(condition: Callable[[], Awaitable[bool]], timeout_s: float, what: str) -> None:
    """Return once the condition holds; raises LocalNetworkError, naming `what`, when it doesn't in time."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() >= deadline:
            raise LocalNetworkError(f"{what}: not within {timeout_s} s.")
        await asyncio.sleep(POLL_S)


class LocalNetwork:
    """The node processes of one network. Use as a context manager, or call `stop` at the end."""

    def __init__(
        self, network: ProvisionedNetwork, environment: Callable[[str], Mapping[str, str]] | None = None
    ) -> None:
        """Starts nothing yet. `environment` gives, by node id, variables on top of this process's own."""
        self.network = network
        self._environment = environment or (lambda _: {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> LocalNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes of the network, running or not."""
        return tuple(node.id for node in self.network.nodes)

    def place(self, node: str) -> NodePlace:
        """Where a node is reached."""
        return next(place for place in self.network.nodes if place.id == node)

    def log_file(self, node: str) -> Path:
        """What a node has written to stderr, all its starts in one file."""
        return self.network.config(node).parent / "node.log"

    def last_lines(self, node: str) -> str:
        """The end of a node's log."""
        lines = self.log_file(node).read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def start(self, nodes: Iterable[str] | None = None) -> None:
        """Start these nodes, or all of them; returns at once (see `ready`)."""
        for node in self.node_ids if nodes is None else nodes:
            with self.log_file(node).open("ab") as log:
                self._processes[node] = subprocess.Popen(
                    [sys.executable, "-m", "node", str(self.network.config(node)), "--until-stdin-closes"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, **self._environment(node)},
                )

    async def ready(self, nodes: Iterable[str] | None = None, timeout_s: float = 30.0) -> None:
        """Return once these nodes (or all) can take payments; raises LocalNetworkError when one can't."""
        for node in self.node_ids if nodes is None else nodes:
            await wait_until(lambda node=node: self._is_ready(node), timeout_s, f"node {node} is ready")  # type: ignore[misc]  # the default binds this round's node

    async def ask_admin(self, node: str, path: str) -> tuple[int, str]:
        """Status and text of a GET on a node's admin port, as an operator of its member."""
        place = self.place(node)
        context = tls.peer_client_context(self.network.operator_files(place.member))
        timeout = aiohttp.ClientTimeout(total=ADMIN_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=Connections(), timeout=timeout) as session:
            name = tls.node_name(node, self.network.name)
            async with session.get(place.admin_url + path, ssl=context, server_hostname=name) as response:
                return response.status, await response.text()

    def is_running(self, node: str) -> bool:
        """Whether the node's process lives."""
        process = self._processes.get(node)
        return process is not None and process.poll() is None

    def pid(self, node: str) -> int:
        """The process id of a started node."""
        return self._processes[node].pid

    def signal(self, node: str, number: signal.Signals) -> None:
        """Send a signal to a node: SIGTERM stops it well, SIGKILL at once, SIGSTOP and SIGCONT pause it."""
        self._processes[node].send_signal(number)

    def wait(self, node: str, timeout_s: float = 20.0) -> int:
        """The exit code of a node that is ending (negative: the signal); raises LocalNetworkError in vain."""
        process = self._processes[node]
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise LocalNetworkError(
                f"node {node} did not end within {timeout_s} s:\n{self.last_lines(node)}"
            ) from error
        if process.stdin is not None:
            process.stdin.close()
        return code

    def kill(self, node: str) -> None:
        """End a node at once, as a power cut would end its process."""
        self.signal(node, signal.SIGKILL)
        self.wait(node)

    def stop(self, timeout_s: float = 20.0) -> dict[str, int]:
        """Stop every running node well, and kill what doesn't stop; the exit codes by node."""
        running = [node for node in self._processes if self.is_running(node)]
        for node in running:
            self.signal(node, signal.SIGCONT)
            self.signal(node, signal.SIGTERM)
        codes = {}
        for node in running:
            try:
                codes[node] = self.wait(node, timeout_s)
            except LocalNetworkError:
                self.kill(node)
                codes[node] = -signal.SIGKILL
        return codes

    async def _is_ready(self, node: str) -> bool:
        if not self.is_running(node):
            raise LocalNetworkError(f"node {node} ended before it was ready:\n{self.last_lines(node)}")
        try:
            status, _ = await self.ask_admin(node, "/readyz")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status == 200
