"""An open loop: requests leave when a schedule says, whether or not those before them have been answered.

A slow answer so delays no later request, and none of the waiting is left out. It must not know what is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

MOST_IN_FLIGHT = 1_024
"""Requests without an answer; at that many the next waits, which counts for it: it was due all the same."""

T = TypeVar("T")


async def open_loop(
    requests: AsyncIterable[T],
    interval_s: float,
    send: Callable[[int, T, float], Awaitable[None]],
    start_s: float,
    *,
    most_in_flight: int = MOST_IN_FLIGHT,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Send request `n` at `start_s + n * interval_s` by the clock, or as soon after it as there is room.

    `send` gets the request's number, the request, and when it was due; what it raises ends the loop. Returns
    once all of them have returned.
    """
    room = asyncio.Semaphore(most_in_flight)

    async def sent(number: int, request: T, due_s: float) -> None:
        try:
            await send(number, request, due_s)
        finally:
            room.release()

    number = 0
    try:
        async with asyncio.TaskGroup() as group:
            async for request in requests:
                due_s = start_s + number * interval_s
                await sleep(max(0.0, due_s - clock()))
                await room.acquire()
                group.create_task(sent(number, request, due_s))
                number += 1
    except ExceptionGroup as failed:
        # The first failure is what happened; the others are told the same.
        raise failed.exceptions[0] from None
