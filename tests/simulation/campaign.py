"""Many seeds in several processes, each result as it comes.

It must not know what a seed does, nor how results are shown or kept.
"""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import NamedTuple

from tests.simulation.report import SimulationFailure
from tests.simulation.results import Passed, passed
from tests.simulation.simulator import load

QUEUED_A_WORKER = 3
"""Seeds handed to the pool ahead for each worker: so few that an interrupt ends soon."""


class Task(NamedTuple):
    """One seed under one profile, of the simulator in this package."""

    package: str
    profile: str
    seed: int


class Failed(NamedTuple):
    """A seed under which something didn't hold, or broke."""

    task: Task
    what: str


def run_one(task: Task, trace: bool = False) -> Passed | Failed:
    """One seed in this process."""
    began = time.process_time()
    try:
        report = load(task.package).run(task.seed, task.profile, trace)
    except SimulationFailure as failure:
        return Failed(task, str(failure))
    return passed(report, time.process_time() - began)


def run_all(tasks: Iterable[Task], workers: int) -> Iterator[Passed | Failed]:
    """All tasks in `workers` processes, each result as it comes; closing the iterator ends them.

    Raises BrokenProcessPool if one of them is killed.
    """
    rest = iter(tasks)
    # Processes are spawned and not forked: the caller may have threads that draw on the screen.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _leave_interrupts)
    running: dict[Future[Passed | Failed], Task] = {}
    try:
        while True:
            for task in islice(rest, workers * QUEUED_A_WORKER - len(running)):
                running[pool.submit(run_one, task)] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield _result(running.pop(future), future)
    finally:
        pool.shutdown(cancel_futures=True)


def _result(task: Task, future: Future[Passed | Failed]) -> Passed | Failed:
    error = future.exception()
    if error is None or isinstance(error, BrokenProcessPool):
        return future.result()
    return Failed(task, f"seed {task.seed} ({task.profile}):\n{''.join(traceback.format_exception(error))}")


def _leave_interrupts() -> None:
    """Ctrl-C goes to every process of the terminal; the campaign's own decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
