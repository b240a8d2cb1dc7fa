"""What makes a node stop: its driver, or a bug in a callback; and what doesn't."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Callable

import pytest
import uvloop

from node.config import LogSection
from node.logs import open_log
from node.results import StopReason
from node.stop import StopRequest
from node.tasks import raise_what_it_raised


def run(act: Callable[[asyncio.AbstractEventLoop], None]) -> tuple[StopRequest, list[dict[str, str]]]:
    """The request after `act` and a few turns of the loop, and the lines that were logged."""
    stream = io.StringIO()

    async def scenario() -> StopRequest:
        loop = asyncio.get_running_loop()
        stop = StopRequest(loop, open_log(LogSection(), node="alpha-1", stream=stream))
        loop.set_exception_handler(stop.on_loop_error)
        act(loop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await stop.asked.wait()
        return stop

    return uvloop.run(scenario()), [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    raise ValueError("a bug")


@pytest.mark.parametrize(
    "act",
    [
        lambda loop: loop.call_soon(fail),
        lambda loop: loop.call_later(0.001, fail),
        lambda loop: loop.call_soon_threadsafe(fail),
    ],
)
def test_a_bug_in_a_callback_stops_the_node_and_is_logged_with_its_traceback(
    act: Callable[[asyncio.AbstractEventLoop], None],
) -> None:
    """Going on with half a turn done would be going on with an unknown state."""
    stop, lines = run(act)
    assert stop.reason == StopReason("internal", "ValueError('a bug')")
    assert lines[0]["event"] == "callback_failed"
    assert "in fail" in lines[0]["exception"]


def test_a_task_that_must_not_end_hands_its_error_to_the_loop() -> None:
    """Links and servers run in tasks, whose errors nobody awaits while the node runs."""

    def act(loop: asyncio.AbstractEventLoop) -> None:
        async def broken() -> None:
            fail()

        loop.create_task(broken()).add_done_callback(raise_what_it_raised)

    stop, _ = run(act)
    assert stop.reason is not None
    assert stop.reason.word == "internal"


def test_an_error_of_a_connection_is_logged_and_the_node_goes_on() -> None:
    """What asyncio reports of a transport has no handle."""
    stop, lines = run(
        lambda loop: loop.call_exception_handler({"message": "lost", "exception": ConnectionError("reset")})
    )
    assert not stop.asked.is_set()
    assert (lines[0]["event"], lines[0]["level"]) == ("connection_error", "warning")


def test_the_first_reason_counts() -> None:
    """What follows from the first is not what the operator must know."""

    def act(loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(fail)
        loop.call_soon(lambda: None)

    stop, _ = run(act)
    stop.itself(StopReason("fork", "later"))
    assert stop.reason is not None
    assert stop.reason.word == "internal"
