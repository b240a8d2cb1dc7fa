"""What a person sees of a running drill, on stderr: the step that runs, and a line for each that has ended.

It must not know any step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cli.output import styled

if TYPE_CHECKING:
    from rich.status import Status

    from cli.drill.journal import Step

MS_A_SECOND = 1_000


@dataclass(slots=True)
class Terminal:
    """Lines for every reader; on a terminal also the step that runs now."""

    _status: Status | None = field(default=None)

    def begun(self, name: str) -> None:
        """Show what is being done."""
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status(f"{name} ...")
            self._status.start()

    def ended(self, step: Step) -> None:
        """Write what was done, how long it took, and how it ended."""
        self.clear()
        mark = styled("failed", "red") if step.failure else styled("passed", "green")
        click.echo(f"{mark}  {step.duration_ms / MS_A_SECOND:6.1f} s  {step.name}", err=True)

    def clear(self) -> None:
        """Take away the step that runs, as when the drill is broken off."""
        if self._status is not None:
            self._status.stop()
            self._status = None
