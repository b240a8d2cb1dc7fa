"""Threads beside the event loop: the Worker and Timers ports over asyncio and one thread a worker; the tick.

What a job raises is handed to the loop, where `failed` gets it; nothing is swallowed here. It knows
nothing of what the jobs do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

Observe = Callable[[float], None]
"""Told how many seconds one job took."""


class Completions:
    """Callbacks from other threads, run on the loop in order; one wake-up of the loop serves all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to this loop."""
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._closed = False

    def post(self, callback: Callable[[], None]) -> None:
        """Have `callback` run on the loop, from any thread; dropped once this is closed."""
        with self._lock:
            if self._closed:
                return
            self._waiting.append(callback)
            if len(self._waiting) > 1:
                return
        self._loop.call_soon_threadsafe(self._drain)

    def close(self) -> None:
        """Drop what still waits, and all that comes after."""
        with self._lock:
            self._closed = True
            self._waiting.clear()

    def _drain(self) -> None:
        with self._lock:
            ready, self._waiting = self._waiting, []
        for callback in ready:
            callback()


class ThreadWorker:
    """One thread that runs its jobs in order."""

    def __init__(self, name: str, completions: Completions, observe: Observe) -> None:
        """Start the worker; its thread is called `name`, and `observe` hears how long each job took."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._completions = completions
        self._observe = observe

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run `job` on the thread, then on the loop `done` with its result or `failed` with its error."""

        def completed(future: Future[T]) -> None:
            error = future.exception()
            if error is not None:
                self._completions.post(lambda: failed(error))
            else:
                self._completions.post(lambda: done(future.result()))

        self._executor.submit(self._timed, job).add_done_callback(completed)

    def close(self) -> None:
        """Finish the jobs that were submitted, and end the thread."""
        self._executor.shutdown(wait=True)

    def _timed(self, job: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return job()
        finally:
            self._observe(time.perf_counter() - started)


class LoopTimers:
    """The Timers port over an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Timers of this loop; use them on its thread only."""
        self._loop = loop

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` once, `delay_ms` from now; the handle's `cancel` prevents it."""
        return self._loop.call_later(delay_ms / 1_000, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the loop's next turn."""
        self._loop.call_soon(callback)


@contextmanager
def ticking(loop: asyncio.AbstractEventLoop, work: Callable[[], None], tick_ms: int) -> Iterator[None]:
    """Do this work every `tick_ms` meanwhile. Ticks missed while the machine slept are not made up for."""
    period_s = tick_ms / 1_000
    due = loop.time() + period_s
    handle: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal due, handle
        due = max(due + period_s, loop.time())
        handle = loop.call_at(due, tick)
        work()

    handle = loop.call_at(due, tick)
    try:
        yield
    finally:
        handle.cancel()
