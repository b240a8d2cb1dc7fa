"""`nostro dev`: a whole network on this machine, with funded accounts whose keys lie at hand. DEV ONLY.

It must not know how a node works: it provisions, starts processes, funds accounts and waits.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from cli import output
from cli.network_folder import DEFAULT_FOLDER

MOST_NODES = 20


@click.command()
@click.option(
    "--nodes", default=3, show_default=True, type=click.IntRange(1, MOST_NODES), help="Banks, a node each."
)
@click.option(
    "--accounts", default=10, show_default=True, type=click.IntRange(1, 1_000), help="Funded accounts."
)
@click.option("--seed", help="Makes every key a function of this text: the same addresses each time.")
@click.option("--reset", is_flag=True, help="Begin anew: forget the network in the folder.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="The network's folder; other commands find it by this name.",
)
@click.option(
    "--base-port",
    default=7_400,
    show_default=True,
    type=click.IntRange(1, 65_535),
    help="Three ports a node.",
)
@click.option(
    "--config-out", type=click.Path(path_type=Path), help="Write URLs, accounts and keys to this file (JSON)."
)
@output.json_option
def dev(
    nodes: int,
    accounts: int,
    seed: str | None,
    reset: bool,
    folder: Path,
    base_port: int,
    config_out: Path | None,
) -> None:
    """Run a network of your own on this machine, with funded accounts.

    A folder that holds such a network already is started again as it is. Ctrl-C stops it.
    """
    from cli import dev_network

    wanted = dev_network.Wanted(nodes, accounts, seed.encode() if seed else os.urandom(16), base_port)
    dev_network.run(wanted, folder, reset, config_out)
