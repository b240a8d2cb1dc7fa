"""`nostro network add-node`: the files of a further node, for the members to take in.

It must not know how they are made, nor what the members decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import output
from cli.background import folder_argument

if TYPE_CHECKING:
    from pathlib import Path

    from node.further_node import FurtherNode


@click.command(name="add-node")
@folder_argument
@click.option("--node", required=True, help="The node's id, which no node of the network ever had.")
@click.option("--member", required=True, help="The bank that runs it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the others reach it.")
@click.option(
    "--base-port", type=click.IntRange(1, 65_533), help="The first of its three ports.  [default: a free one]"
)
@output.json_option
def add_node(folder: Path, node: str, member: str, host: str, base_port: int | None) -> None:
    """Write the key, certificates and configuration of a further node into FOLDER.

    The node can be started at once. It takes part when the members have registered its key and address and
    have decided that it comes into the cluster.
    """
    from node.further_node import add_node as write
    from node.further_node import free_base_port
    from node.plan import PlannedNode
    from node.provision import load_network

    network = load_network(folder)
    first = base_port or free_base_port(network)
    made = write(network, PlannedNode(node, host, first, first + 1, first + 2), member)
    out = output.current()
    values = {
        "node": made.place.id,
        "member": made.place.member,
        "key": made.key.hex(),
        "address": made.address,
        "config": str(network.config(node)),
    }
    out.result(values, lambda: out.fields(values.items()))
    out.say("Next (the members' decisions with --signer, where their keys aren't in this folder):")
    for command in next_steps(folder, made):
        out.say(f"  {command}")


def next_steps(folder: Path, made: FurtherNode) -> tuple[str, ...]:
    """The commands that bring a node into the cluster whose files are written."""
    place = made.place
    return (
        f"nostro members register {place.id} --member {place.member} --key {made.key.hex()} "
        f"--address {made.address} --network {folder}",
        f"nostro members add {place.id} --network {folder}",
        f"nostro network up {folder} {place.id}",
    )
