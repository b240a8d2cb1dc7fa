"""What a drill did, step after step: when each began, how long it took, what it checked, how it ended.

A step that fails ends the drill, with words where the error can be explained. It must not know any step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cli.errors import explain
from cli.exits import Exit

if TYPE_CHECKING:
    from cli.errors import Explained


@dataclass(frozen=True, slots=True)
class Step:
    """A step that has ended; `failure` is None where it went well. `started_ms` is Unix time."""

    name: str
    started_ms: int
    duration_ms: int
    checked: Mapping[str, Any]
    failure: Explained | None = None


class Screen(Protocol):
    """Who is told of steps while the drill runs."""

    def begun(self, name: str) -> None:
        """A step has begun."""

    def ended(self, step: Step) -> None:
        """It has ended."""


class DrillStopped(Exception):
    """A step failed, and is in the journal: what would have come after it is left out."""


@dataclass(slots=True)
class Journal:
    """The steps so far. `now_ms` gives Unix time and `monotonic_ms` a clock for durations, both in ms."""

    screen: Screen
    now_ms: Callable[[], int]
    monotonic_ms: Callable[[], int]
    steps: list[Step] = field(default_factory=list)

    def step(self, name: str) -> Attempt:
        """Begin a step: `with journal.step("...") as checked`, where `checked` takes what was looked at."""
        return Attempt(self, name)

    @property
    def exit(self) -> Exit:
        """How a drill with these steps ends: as its first failure."""
        return next((step.failure.exit for step in self.steps if step.failure), Exit.DONE)


class Attempt:
    """A step that is being done; it notes its own end."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal, self._name = journal, name
        self._checked: dict[str, Any] = {}
        self._started_ms = self._begun_ms = 0

    def __enter__(self) -> dict[str, Any]:
        """Note the start."""
        self._started_ms, self._begun_ms = self._journal.now_ms(), self._journal.monotonic_ms()
        self._journal.screen.begun(self._name)
        return self._checked

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Note the end; raises DrillStopped for an error that can be explained, and lets all others go on."""
        explained = explain(error) if error is not None else None
        if error is not None and explained is None:
            return
        duration_ms = self._journal.monotonic_ms() - self._begun_ms
        step = Step(self._name, self._started_ms, duration_ms, self._checked, explained)
        self._journal.steps.append(step)
        self._journal.screen.ended(step)
        if explained is not None:
            raise DrillStopped(self._name) from error
