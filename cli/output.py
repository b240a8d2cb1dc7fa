"""How every command shows what it has: data on stdout, words for a person on stderr, or one JSON document.

rich is imported only when a table or a colour is really drawn. It must not know any command, nor what the
data means.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import Console

# A table that goes to a file or a pipe is never folded: whoever reads it splits it by line.
PIPE_WIDTH = 10_000


@dataclass(slots=True)
class Output:
    """One run's way of showing things.

    `as_json` is set by `--json`, wherever on the command line it stands; `json_named` says that it stands
    there, whether or not it has been read yet.
    """

    as_json: bool = False
    json_named: bool = False
    shown: bool = field(default=False)

    def result(self, document: Mapping[str, Any], human: Callable[[], None]) -> None:
        """Show a command's data: the document with `--json`, otherwise what `human` prints."""
        self.shown = True
        if self.as_json:
            import json

            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            human()

    def data(self, text: str) -> None:
        """Print one line of data on stdout."""
        click.echo(text)

    def say(self, text: str) -> None:
        """Tell the person something, on stderr."""
        click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Tell the person something that must not be overlooked, on stderr."""
        click.echo(styled("warning: ", "yellow") + text, err=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table on stdout. A column whose name ends in `>` is set flush right (amounts, heights)."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
        for name in columns:
            table.add_column(
                name.rstrip(">"), justify="right" if name.endswith(">") else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self._print(table)

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print `name  value` lines on stdout, the values in one column."""
        kept = [(name, str(value)) for name, value in pairs]
        width = max((len(name) for name, _ in kept), default=0)
        for name, value in kept:
            click.echo(f"{name.ljust(width)}  {value}")

    def _print(self, renderable: Any) -> None:
        _console().print(renderable)


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False)


def styled(text: str, colour: str) -> str:
    """`text` in a colour where stderr is a terminal and NO_COLOR is not set (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return text
    return click.style(text, fg=colour, bold=True)


def styled_data(text: str, colour: str | None) -> str:
    """`text` in a colour where stdout is a terminal and NO_COLOR is not set; as it is without a colour."""
    if colour is None or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return click.style(text, fg=colour)


def current() -> Output:
    """The Output of the command that runs."""
    found = click.get_current_context().find_object(Output)
    if found is None:
        raise RuntimeError("no Output: the command was not started through cli.main")
    return found


def _set_json(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Output).as_json = True


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--json`."""
    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="One JSON document on stdout."
    )
    return option(command)
