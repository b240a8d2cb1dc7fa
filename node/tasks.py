"""Work that runs beside a node on its event loop, given up with it; it must not know what the work is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def raise_what_it_raised(task: asyncio.Task[None]) -> None:
    """As a task's done-callback: hand what ended the task unexpectedly to the loop, which stops the node."""
    if not task.cancelled():
        task.result()


@contextmanager
def awaited(work: Coroutine[object, object, T]) -> Iterator[asyncio.Task[T]]:
    """Work that somebody waits for, and who gets what it raises."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()


@contextmanager
def unattended(work: Coroutine[object, object, None]) -> Iterator[None]:
    """Work that nobody waits for: what it raises stops the node."""
    with awaited(work) as task:
        task.add_done_callback(raise_what_it_raised)
        yield
