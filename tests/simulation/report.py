"""What a simulated seed did and how it failed, for people and for tests that demand coverage.

It must not know how the simulation works.
"""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """One seed that passed: how much happened, how often each thing, and a digest of all that happened.

    `virtual_ms` is the simulated time it took.
    """

    seed: int
    profile: str
    nodes: int
    steps: int
    counts: Counter[str]
    fingerprint: str
    virtual_ms: float


class SimulationFailure(AssertionError):
    """An invariant didn't hold under a seed."""

    def __init__(self, simulator: str, seed: int, profile: str, at_ms: float, what: str) -> None:
        """`simulator` is the module that replays it."""
        super().__init__(
            f"seed {seed} ({profile}) at {at_ms:.1f} virtual ms: {what}\n"
            f"replay: python -m {simulator} --profile {profile} --start {seed} --seeds 1 --trace"
        )
        self.seed = seed
        self.what = what


class Violation(AssertionError):
    """What an oracle saw that must never be; the cluster adds seed and time."""
