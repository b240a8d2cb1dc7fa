"""`nostro network`: the files of a new network, ready to be handed to its banks; and what runs them.

It must not know what the files hold: that is the node's provisioning.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.progress import progress
from cli.wallet_files import ask_passphrase, read_passphrase

if TYPE_CHECKING:
    from node.plan import NetworkPlan, PlannedAsset
    from node.provision import ProvisionedNetwork

NETWORK_COMMANDS = {
    "new": LazyCommand(
        "cli.network:new", "Write genesis, certificates, and a folder for each node and member."
    ),
    "add-node": LazyCommand(
        "cli.network_add:add_node",
        "Write the key, certificates and configuration of a further node into FOLDER.",
    ),
    "up": LazyCommand(
        "cli.network_run:up", "Start the nodes of FOLDER in the background, and wait until they are ready."
    ),
    "down": LazyCommand("cli.network_run:down", "Stop the nodes of FOLDER that run in the background."),
    "restart": LazyCommand(
        "cli.network_run:restart",
        "Restart the nodes of FOLDER one after the other, while the network goes on.",
    ),
    "status": LazyCommand(
        "cli.network_status:status",
        "Show the nodes of FOLDER: process, role, heights, readiness, and days left of certificates.",
    ),
    "logs": LazyCommand(
        "cli.network_logs:logs",
        "Show what the nodes of FOLDER have logged, as one log in the order of time.",
    ),
    "renew": LazyCommand(
        "cli.renew:network_renew",
        "Renew all certificates in FOLDER, in place: the nodes', and those of their members' operators.",
    ),
}
DEFAULT_BASE_PORT = 7_400


@click.command(cls=LazyGroup, lazy=NETWORK_COMMANDS, name="network")
def network() -> None:
    """Make the files of a new network, and run its nodes in the background of this machine."""


@click.command(name="new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--name", default="nostrodev", show_default=True, help="The network's name: it begins every address."
)
@click.option(
    "--members",
    default="alpha,bravo,charlie",
    show_default=True,
    help="The banks' ids, with commas; ID@HOST where a bank's node is reached at a host of its own.",
)
@click.option(
    "--nodes", default=3, show_default=True, type=click.IntRange(1), help="How many of them run a node."
)
@click.option(
    "--issuer",
    default="central-bank",
    show_default=True,
    help="The member that issues; one that is not in --members runs no node.",
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    default=("EUR:2",),
    show_default=True,
    help="CODE:DECIMALS, or CODE:DECIMALS:MOST for the most that may be issued. May be repeated.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The host of nodes that have none of their own."
)
@click.option(
    "--base-port", default=DEFAULT_BASE_PORT, show_default=True, help="The first of three ports a node."
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    envvar="NOSTRO_PASSPHRASE_FILE",
    help="A file whose first line opens the new keystores, until each bank changes it.",
)
@output.json_option
def new(folder: Path, passphrase_file: Path | None, **options: Any) -> None:
    """Write genesis, certificates, and a folder for each node and member."""
    import os

    from node.provision import create_network

    plan = make_plan(**options)
    if passphrase_file is not None:
        passphrase = read_passphrase(passphrase_file)
    else:
        given = os.environ.get("NOSTRO_PASSPHRASE")
        passphrase = (
            given if given is not None else ask_passphrase("Passphrase of the new keystores", confirm=True)
        )
    with progress("keystores written") as tell:
        made = create_network(plan, folder, passphrase, progress=tell)
    show_network(made)


def make_plan(
    *, name: str, members: str, nodes: int, issuer: str, assets: tuple[str, ...], host: str, base_port: int
) -> NetworkPlan:
    """The plan that the options describe.

    The first `nodes` of the members run a node, on three ports each.
    """
    from node.plan import PORTS_A_NODE, NetworkPlan, PlannedMember, PlannedNode

    places = [_place(text.strip(), host) for text in members.split(",") if text.strip()]
    if nodes > len(places):
        raise CommandError(
            f"{nodes} nodes were asked for, and only {len(places)} members named to run one each.",
            "Name more members with --members, or ask for fewer --nodes.",
            Exit.USAGE,
        )
    named = any(member == issuer for member, _ in places)
    planned = [] if named else [PlannedMember(issuer, issuer)]
    next_port: dict[str, int] = {}
    for index, (member, at) in enumerate(places):
        first = next_port.get(at, base_port)
        next_port[at] = first + PORTS_A_NODE
        node = PlannedNode(f"{member}-1", at, first, first + 1, first + 2) if index < nodes else None
        planned.append(PlannedMember(member, member, node))
    return NetworkPlan(
        name=name, members=tuple(planned), assets=tuple(parse_asset(text, issuer) for text in assets)
    )


def _place(text: str, default_host: str) -> tuple[str, str]:
    """A member's id and the host of its node, from `ID` or `ID@HOST`."""
    member, _, host = text.partition("@")
    return member, host or default_host


def parse_asset(text: str, issuer: str) -> PlannedAsset:
    """An asset from `CODE:DECIMALS` or `CODE:DECIMALS:MOST`, MOST in the asset's own units."""
    from ledger.amounts import parse_amount
    from node.plan import DEFAULT_ASSET_LIMIT, PlannedAsset

    code, _, rest = text.partition(":")
    decimals, _, most = rest.partition(":")
    if not decimals.isascii() or not decimals.isdecimal() or int(decimals) > 18:
        raise CommandError(
            f"{text!r} does not describe an asset.",
            "Write CODE:DECIMALS, such as CZK:2, with 0 to 18.",
            Exit.USAGE,
        )
    scale = int(decimals)
    return PlannedAsset(code, scale, issuer, parse_amount(most, scale) if most else DEFAULT_ASSET_LIMIT)


def show_network(made: ProvisionedNetwork) -> None:
    """Say what was written, and what to do with it."""
    out = output.current()
    document = {
        "folder": str(made.directory),
        "name": made.name,
        "network_id": made.network_id.hex(),
        "nodes": [
            {
                "id": node.id,
                "member": node.member,
                "config": str(made.config(node.id)),
                "api_url": node.api_url,
            }
            for node in made.nodes
        ],
        "members": [{"id": member.id, "keystore": str(made.keystore(member.id))} for member in made.members],
    }

    def human() -> None:
        out.fields(
            (("network", made.name), ("network id", made.network_id.hex()), ("folder", made.directory))
        )
        out.table(
            ("NODE", "MEMBER", "API", "CONFIG"),
            [(node.id, node.member, node.api_url, made.config(node.id)) for node in made.nodes],
        )
        out.say(
            "Hand each bank its folders under nodes/ and members/, and keep ca/ca.key apart from the network."
        )
        out.say("Each bank then starts its node: nostro node run CONFIG")
        out.say(f"For a trial, all of them on this machine: nostro network up {made.directory}")

    out.result(document, human)
