"""Requests that wait for a height: each is told once, and none waits longer than it asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from node.height_waits import HeightWaits

LONG_MS = 60_000


async def begun(*waits: Awaitable[bool]) -> Sequence[asyncio.Future[bool]]:
    """The waits, each under way."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.sleep(0)
    return tasks


def test_who_waits_is_told_when_the_height_is_reached() -> None:
    """At that height or above it; who waits for more goes on waiting; who comes late doesn't wait."""

    async def scenario() -> None:
        height = 3
        waits = HeightWaits(lambda: height)
        assert await waits.wait(3, LONG_MS)
        five, four, six = await begun(*(waits.wait(each, LONG_MS) for each in (5, 4, 6)))
        height = 5
        waits.reached(height)
        assert [await five, await four] == [True, True]
        assert (six.done(), len(waits)) == (False, 1)
        waits.reached(6)
        assert await six

    asyncio.run(scenario())


def test_who_waits_is_told_when_the_time_is_up() -> None:
    """And is forgotten then; so is who goes away before."""

    async def scenario() -> None:
        waits = HeightWaits(lambda: 3)
        assert not await waits.wait(4, 1)
        (gone,) = await begun(waits.wait(4, LONG_MS))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert len(waits) == 0

    asyncio.run(scenario())


def test_nobody_waits_for_a_node_that_stops() -> None:
    """Neither those who wait already nor those who come now; what is reached is told still."""

    async def scenario() -> None:
        waits = HeightWaits(lambda: 3)
        (waiting,) = await begun(waits.wait(4, LONG_MS))
        waits.stop()
        assert not await waiting
        assert not await waits.wait(4, LONG_MS)
        assert await waits.wait(3, LONG_MS)

    asyncio.run(scenario())
