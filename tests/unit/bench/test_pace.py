"""The open loop: requests leave when they are due, whatever became of those before them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cli.bench.pace import open_loop


class Clock:
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Let the time pass, and everybody else go on."""
        self.now_s += seconds
        await asyncio.sleep(0)


async def names(count: int) -> AsyncIterator[str]:
    """Requests."""
    for number in range(count):
        yield f"request {number}"


def test_each_is_sent_when_it_is_due_though_none_is_answered() -> None:
    """Four at a distance of half a second, all still open at the end of the schedule."""

    async def run() -> list[tuple[int, str, float, float]]:
        clock, sent, answer = Clock(), list[tuple[int, str, float, float]](), asyncio.Event()

        async def send(number: int, name: str, due_s: float) -> None:
            sent.append((number, name, due_s, clock()))
            if number == 3:
                answer.set()
            await answer.wait()

        await open_loop(names(4), 0.5, send, clock(), clock=clock, sleep=clock.sleep)
        return sent

    due = [100.0, 100.5, 101.0, 101.5]
    # A task begins at the next step of the loop, which is while the loop sleeps until the next is due.
    starts = [100.5, 101.0, 101.5, 101.5]
    assert asyncio.run(run()) == [
        (number, f"request {number}", due[number], starts[number]) for number in range(4)
    ]


def test_no_more_than_the_limit_are_open_and_who_waits_keeps_when_it_was_due() -> None:
    """Two may be open; the third leaves once one is answered, 7 s late, and is due when it was."""

    async def run() -> tuple[int, list[float]]:
        clock, dues = Clock(), list[float]()
        opened = most = 0

        async def send(number: int, name: str, due_s: float) -> None:
            nonlocal opened, most
            dues.append(due_s)
            opened += 1
            most = max(most, opened)
            for _ in range(5):
                await asyncio.sleep(0)
            clock.now_s += 7
            opened -= 1

        await open_loop(names(6), 1.0, send, clock(), most_in_flight=2, clock=clock, sleep=clock.sleep)
        return most, dues

    assert asyncio.run(run()) == (2, [100.0, 101.0, 102.0, 103.0, 104.0, 105.0])


def test_a_request_that_fails_ends_the_loop_with_its_own_error() -> None:
    """Not with a group of errors, and the others are given up."""

    async def run() -> None:
        async def send(number: int, name: str, due_s: float) -> None:
            if number == 1:
                raise LookupError(name)
            await asyncio.Event().wait()

        clock = Clock()
        await open_loop(names(5), 1.0, send, clock(), clock=clock, sleep=clock.sleep)

    with pytest.raises(LookupError, match="request 1"):
        asyncio.run(run())
