"""`nostro network logs`: the logs of a network's nodes, as one in the order of time.

It must not know what the events mean.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import click

from cli import output
from cli.background import nodes_arguments, nodes_of
from cli.log_lines import LogLine, as_text, in_order, parse
from cli.output import styled_data
from node import background
from node.log_file import set_aside
from node.provision import load_network

if TYPE_CHECKING:
    from pathlib import Path

    from node.background import BackgroundNode

DEFAULT_LINES = 50
FOLLOW_EVERY_S = 0.2
COLOURS = {"warning": "yellow", "error": "red"}


@click.command()
@nodes_arguments
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=DEFAULT_LINES,
    show_default=True,
    help="How many, at the end.",
)
@click.option("--json", "as_json", is_flag=True, help="Each line as the node wrote it, a document a line.")
def logs(folder: Path, nodes: tuple[str, ...], follow: bool, lines: int, as_json: bool) -> None:
    """Show what the nodes of FOLDER have logged, as one log in the order of time.

    Without NODE of all of them.
    """
    chosen = nodes_of(load_network(folder), nodes)
    # Opened first, so that no line falls between the two.
    followed = [Followed(node) for node in chosen] if follow else []
    tails = [[parse(node.id, raw) for raw in background.last_lines(node, lines)] for node in chosen]
    width = None if as_json else max(len(node.id) for node in chosen)
    _show(in_order(tails)[-lines:] if lines else [], width)
    with contextlib.suppress(KeyboardInterrupt):
        while followed:
            time.sleep(FOLLOW_EVERY_S)
            _show(in_order([each.new_lines() for each in followed]), width)


class Followed:
    """What is added to a node's log from now on, also when it goes on in a new file."""

    def __init__(self, node: BackgroundNode) -> None:
        """Begin at the end; a log that isn't there yet will be read from its beginning."""
        self._node = node
        self._rest = b""
        self._inode, self._offset = 0, 0
        with contextlib.suppress(FileNotFoundError):
            status = node.log_file.stat()
            self._inode, self._offset = status.st_ino, status.st_size

    def new_lines(self) -> list[LogLine]:
        """The whole lines that were added since the last call."""
        data = self._rest + self._read()
        whole, _, self._rest = data.rpartition(b"\n")
        return [parse(self._node.id, raw) for raw in whole.decode("utf-8", "replace").splitlines()]

    def _read(self) -> bytes:
        """What is left of the file that was read last, wherever it is now, and then the newest file."""
        data = b""
        for path, is_newest in ((set_aside(self._node.log_file), False), (self._node.log_file, True)):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode and is_newest:
                    self._inode, self._offset = inode, 0
                if inode == self._inode:
                    file.seek(self._offset)
                    data += file.read()
                    self._offset = file.tell()
        return data


def _show(lines: list[LogLine], node_width: int | None) -> None:
    """Print lines for people, or as they are where no width is given."""
    out = output.current()
    for line in lines:
        if node_width is None:
            out.data(line.raw)
        else:
            level = str((line.fields or {}).get("level", ""))
            out.data(styled_data(as_text(line, node_width), COLOURS.get(level)))
