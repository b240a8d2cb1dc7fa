"""Threads beside the loop: order, delivery on the loop, and failures that are handed on."""

from __future__ import annotations

import asyncio
import threading

from node.workers import Completions, LoopTimers, ThreadWorker


async def _results(jobs: int) -> tuple[list[int], set[str], list[float]]:
    """Run jobs on one worker; give results in order of arrival, the threads they ran on, and their times."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    worker = ThreadWorker("test", Completions(loop), times.append)
    finished = loop.create_future()
    results: list[int] = []
    threads: set[str] = set()

    def done(result: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        results.append(result)
        if len(results) == jobs:
            finished.set_result(None)

    def job(number: int) -> int:
        threads.add(threading.current_thread().name)
        return number

    for number in range(jobs):
        worker.submit(lambda number=number: job(number), done, finished.set_exception)  # type: ignore[misc]  # default binds
    await finished
    worker.close()
    return results, threads, times


def test_jobs_of_one_worker_run_and_finish_in_order_on_one_thread() -> None:
    """The disk depends on it: batches are written in the order in which they were given."""
    results, threads, times = asyncio.run(_results(500))
    assert results == list(range(500))
    assert threads == {"test_0"}
    assert len(times) == 500


def test_a_job_that_fails_reaches_failed_on_the_loop_and_not_done() -> None:
    """What a job raised is handed on as it was."""

    async def scenario() -> tuple[BaseException, bool]:
        loop = asyncio.get_running_loop()
        worker = ThreadWorker("test", Completions(loop), lambda _: None)
        failure: asyncio.Future[BaseException] = loop.create_future()
        called: list[int] = []

        def job() -> int:
            raise OSError("the disk is full")

        worker.submit(job, called.append, failure.set_result)
        error = await failure
        worker.close()
        return error, bool(called)

    error, done_called = asyncio.run(scenario())
    assert isinstance(error, OSError)
    assert not done_called


def test_completions_that_come_after_closing_are_dropped() -> None:
    """A job that ends while the node goes down must not call back into a driver that is gone."""

    async def scenario() -> list[int]:
        completions = Completions(asyncio.get_running_loop())
        called: list[int] = []
        completions.post(lambda: called.append(1))
        completions.close()
        completions.post(lambda: called.append(2))
        await asyncio.sleep(0)
        return called

    assert asyncio.run(scenario()) == []


def test_timers_call_once_and_can_be_called_off() -> None:
    """A cancelled call doesn't come; a later one does."""

    async def scenario() -> list[str]:
        timers = LoopTimers(asyncio.get_running_loop())
        called: list[str] = []
        finished = asyncio.get_running_loop().create_future()
        timers.call_later(1, lambda: called.append("cancelled")).cancel()
        timers.call_soon(lambda: called.append("soon"))
        timers.call_later(5, lambda: finished.set_result(None))
        await finished
        return called

    assert asyncio.run(scenario()) == ["soon"]
