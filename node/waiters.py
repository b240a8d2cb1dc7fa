"""Who waits for the end of which submission, and telling them each stage once.

It must not know the pool, the store or HTTP.
"""

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from node.results import Stage, SubmitResult

MAX_WAITING = 100_000
"""Submissions waited for at a time, over all stages."""

Report: TypeAlias = Callable[[SubmitResult], None]


class Waiters:
    """Submissions by signing hash until they are executed, then by height until they are certified."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        """Nobody waits; at most `limit` may."""
        self._limit = limit
        self._open: dict[bytes, list[Report]] = {}
        self._executed: dict[int, list[tuple[Report, SubmitResult]]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether nobody more may wait."""
        return self._count >= self._limit

    def add(self, signing_hash: bytes, report: Report) -> None:
        """`report` is to hear of this content."""
        self._open.setdefault(signing_hash, []).append(report)
        self._count += 1

    def is_waited_for(self, signing_hash: bytes) -> bool:
        """Whether anybody waits for this content."""
        return signing_hash in self._open

    def waited_for(self) -> tuple[bytes, ...]:
        """The contents that somebody waits for to be executed."""
        return tuple(self._open)

    def refuse(self, signing_hash: bytes, result: SubmitResult) -> None:
        """It ends here: all who wait for it hear so."""
        for report in self._take(signing_hash):
            report(result)

    def execute(self, signing_hash: bytes, result: SubmitResult, certified_height: int) -> None:
        """It was executed: all who wait for it hear so, and of its certificate once there is one."""
        for report in self._take(signing_hash):
            self.tell_executed(report, result, certified_height)

    def tell_executed(self, report: Report, result: SubmitResult, certified_height: int) -> None:
        """Tell one of an executed submission, and of its certificate now or later."""
        report(result)
        if result.height <= certified_height:
            report(replace(result, stage=Stage.CERTIFIED))
        else:
            self._executed.setdefault(result.height, []).append((report, result))
            self._count += 1

    def certify(self, height: int) -> None:
        """Everything up to `height` is certified."""
        for done in [waiting for waiting in self._executed if waiting <= height]:
            reports = self._executed.pop(done)
            self._count -= len(reports)
            for report, result in reports:
                report(replace(result, stage=Stage.CERTIFIED))

    def _take(self, signing_hash: bytes) -> list[Report]:
        reports = self._open.pop(signing_hash, [])
        self._count -= len(reports)
        return reports
