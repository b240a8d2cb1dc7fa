"""`nostro node renew` and `nostro network renew`: new certificates in place of those that expire.

It must not know what runs under them, nor how a certificate is made.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.background import nodes_arguments, nodes_of
from node import tls
from node.config import load_config
from node.provision import load_network
from node.renewal import Pair, pairs_of, renew

if TYPE_CHECKING:
    from collections.abc import Sequence

new_key_option = click.option(
    "--new-key", is_flag=True, help="Make a new key for each as well; without it the key stays the same."
)


@click.command(name="renew")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--ca",
    "ca_folder",
    type=click.Path(path_type=Path),
    help="The folder with the network's ca.pem and ca.key.  [default: the one in the node's network folder]",
)
@new_key_option
@output.json_option
def node_renew(files: tuple[Path, ...], ca_folder: Path | None, new_key: bool) -> None:
    """Renew the certificates of one node, in place; a running node takes them up by itself.

    FILE is the node's configuration (node.toml), or certificates (*.pem): a certificate is no secret, so a
    bank can send its own to the CA's keeper, who renews and returns them. Names and keys stay as they are.
    """
    pairs = [
        pair
        for file in files
        for pair in (pairs_of(load_config(file)) if file.suffix == ".toml" else (Pair(file),))
    ]
    _renew(pairs, ca_folder or files[0].absolute().parent.parent.parent / "ca", new_key)


@click.command(name="renew")
@nodes_arguments
@new_key_option
@output.json_option
def network_renew(folder: Path, nodes: tuple[str, ...], new_key: bool) -> None:
    """Renew all certificates in FOLDER, in place: the nodes', and those of their members' operators.

    Running nodes take them up by themselves, within seconds, without losing a link. With NODE only those of
    the named nodes.
    """
    network = load_network(folder)
    pairs = [
        pair for node in nodes_of(network, nodes) for pair in pairs_of(load_config(network.config(node.id)))
    ]
    if not nodes:
        operators = [network.operator_files(member.id) for member in network.members]
        pairs += [Pair(files.certificate, files.key) for files in operators]
    _renew(pairs, network.directory / "ca", new_key)


def _renew(pairs: Sequence[Pair], ca_folder: Path, new_key: bool) -> None:
    ca, now = tls.read_ca(ca_folder), datetime.datetime.now(datetime.UTC)
    renewed = [renew(pair, ca, now, new_key=new_key) for pair in pairs]
    document = [
        {
            "certificate": str(each.certificate),
            "days_before": round(each.days_before, 1),
            "days_left": round(each.days_left, 1),
        }
        for each in renewed
    ]
    rows = [(f"{each.days_before:.0f}", f"{each.days_left:.0f}", each.certificate) for each in renewed]
    out = output.current()
    out.result({"renewed": document}, lambda: out.table(("DAYS BEFORE>", "DAYS LEFT>", "CERTIFICATE"), rows))
