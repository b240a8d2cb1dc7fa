"""What the clients did and were told: every payment and every read with the times of its call and answer.

Kept in memory for the checks and written to a file of JSON lines as it happens, so that a run that ends badly
leaves it behind. Times are seconds of one monotonic clock. It must not know how any of it is judged.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import msgspec

from tests.torture.linearizable import NEVER

Place = tuple[int, int]
"""Block height, and index in that block."""


class Fate(StrEnum):
    """What a payer was told of a payment."""

    EXECUTED = "executed"
    SHORT = "short"
    """The chain refused it, for the debtor had too little."""
    REFUSED = "refused"
    """A node refused it, and no attempt can have left it with another: it must never happen."""
    UNKNOWN = "unknown"
    """Nobody said; it may have happened, or happen yet."""


class Paid(msgspec.Struct, frozen=True, tag="payment"):
    """A payment between two of the accounts (by number), in minor units, and what its payer was told."""

    payer: str
    tx_id: str
    debtor: int
    creditor: int
    amount: int
    invoked_s: float
    returned_s: float
    fate: Fate
    place: Place | None = None


class Read(msgspec.Struct, frozen=True, tag="read"):
    """A linearizable read of one account at one node: its balance, as of a height, and its newest entry."""

    node: str
    account: int
    balance: int
    height: int
    last: Place | None
    invoked_s: float
    returned_s: float


class Violation(msgspec.Struct, frozen=True, tag="violation"):
    """A promise that was broken: which, how, and when it was seen (None: at the end)."""

    promise: str
    what: str
    at_s: float | None = None


class History:
    """Everything that was seen. Use it as a context manager: it owns the file."""

    def __init__(self, path: Path) -> None:
        """Begin an empty history in a new file."""
        self.payments: dict[str, Paid] = {}
        self.reads: list[Read] = []
        self.violations: list[Violation] = []
        self._moments: list[float] = []
        self._file = path.open("wb")

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def paid(self, payment: Paid) -> None:
        """Keep a payment; a later word about the same one replaces the earlier."""
        self.payments[payment.tx_id] = payment
        if payment.fate is Fate.EXECUTED:
            self._moments.append(payment.returned_s)
        self._write(payment)

    def read(self, reads: Iterable[Read]) -> None:
        """Keep reads that were made together."""
        for read in reads:
            self.reads.append(read)
            self._write(read)

    def violated(self, promise: str, what: str, at_s: float | None = None) -> None:
        """Keep a broken promise."""
        violation = Violation(promise, what, at_s)
        self.violations.append(violation)
        self._write(violation)

    def with_fate(self, fate: Fate) -> list[Paid]:
        """All payments with that fate."""
        return [payment for payment in self.payments.values() if payment.fate is fate]

    def executed_between(self, start_s: float, end_s: float) -> int:
        """How many payments were acknowledged in that time."""
        return bisect_right(self._moments, end_s) - bisect_left(self._moments, start_s)

    def longest_silence_s(self, start_s: float, end_s: float) -> float:
        """The longest time in between without an acknowledged payment."""
        found = self._moments[bisect_left(self._moments, start_s) : bisect_right(self._moments, end_s)]
        edges = [start_s, *found, end_s]
        return max(later - earlier for earlier, later in pairwise(edges))

    def _write(self, record: Paid | Read | Violation) -> None:
        self._file.write(msgspec.json.encode(record) + b"\n")


def settled(payment: Paid, fate: Fate, place: Place) -> Paid:
    """The payment as a store has it whose payer was never told: it took place at any time since its call."""
    return msgspec.structs.replace(payment, fate=fate, place=place, returned_s=NEVER)
