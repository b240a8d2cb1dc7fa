"""The real network before and after a drill: what must have stayed as it was.

It only asks and reads. It must not know what a drill does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.background import ask_all
from cli.errors import CommandError
from cli.exits import Exit
from node.config import load_config
from wallet.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from node.provision import NodePlace, ProvisionedNetwork
    from node.report import NodeReport

Files = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time of the last change in ns of every file of a store."""
ASK_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as it was found: a block that it has executed, if it runs, else its store's files."""

    runs: bool
    height: int = 0
    block: str = ""
    files: Files = ()

    @property
    def words(self) -> str:
        """The same for people."""
        return f"runs, has executed block {self.height:,}" if self.runs else "is stopped"


def look(network: ProvisionedNetwork) -> dict[str, Seen]:
    """Every node of the folder, by its id."""
    reports = asyncio.run(ask_all(network))
    return {place.id: _look_at(network, place, reports[place.id]) for place in network.nodes}


def look_again(network: ProvisionedNetwork, before: dict[str, Seen]) -> dict[str, Any]:
    """What became of each node since; raises CommandError where a chain or a stopped store is another."""
    after = look(network)
    for place in network.nodes:
        was, now = before[place.id], after[place.id]
        if was.runs and now.runs and was.height:
            same = now.height >= was.height and _block(network, place, was.height) == was.block
        else:
            # A node that was started or stopped meanwhile has written to its store by itself.
            same = was.runs or now.runs or was.files == now.files
        if not same:
            raise CommandError(
                f"Node {place.id} is not as it was before the drill.",
                "Nothing of a drill writes there: see what else ran, and audit its store.",
                Exit.VIOLATION,
            )
    return {node: seen.words for node, seen in after.items()}


def _look_at(network: ProvisionedNetwork, place: NodePlace, report: NodeReport | None) -> Seen:
    if report is None:
        return Seen(False, files=_files(load_config(network.config(place.id)).data))
    height = report.executed_height
    return Seen(True, height, _block(network, place, height) if height and not report.retired else "")


def _block(network: ProvisionedNetwork, place: NodePlace, height: int) -> str:
    """The hash of a node's own block; empty where it answers no reads, as one that was let go."""

    async def ask() -> str:
        async with Client([place.api_url], ca_file=network.ca, timeout_ms=ASK_TIMEOUT_MS) as client:
            return (await client.block(height)).hash

    return asyncio.run(ask())


def _files(data: Path) -> Files:
    if not data.is_dir():
        return ()
    listed = [(file.name, file.stat()) for file in data.iterdir()]
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in listed))
