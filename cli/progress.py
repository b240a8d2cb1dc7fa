"""Progress of what lasts more than a second: a bar on a terminal, a line now and then elsewhere, on stderr.

It must not know what is being counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# A log that nobody watches is told of progress no more often than this.
LINE_EVERY_MS = 10_000
PATIENCE_S = 1.0

T = TypeVar("T")


class Lines:
    """Writes how far it is when a while has passed since the last line; after one, the end is written too."""

    def __init__(self, label: str, monotonic_ms: Callable[[], int], every_ms: int = LINE_EVERY_MS) -> None:
        self._label = label
        self._monotonic_ms = monotonic_ms
        self._every_ms = every_ms
        self._last_ms = monotonic_ms()
        self._told = -1

    def report(self, done: int, total: int) -> None:
        """Take note of the progress; write a line where one is due."""
        now_ms = self._monotonic_ms()
        due = now_ms - self._last_ms >= self._every_ms
        finished = done >= total and self._told >= 0
        if (due or finished) and done != self._told:
            click.echo(f"{self._label}: {done:,} of {total:,}", err=True)
            self._last_ms, self._told = now_ms, done


def clear_line() -> None:
    """Empty the line that a bar or a status stands on, for words that are to stand there instead."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", nl=False, err=True)


async def patiently(work: Awaitable[T], told: str, after_s: float = PATIENCE_S) -> T:
    """The result of some work; a person at a terminal is told of it when it lasts, lest it seem to hang."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait((task,), timeout=after_s)
    if not done and sys.stderr.isatty():
        click.echo(told, err=True)
    return await task


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to be called with (done, total) as often as one likes."""
    if not sys.stderr.isatty():
        yield Lines(label, _monotonic_ms).report
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    # Data that is written to stdout meanwhile stays there: rich would take it to the bar's place, on stderr.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
