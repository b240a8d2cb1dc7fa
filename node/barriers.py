"""Linearizable reads: confirmed by a ReadIndex round, then held until what was confirmed is executed (thesis
6.4).

It must not know what is read. All reads asked for in one turn share one round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from consensus.errors import ConsensusError
from consensus.messages import ReadState

MAX_BARRIERS = 10_000
"""Reads waiting at a time; over it they are told at once that they can't be confirmed."""

Done: TypeAlias = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    done: Done
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class _Round:
    waiting: list[_Waiting]
    asked_ms: int


class Barriers:
    """Reads that wait: to be asked for, for their round, or for execution."""

    def __init__(self, boot: bytes, ask: Callable[[bytes], None], timeout_ms: int) -> None:
        """`ask` starts a round for a context (it may raise ConsensusError); `timeout_ms` bounds each read."""
        self._boot = boot
        self._ask = ask
        self._timeout_ms = timeout_ms
        self._number = 0
        self._new: list[_Waiting] = []
        self._rounds: dict[bytes, _Round] = {}
        self._confirmed: list[tuple[int, _Waiting]] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._new) + len(self._confirmed) + sum(len(r.waiting) for r in self._rounds.values())

    def add(self, done: Done, now_ms: int) -> None:
        """A read that begins now."""
        if len(self) >= MAX_BARRIERS:
            done(False)
        else:
            self._new.append(_Waiting(done, now_ms + self._timeout_ms))

    def flush(self, now_ms: int) -> None:
        """Ask for one round for the new reads, if there is a leader to ask."""
        if not self._new:
            return
        self._number += 1
        context = self._boot + self._number.to_bytes(8, "big")
        try:
            self._ask(context)
        except ConsensusError:
            return  # Nobody to ask now: they are asked for again with each tick until their deadline.
        self._rounds[context] = _Round(self._new, now_ms)
        self._new = []

    def confirm(self, read: ReadState, executed: int) -> None:
        """A round's answer: its reads may go once `read.index` is executed."""
        confirmed = self._rounds.pop(read.context, None)
        if confirmed is not None:
            self._confirmed.extend((read.index, waiting) for waiting in confirmed.waiting)
            self.execute(executed)

    def execute(self, executed: int) -> None:
        """This height is executed."""
        ready = [waiting for index, waiting in self._confirmed if index <= executed]
        if ready:
            self._confirmed = [(index, waiting) for index, waiting in self._confirmed if index > executed]
            for waiting in ready:
                waiting.done(True)

    def tick(self, now_ms: int) -> None:
        """Ask again for rounds that got no answer in half the time; give up what is past its deadline."""
        for context, asked in list(self._rounds.items()):
            if now_ms - asked.asked_ms >= self._timeout_ms // 2:
                del self._rounds[context]
                self._new.extend(asked.waiting)
        late = [waiting for waiting in self._new if waiting.deadline_ms <= now_ms]
        late += [waiting for _, waiting in self._confirmed if waiting.deadline_ms <= now_ms]
        self._new = [waiting for waiting in self._new if waiting.deadline_ms > now_ms]
        self._confirmed = [item for item in self._confirmed if item[1].deadline_ms > now_ms]
        for waiting in late:
            waiting.done(False)
