"""The nodes of a network's folder as commands handle them: chosen by name, started, awaited, explained.

It must not know which command it serves, nor how a node works.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import CommandError
from cli.exits import Exit
from cli.log_lines import as_text, parse
from node import background, operators
from node.background import BackgroundNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from node.provision import ProvisionedNetwork
    from node.report import NodeReport

POLL_S = 0.1
SHOWN_LINES = 8
"""How many of a failed node's last log lines are shown."""


def nodes_of(network: ProvisionedNetwork, names: Sequence[str] = ()) -> list[BackgroundNode]:
    """The named nodes of a network, or all; a name that isn't there is a usage error."""
    known = {node.id: BackgroundNode(node.id, network.config(node.id)) for node in network.nodes}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(
            f"{network.directory} has no node {unknown[0]}.", f"Its nodes: {', '.join(known)}.", Exit.USAGE
        )
    return [known[name] for name in dict.fromkeys(names or known)]


@contextlib.contextmanager
def alone_with(folder: Path) -> Iterator[None]:
    """Let no other command start or stop nodes of the folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CommandError(
            f"Another command is starting or stopping nodes of {folder}.", "Wait until it has ended."
        ) from error
    finally:
        os.close(descriptor)


async def ask(network: ProvisionedNetwork, node: str) -> NodeReport | None:
    """What a node says of itself; None where it can't be asked."""
    try:
        return await operators.report(operators.admin_port(network, node))
    except operators.AdminUnreachable:
        return None


async def ask_all(network: ProvisionedNetwork) -> dict[str, NodeReport | None]:
    """What every node of a network says of itself, by its id."""
    ids = [node.id for node in network.nodes]
    return dict(zip(ids, await asyncio.gather(*(ask(network, node) for node in ids)), strict=True))


async def voters_of(network: ProvisionedNetwork) -> list[BackgroundNode]:
    """The nodes that vote, as far as the folder has them: by the newest of their reports, else all there are.

    The folder may also hold nodes that were let go, or that are still to be decided on.
    """
    reports = [report for report in (await ask_all(network)).values() if report is not None]
    every = nodes_of(network)
    if not reports:
        return every
    newest = max(reports, key=lambda report: report.executed_height)
    return [node for node in every if node.id in newest.voters]


async def until_ready(
    network: ProvisionedNetwork,
    nodes: Sequence[BackgroundNode],
    timeout_s: float,
    is_there: Callable[[NodeReport], bool],
    tell: Callable[[int, int], None],
) -> None:
    """Return once every node is there; raises CommandError for one that ends, or isn't in time.

    `tell` is called with how many are there, of how many.
    """
    deadline = time.monotonic() + timeout_s
    waiting = {node.id: node for node in nodes}
    said: dict[str, NodeReport | None] = {}
    while waiting:
        tell(len(nodes) - len(waiting), len(nodes))
        for node in list(waiting.values()):
            if background.running(node) is None:
                raise ended_early(node)
            said[node.id] = report = await ask(network, node.id)
            if report is not None and is_there(report):
                del waiting[node.id]
        if waiting and time.monotonic() >= deadline:
            raise _late(waiting, said, timeout_s)
        if waiting:
            await asyncio.sleep(POLL_S)
    tell(len(nodes), len(nodes))


def ended_early(node: BackgroundNode) -> CommandError:
    """A node that should run and doesn't, with the end of its log."""
    code = background.exit_code(node)
    how = f"with code {code}" if code is not None else "without a word: it was killed, or crashed"
    return CommandError(
        f"Node {node.id} ended {how}. Its log ends:\n{last_words(node)}",
        f"Mend what the log says (`nostro node doctor {node.config}` may help) and start it again; "
        "the other nodes were left as they are.",
    )


def last_words(node: BackgroundNode) -> str:
    """The last lines of a node's log, for people."""
    lines = [as_text(parse(node.id, line)) for line in background.last_lines(node, SHOWN_LINES)]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def _late(
    waiting: Mapping[str, BackgroundNode], said: Mapping[str, NodeReport | None], timeout_s: float
) -> CommandError:
    node = next(iter(waiting.values()))
    report = said.get(node.id)
    if report is None:
        reason = "its admin port gives no answer"
    else:
        reason = report.not_ready or f"it has executed block {report.executed_height:,} and is catching up"
    return CommandError(
        f"Node {node.id} runs, but was not ready within {timeout_s:.0f} s: {reason}. "
        f"Its log ends:\n{last_words(node)}",
        "It goes on trying: look again with `nostro network status`, or give it longer with --timeout.",
        Exit.UNREACHABLE,
    )


def folder_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument FOLDER."""
    return click.argument("folder", type=click.Path(path_type=Path))(command)


def nodes_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments FOLDER and NODE, any number of nodes."""
    return folder_argument(click.argument("nodes", nargs=-1, metavar="[NODE]...")(command))
