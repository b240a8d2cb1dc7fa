"""The threads and timers of a simulated process, as events.

It must not know what their jobs do.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Crashed(BaseException):
    """The process ends here; nothing of it runs on."""


class Process(Protocol):
    """Whose threads they are."""

    def later(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Something this process does later, if it still runs then."""
        ...

    def heard(self, action: Callable[[], None]) -> None:
        """The loop hears of something that another thread did, a moment later."""
        ...

    def point(self, where: str) -> None:
        """A place where processes end."""
        ...


class SimulatedTimer:
    """A call asked for; see node.ports.TimerHandle."""

    def __init__(self, callback: Callable[[], None]) -> None:
        """Not due yet."""
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """See node.ports.TimerHandle."""
        self._callback = None

    def fire(self) -> None:
        """It is due."""
        if self._callback is not None:
            self._callback()


class SimulatedWorker:
    """A thread: a job runs some time after the one before, and its end is heard of later still."""

    def __init__(self, process: Process, takes_ms: Callable[[], float]) -> None:
        """Without a job; `takes_ms` draws how long each takes."""
        self._process = process
        self._takes_ms = takes_ms
        self._jobs: deque[Callable[[], None]] = deque()
        self._busy = False

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """See node.ports.Worker."""
        self._jobs.append(lambda: self._run(job, done, failed))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._jobs)
        if self._jobs:
            job = self._jobs.popleft()
            self._process.later(self._takes_ms(), job)

    def _run(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        try:
            result = job()
        except (Crashed, AssertionError):
            raise
        except BaseException as error:  # noqa: BLE001 - a worker hands over whatever its job raised
            problem = error
            self._process.later(0.1, lambda: failed(problem))
        else:
            self._process.point("after a job")
            self._process.heard(lambda: done(result))
        self._next()
