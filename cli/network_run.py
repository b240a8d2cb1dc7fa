"""`nostro network up`, `down` and `restart`: a network's nodes as processes in the background.

It must not know how a node works, nor how its process is found again.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli import output
from cli.background import (
    alone_with,
    ask,
    ask_all,
    ended_early,
    nodes_arguments,
    nodes_of,
    until_ready,
    voters_of,
)
from cli.errors import CommandError
from cli.exits import Exit
from cli.progress import progress
from node import background
from node.provision import load_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.background import BackgroundNode
    from node.provision import ProvisionedNetwork
    from node.report import NodeReport

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
KILLED_WAIT_S = 10.0
OTHERS_TIMEOUT_S = 10.0
"""How long a node that was ready a moment ago may need to be so again: one more election."""


def _timeout_option(default_s: int, meaning: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--timeout`, with this help."""
    return click.option(
        "--timeout", "timeout_s", type=click.IntRange(1), default=default_s, show_default=True, help=meaning
    )


@click.command()
@nodes_arguments
@_timeout_option(START_TIMEOUT_S, "Seconds until all must be ready.")
@output.json_option
def up(folder: Path, nodes: tuple[str, ...], timeout_s: int) -> None:
    """Start the nodes of FOLDER in the background, and wait until they are ready.

    Without NODE all of them. What runs already stays as it is. A node that doesn't vote is only waited for
    until it answers. The nodes outlive this command: stop them with `nostro network down`.
    """
    network = load_network(folder)
    chosen = nodes_of(network, nodes)
    with alone_with(folder):
        started = [node for node in chosen if background.running(node) is None]
        for node in started:
            background.start(node)
        asyncio.run(_until_up(network, chosen, timeout_s))
    out = output.current()
    rows = [(node.id, "started" if node in started else "ran already", *_process(node)) for node in chosen]
    document = [{"node": node, "started": word == "started", "pid": pid} for node, word, pid in rows]
    urls = {node.id: node.api_url for node in network.nodes}
    table = [(*row, urls[row[0]]) for row in rows]
    out.result({"nodes": document}, lambda: out.table(("NODE", "STATE", "PID>", "API"), table))


async def _until_up(network: ProvisionedNetwork, chosen: list[BackgroundNode], timeout_s: float) -> None:
    """Until all answer, and those that vote are ready, if enough run for that; a word on the others."""
    deadline = time.monotonic() + timeout_s
    with progress("Nodes answer") as tell:
        await until_ready(network, chosen, timeout_s, lambda report: True, tell)
    voters = await voters_of(network)
    runs = sum(background.running(node) is not None for node in voters)
    if runs > len(voters) // 2:
        waited_for = [node for node in chosen if node in voters]
        with progress("Nodes ready") as tell:
            await until_ready(network, waited_for, deadline - time.monotonic(), _is_ready_or_out, tell)
    else:
        output.current().warn(
            f"{runs} of {len(voters)} nodes run: payments wait until more than half of them do."
        )
    for node in chosen:
        report = None if node in voters else await ask(network, node.id)
        if report is not None and report.not_ready is not None:
            output.current().warn(f"{node.id} does not vote: {report.not_ready}.")


@click.command()
@nodes_arguments
@_timeout_option(STOP_TIMEOUT_S, "Seconds until what has not stopped is killed.")
@output.json_option
def down(folder: Path, nodes: tuple[str, ...], timeout_s: int) -> None:
    """Stop the nodes of FOLDER that run in the background.

    Each is asked to stop (SIGTERM): it hands leadership over, finishes its writes, and answers who waits.
    Only what has not stopped in time is killed; what it had acknowledged is on its disk.
    """
    network = load_network(folder)
    chosen = nodes_of(network, nodes)
    with alone_with(folder):
        ended = stop(chosen, timeout_s)
    out = output.current()
    document = [{"node": end.node, "was_running": end.ran, "exit_code": end.code} for end in ended]
    rows = [(end.node, "" if end.code is None else end.code, end.words) for end in ended]
    out.result({"nodes": document}, lambda: out.table(("NODE", "EXIT CODE>", ""), rows))
    if any(end.ran and end.code != 0 for end in ended):
        click.get_current_context().exit(int(Exit.ERROR))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a node's process ended; `code` is None where it was killed, or is not known."""

    node: str
    ran: bool
    code: int | None

    @property
    def words(self) -> str:
        """The same for people."""
        if not self.ran:
            return "did not run" if self.code in (None, 0) else "did not run: its log says why"
        if self.code is None:
            return "killed"
        return "stopped" if self.code == 0 else "ended by itself: its log says why"


def stop(nodes: list[BackgroundNode], timeout_s: float) -> list[Ended]:
    """Stop the nodes at the same time, and kill what has not ended in time, with a word to the person."""
    deadline = time.monotonic() + timeout_s
    ran = {node.id: background.send_signal(node, signal.SIGTERM) for node in nodes}
    for node in nodes:
        # A paused process hears nothing until it goes on.
        background.send_signal(node, signal.SIGCONT)
    with progress("Nodes stopped") as tell:
        for done, node in enumerate(nodes):
            tell(done, len(nodes))
            if not background.wait_for_end(node, max(0.0, deadline - time.monotonic())):
                output.current().warn(f"Node {node.id} did not stop within {timeout_s:g} s; it is killed.")
                background.send_signal(node, signal.SIGKILL)
                background.wait_for_end(node, KILLED_WAIT_S)
    return [Ended(node.id, ran[node.id], background.exit_code(node)) for node in nodes]


@click.command()
@nodes_arguments
@_timeout_option(START_TIMEOUT_S, "Seconds that each node has to stop, and again to come back.")
@output.json_option
def restart(folder: Path, nodes: tuple[str, ...], timeout_s: int) -> None:
    """Restart the nodes of FOLDER one after the other, while the network goes on.

    Without NODE all that vote. Begins only when every node that votes is ready. The next one is stopped only
    when the last one is back, ready, and has executed what the others had. The leader comes last. Where one
    does not come back, the rest are left as they are.
    """
    network = load_network(folder)
    named = nodes_of(network, nodes) if nodes else []
    with alone_with(folder):
        restarted = asyncio.run(_restart(network, named, timeout_s))
    out = output.current()
    document = [{"node": node, "ms_away": away_ms} for node, away_ms in restarted]
    rows = [(node, f"{away_ms / 1_000:.1f} s") for node, away_ms in restarted]
    out.result({"nodes": document}, lambda: out.table(("NODE", "AWAY>"), rows))


async def _restart(
    network: ProvisionedNetwork, named: list[BackgroundNode], timeout_s: float
) -> list[tuple[str, int]]:
    """Restart those named, else all that vote, one after the other; how long each was away, in ms."""
    voters = await voters_of(network)
    chosen = named or voters
    await _check_ready(network, [*voters, *(node for node in chosen if node not in voters)])
    leaders = [
        node for node, report in (await ask_all(network)).items() if report and report.role == "leader"
    ]
    restarted: list[tuple[str, int]] = []
    with progress("Nodes restarted") as tell:
        for node in sorted(chosen, key=lambda node: node.id in leaders):
            tell(len(restarted), len(chosen))
            begun = time.monotonic()
            await _restart_one(network, node, timeout_s)
            restarted.append((node.id, round((time.monotonic() - begun) * 1_000)))
            await until_ready(network, voters, OTHERS_TIMEOUT_S, _is_ready, lambda done, total: None)
        tell(len(restarted), len(chosen))
    return restarted


async def _restart_one(network: ProvisionedNetwork, node: BackgroundNode, timeout_s: float) -> None:
    background.send_signal(node, signal.SIGTERM)
    if not await asyncio.to_thread(background.wait_for_end, node, timeout_s):
        raise CommandError(
            f"Node {node.id} did not stop within {timeout_s:g} s; nothing more was restarted.",
            f"See why with `nostro network logs {network.directory} {node.id}`, and kill it with `nostro "
            f"network down {network.directory} {node.id}`.",
        )
    if background.exit_code(node) != 0:
        raise ended_early(node)
    reports = (await ask_all(network)).values()
    floor = max((report.executed_height for report in reports if report), default=0)
    background.start(node)

    def caught_up(report: NodeReport) -> bool:
        return _is_ready(report) and report.executed_height >= floor

    await until_ready(network, [node], timeout_s, caught_up, lambda done, total: None)


async def _check_ready(network: ProvisionedNetwork, nodes: list[BackgroundNode]) -> None:
    """Raise CommandError unless each runs here and is ready: with one more away the rest may stop."""
    for node in nodes:
        report = await ask(network, node.id)
        if background.running(node) is None:
            reason = "it does not run in the background"
        elif report is None:
            reason = "its admin port gives no answer"
        else:
            reason = report.not_ready or ""
        if reason:
            raise CommandError(
                f"Node {node.id} is not ready: {reason}. Nothing was restarted, for with another node away "
                "the network might stop.",
                f"Start what is down with `nostro network up {network.directory}`, then restart, without "
                "nodes that do not vote.",
                Exit.UNREACHABLE,
            )


def _is_ready(report: NodeReport) -> bool:
    return report.not_ready is None


def _is_ready_or_out(report: NodeReport) -> bool:
    """Ready; or it learns from the blocks that it executes at its start that it doesn't vote any more."""
    return _is_ready(report) or report.node not in report.voters


def _process(node: BackgroundNode) -> tuple[int]:
    record = background.running(node)
    if record is None:
        raise ended_early(node)
    return (record.pid,)
