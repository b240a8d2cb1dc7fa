"""`nostro node`: run one bank's node in this process, and ask a network's nodes how they are.

It must not know how a node works.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup

if TYPE_CHECKING:
    from wallet.network_answers import Cluster

STATUS_TIMEOUT_MS = 3_000
UNREACHABLE = "unreachable"

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

    out = output.current()
    views = asyncio.run(_views(connection))
    documents = [_document(url, view) for url, view in views]
    columns = ("NODE", "ROLE", "TERM>", "EXECUTED>", "CERTIFIED>", "LEADER", "PEERS>", "URL")
    out.result({"nodes": documents}, lambda: out.table(columns, [_row(url, view) for url, view in views]))
    _check_quorum([view for _, view in views])


async def _views(connection: Connection) -> list[tuple[str, Cluster | str]]:
    """What each node says of itself; or in a word why it doesn't."""
    import asyncio

    urls, ca = connection.endpoints()
    # A URL that is none is told of once, before any node is asked.
    connection.client()
    return list(zip(urls, await asyncio.gather(*(_view(url, ca) for url in urls)), strict=True))


async def _view(url: str, ca: Path | None) -> Cluster | str:
    from wallet.client import Client
    from wallet.errors import NotReachable
    from wallet.replies import Refused

    async with Client([url], ca_file=ca, timeout_ms=STATUS_TIMEOUT_MS) as client:
        try:
            return await client.cluster()
        except NotReachable:
            return UNREACHABLE
        except Refused as refused:
            # A node that was let go answers no reads, and says so; the others are asked all the same.
            return refused.problem.type.rpartition(":")[2]


def _document(url: str, view: Cluster | str) -> dict[str, Any]:
    import msgspec

    if isinstance(view, str):
        refused = {} if view == UNREACHABLE else {"problem": view}
        return {"url": url, "reachable": bool(refused), **refused}
    return {"url": url, "reachable": True, **msgspec.to_builtins(view)}


def _row(url: str, view: Cluster | str) -> tuple[object, ...]:
    if isinstance(view, str):
        return ("?", view, "", "", "", "", "", url)
    connected = sum(peer.connected for peer in view.peers)
    peers = f"{connected}/{len(view.peers)}"
    heights = (view.executed_height, view.certified_height)
    return (view.node, view.role, view.term, *heights, view.leader or "none", peers, url)


def _check_quorum(views: list[Cluster | str]) -> None:
    """End with the code for `unreachable` where no node answers or none has a quorum."""
    if any(not isinstance(view, str) and view.quorum for view in views):
        return
    if any(view != UNREACHABLE for view in views):
        raise CommandError(
            "No node that answers has a quorum: payments wait.",
            "Start the nodes that are down; more than half must run and reach each other.",
            Exit.UNREACHABLE,
        )
    raise CommandError(
        "None of the nodes answers.", "Check that they run and that the URLs are right.", Exit.UNREACHABLE
    )
