"""Whoever operates a network by its commands, in this process: starting Python for each would take longer.

It must not know what is tested with it.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cli.main import root
from node import background
from node.background import BackgroundNode
from node.provision import ProvisionedNetwork

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("NOSTRO_")}


class Operator:
    """Whoever types `nostro network ...` for one network's folder."""

    def __init__(self, network: ProvisionedNetwork) -> None:
        """Starts nothing yet."""
        self.network = network

    def run(self, *arguments: str | Path) -> Result:
        """A command."""
        return CliRunner().invoke(root, [str(argument) for argument in arguments], prog_name="nostro")

    def network_command(self, name: str, *arguments: str) -> Result:
        """`nostro network NAME FOLDER ...`."""
        return self.run("network", name, self.network.directory, *arguments)

    def document(self, name: str, *arguments: str) -> list[dict[str, Any]]:
        """What `nostro network NAME FOLDER ... --json` says of each node; it must end with 0."""
        done = self.network_command(name, *arguments, "--json")
        assert done.exit_code == 0, done.output
        nodes: list[dict[str, Any]] = json.loads(done.stdout)["nodes"]
        return nodes

    def node(self, node: str) -> BackgroundNode:
        """The process of a node."""
        return BackgroundNode(node, self.network.config(node))

    def end(self) -> None:
        """Kill what still runs."""
        for place in self.network.nodes:
            background.send_signal(self.node(place.id), signal.SIGKILL)
            background.wait_for_end(self.node(place.id), 10)
