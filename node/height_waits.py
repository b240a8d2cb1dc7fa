"""Requests that wait until a height is reached, each no longer than it asked for.

It must not know what makes a height reached: executed and certified heights are waited for alike.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class HeightWaits:
    """Those who wait for one kind of height. All methods are called on the event loop."""

    def __init__(self, now: Callable[[], int]) -> None:
        """Nobody waits; `now` gives the height that is reached already."""
        self._now = now
        self._waiting: list[tuple[int, int, asyncio.Future[bool]]] = []
        self._stopping = False
        self._order = count()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def wait(self, height: int, timeout_ms: int) -> bool:
        """Wait until `height` is reached; False when the time ran out first, or the node stops."""
        if self._now() >= height:
            return True
        if self._stopping:
            return False
        reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (height, next(self._order), reached)
        heapq.heappush(self._waiting, entry)
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                return await reached
        except TimeoutError:
            return False
        finally:
            self._forget(entry)

    def reached(self, height: int) -> None:
        """Everything up to `height` is reached."""
        while self._waiting and self._waiting[0][0] <= height:
            _tell(heapq.heappop(self._waiting)[2], True)

    def stop(self) -> None:
        """Tell everybody who waits, now or later, that it won't come: the node stops."""
        self._stopping = True
        for _, _, reached in self._waiting:
            _tell(reached, False)

    def _forget(self, entry: tuple[int, int, asyncio.Future[bool]]) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            heapq.heapify(self._waiting)


def _tell(reached: asyncio.Future[bool], is_reached: bool) -> None:
    if not reached.done():
        reached.set_result(is_reached)
