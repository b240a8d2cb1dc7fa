"""A click group whose commands are imported only when one of them runs.

The table that a group is given holds each command's place and its one line of help, so that `--help` imports
no command (a test keeps these lines equal to the commands' own). It must not know any command.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (`module:attribute`) and the one line that describes it in its group's help."""

    place: str
    summary: str

    def load(self) -> click.Command:
        """Import the module and return the command; TypeError where the attribute is not a command."""
        module_name, _, attribute = self.place.partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.place} is not a click command")
        return command


class LazyGroup(click.Group):
    """A group over a table of lazy commands, shown in the table's order."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table's order: it is the order in which a newcomer meets them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, None where the name is unknown."""
        entry = self.lazy.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' lines from the table, importing none."""
        rows = [(name, entry.summary) for name, entry in self.lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def listing_group(
    name: str, lazy: Mapping[str, LazyCommand]
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function, with its options, the group `name`; it runs where none of the commands is named."""

    def group(function: Callable[..., None]) -> click.Command:
        @click.pass_context
        @functools.wraps(function)
        def alone(ctx: click.Context, *args: Any, **kwargs: Any) -> None:
            if ctx.invoked_subcommand is None:
                function(*args, **kwargs)

        make = click.group(cls=LazyGroup, lazy=lazy, name=name, invoke_without_command=True)
        return make(alone)

    return group
