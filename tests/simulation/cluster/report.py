"""What a simulated seed did and how it failed.

It must not know how the simulation works.
"""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """One seed that passed: how often each thing happened, and a digest of all of it."""

    seed: int
    profile: str
    nodes: int
    steps: int
    counts: Counter[str]
    fingerprint: str


class Violation(AssertionError):
    """What an oracle saw that must never be; the cluster adds seed and time."""


class SimulationFailure(AssertionError):
    """A promise wasn't kept under a seed."""

    def __init__(self, seed: int, profile: str, at_ms: float, what: str) -> None:
        super().__init__(
            f"seed {seed} ({profile}) at {at_ms:.1f} virtual ms: {what}\n"
            f"replay: python -m tests.simulation.cluster --profile {profile} --start {seed} --seeds 1 --trace"
        )
        self.seed = seed
        self.what = what
