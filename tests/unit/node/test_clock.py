"""The machine's clocks and chance behind their ports."""

from __future__ import annotations

import time

from node.clock import SystemClock, SystemRandom


def test_wall_time_is_in_milliseconds_since_1970() -> None:
    """Between two readings of the machine's own clock."""
    before = time.time() * 1_000
    now_ms = SystemClock().now_ms()
    assert before - 1 <= now_ms <= time.time() * 1_000 + 1


def test_the_monotonic_clock_never_goes_back() -> None:
    """A thousand readings in order."""
    clock = SystemClock()
    readings = [clock.monotonic_ms() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_chance_stays_in_its_range_and_differs() -> None:
    """Every number below the stop comes up, and bytes have the length that was asked for."""
    chance = SystemRandom()
    assert {chance.randrange(3) for _ in range(200)} == {0, 1, 2}
    assert len(chance.bytes(16)) == 16
    assert chance.bytes(16) != chance.bytes(16)
