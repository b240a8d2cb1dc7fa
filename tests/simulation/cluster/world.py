"""Virtual time and chance: one queue of events under one seed.

It must not know nodes, networks or what the events do.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.simulation.report import Violation

MAX_STEPS = 200_000
"""Events a seed, forty times the usual: nodes that keep each other busy for nothing never come to rest."""


class World:
    """Everything that happens, in order of virtual time (milliseconds); the seed decides the rest."""

    def __init__(self, seed: int, trace: bool = False) -> None:
        """Nothing has happened."""
        self.random = Random(seed)
        self.counts: Counter[str] = Counter()
        self.now_ms = 0.0
        self.steps = 0
        self._trace = trace
        self._digest = hashlib.sha256()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._scheduled = 0

    def schedule(self, delay_ms: float, action: Callable[[], object]) -> None:
        """Let something happen after a delay; what is scheduled first goes first at the same time."""
        self._scheduled += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._scheduled, action))

    def step(self) -> None:
        """The next event."""
        self.now_ms, _, action = heapq.heappop(self._events)
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Violation(f"the nodes are still busy after {MAX_STEPS} events")
        action()

    def note(self, what: str) -> None:
        """Into the digest of the run, and onto the screen when tracing."""
        self._digest.update(f"{self.now_ms:.3f} {what}\n".encode())
        if self._trace:
            print(f"{self.now_ms:10.3f} {what}")  # noqa: T201 - what --trace is for

    @property
    def fingerprint(self) -> str:
        """A digest of all that was noted: equal for equal runs."""
        return self._digest.hexdigest()
