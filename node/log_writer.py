"""Readys brought to the disk in order, as many in one sync as have gathered while the last one ran.

It must not know Raft's rules, only that what a Ready's durable messages promise must be synced before they
leave.
"""

from collections.abc import Callable

from consensus.ready import Ready
from node.ports import Worker
from node.store import LogWrite, Store


class LogWriter:
    """The queue before the disk worker's log writes."""

    def __init__(
        self,
        store: Store,
        worker: Worker,
        synced: Callable[[Ready], None],
        group_done: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`synced` is told of each Ready, in order; `group_done` once after each sync; `failed` what
        broke.
        """
        self._store = store
        self._worker = worker
        self._synced = synced
        self._group_done = group_done
        self._failed = failed
        self._queue: list[Ready] = []
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether everything is synced."""
        return not self._busy and not self._queue

    def write(self, ready: Ready) -> None:
        """Persist this Ready after those before it; one with nothing to persist is through once they are."""
        if self.idle and not ready.must_sync:
            self._synced(ready)
            return
        self._queue.append(ready)
        self._next()

    def _next(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        group, self._queue = self._queue, []
        writes = [LogWrite(ready.hard_state, ready.entries) for ready in group if ready.must_sync]
        self._worker.submit(
            lambda: self._store.write_log(writes), lambda _: self._finished(group), self._failed
        )

    def _finished(self, group: list[Ready]) -> None:
        self._busy = False
        self._next()
        for ready in group:
            self._synced(ready)
        self._group_done()
