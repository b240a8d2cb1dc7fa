"""`nostro node`: run one bank's node in this process, and ask a network's nodes how they are.

It must not know how a node works.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup

if TYPE_CHECKING:
    from wallet.network_answers import Cluster

STATUS_TIMEOUT_MS = 3_000

NODE_COMMANDS = {
    "run": LazyCommand("cli.node:run", "Run a node until it is told to stop (SIGTERM, Ctrl-C)."),
    "status": LazyCommand("cli.node:status", "Show how each node of a network is."),
    "doctor": LazyCommand(
        "cli.doctor:doctor",
        "Examine one node, running or stopped: keys, certificates, ports, disk, store, peers, clock.",
    ),
    "backup": LazyCommand(
        "cli.node_backup:backup",
        "Write a node's state and history to FOLDER, and prove what was written.",
    ),
    "restore": LazyCommand(
        "cli.node_backup:restore",
        "Make the store of a new node of the backup in FOLDER, proving all of it.",
    ),
    "prune": LazyCommand(
        "cli.node_backup:prune",
        "Forget the transactions of old blocks; balances, outcomes, headers and seals stay.",
    ),
    "recover": LazyCommand(
        "cli.node_recover:recover",
        "Go on after too many nodes are lost for good: look, propose, and carry out what the members signed.",
    ),
    "renew": LazyCommand(
        "cli.renew:node_renew",
        "Renew the certificates of one node, in place; a running node takes them up by itself.",
    ),
}


@click.command(cls=LazyGroup, lazy=NODE_COMMANDS, name="node")
def node() -> None:
    """Run one bank's node, or ask how it is."""


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def run(config: Path) -> None:
    """Run a node until it is told to stop (SIGTERM, Ctrl-C).

    CONFIG is the node.toml in the node's folder. The log goes to stderr.
    """
    from node.run import run_node

    click.get_current_context().exit(run_node(config))


@click.command()
@connection_options
@output.json_option
def status(connection: Connection) -> None:
    """Show how each node of a network is."""
    import asyncio

    import msgspec

    out = output.current()
    views = asyncio.run(_views(connection))
    documents = [
        {"url": url, "reachable": view is not None, **(msgspec.to_builtins(view) if view else {})}
        for url, view in views
    ]
    columns = ("NODE", "ROLE", "TERM>", "EXECUTED>", "CERTIFIED>", "LEADER", "PEERS>", "URL")
    out.result({"nodes": documents}, lambda: out.table(columns, [_row(url, view) for url, view in views]))
    _check_quorum([view for _, view in views])


async def _views(connection: Connection) -> list[tuple[str, Cluster | None]]:
    """What each node says of itself; None for one that doesn't answer."""
    import asyncio

    urls, ca = connection.endpoints()
    # A URL that is none is told of once, before any node is asked.
    connection.client()
    return list(zip(urls, await asyncio.gather(*(_view(url, ca) for url in urls)), strict=True))


async def _view(url: str, ca: Path | None) -> Cluster | None:
    from wallet.client import Client
    from wallet.errors import NotReachable

    async with Client([url], ca_file=ca, timeout_ms=STATUS_TIMEOUT_MS) as client:
        try:
            return await client.cluster()
        except NotReachable:
            return None


def _row(url: str, view: Cluster | None) -> tuple[object, ...]:
    if view is None:
        return ("?", "unreachable", "", "", "", "", "", url)
    connected = sum(peer.connected for peer in view.peers)
    peers = f"{connected}/{len(view.peers)}"
    heights = (view.executed_height, view.certified_height)
    return (view.node, view.role, view.term, *heights, view.leader or "none", peers, url)


def _check_quorum(views: list[Cluster | None]) -> None:
    """End with the code for `unreachable` where no node answers or none has a quorum."""
    reached = [view for view in views if view is not None]
    if any(view.quorum for view in reached):
        return
    if reached:
        raise CommandError(
            "No node that answers has a quorum: payments wait.",
            "Start the nodes that are down; more than half must run and reach each other.",
            Exit.UNREACHABLE,
        )
    raise CommandError(
        "None of the nodes answers.", "Check that they run and that the URLs are right.", Exit.UNREACHABLE
    )
