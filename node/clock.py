"""The machine's clocks and its randomness, as the node's Clock and Random ports.

The only place in the node that asks the system for either. It knows nothing of who uses them.
"""

from __future__ import annotations

import os
import random
import time


class SystemClock:
    """Wall time for blocks and validity, and a clock that never goes back for waiting."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 in UTC, by the machine's clock."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment; never goes back."""
        return time.monotonic_ns() // 1_000_000


class SystemRandom:
    """Randomness from the operating system."""

    def __init__(self) -> None:
        """Nothing is seeded: it cannot be repeated or guessed."""
        self._random = random.SystemRandom()

    def randrange(self, stop: int) -> int:
        """A whole number from 0 up to and without `stop`."""
        return self._random.randrange(stop)

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""
        return os.urandom(count)
