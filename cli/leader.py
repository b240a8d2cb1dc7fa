"""`nostro leader transfer`: hand leadership to another node, through the leader's admin port.

It must not know how leadership moves.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.admin_port import configured_port
from cli.background import ask_all
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.network_folder import find_folder, network_option, no_network
from node import operators
from node.config import load_config
from node.provision import load_network

if TYPE_CHECKING:
    from node.operators import AdminPort

LEADER_COMMANDS = {
    "transfer": LazyCommand("cli.leader:transfer", "Hand leadership over to node TO, or to the furthest one.")
}
POLL_S = 0.02
TIMEOUT_S = 10.0


@click.command(cls=LazyGroup, lazy=LEADER_COMMANDS, name="leader")
def leader() -> None:
    """See to which node leads."""


@click.command()
@click.argument("to", required=False)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The leader's configuration (node.toml), where its network's folder is not at hand.",
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path),
    help="With --config: the folder of its member, with operator.pem and operator.key.",
)
@network_option()
@output.json_option
def transfer(to: str | None, config: Path | None, operator: Path | None, folder: Path | None) -> None:
    """Hand leadership over to node TO, or to the furthest one.

    Payments go on: what arrives meanwhile waits for the new leader. Only the leader's own operators can ask
    for it.
    """
    out = output.current()
    asked, successor, term = asyncio.run(_transfer(to, config, operator, find_folder(folder)))
    document = {"asked": asked, "leader": successor, "term": term}
    out.result(document, lambda: out.fields((("leader", successor), ("term", term))))


async def _transfer(
    to: str | None, config: Path | None, operator: Path | None, folder: Path | None
) -> tuple[str, str, int]:
    """Who was asked, who leads now, and the term."""
    port = await _leaders_port(config, operator, folder)
    try:
        before = await operators.report(port)
        chosen = await operators.hand_over(port, to)
        deadline = time.monotonic() + TIMEOUT_S
        while (now := await operators.report(port)).leader != chosen:
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"{chosen} did not take over within {TIMEOUT_S:g} s; {now.leader or 'nobody'} leads.",
                    f"See why in the log of {chosen}, and try again or name another node.",
                )
            await asyncio.sleep(POLL_S)
    except operators.AdminRefused as error:
        reason = str(error).rstrip(".")
        raise CommandError(
            f"Leadership was not handed over: {reason}.",
            "`nostro node status` shows who leads.",
        ) from error
    except operators.AdminUnreachable as error:
        raise CommandError(
            f"The admin port can't be asked: {error}.",
            "Check that the node runs, and that the operator's certificate is its member's.",
            Exit.UNREACHABLE,
        ) from error
    return before.node, chosen, now.term


async def _leaders_port(config: Path | None, operator: Path | None, folder: Path | None) -> AdminPort:
    if config is not None:
        return _configured_port(config, operator)
    if folder is None:
        raise no_network("Name its folder with --network, or the leader's configuration with --config.")
    network = load_network(folder)
    reports = [report for report in (await ask_all(network)).values() if report and report.role == "leader"]
    if not reports:
        raise CommandError(
            "No node says that it leads.", "See `nostro network status` for what is down.", Exit.UNREACHABLE
        )
    newest = max(reports, key=lambda report: report.term)
    return operators.admin_port(network, newest.node)


def _configured_port(path: Path, operator: Path | None) -> AdminPort:
    """The admin port that a configuration names, opened by the operator's certificate."""
    if operator is None:
        raise CommandError(
            "The admin port opens only to an operator's certificate.",
            "Name the member's folder with --operator.",
            Exit.USAGE,
        )
    return configured_port(load_config(path), operator)
