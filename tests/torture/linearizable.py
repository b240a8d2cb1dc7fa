"""Whether what clients saw of one account can have happened in one order: a search after Wing and Gong.

Steps that were over before another began come first; the others may stand in any order. The search tries
the order of the chain first (`rank`), so that it is linear where the chain kept its promise, and searches on
where that order fits nothing. Sources: Wing and Gong, *Testing and Verifying Concurrent Objects* (1993);
Lowe, *Testing for linearizability* (2017), for remembering what was searched. It must not know clients or
nodes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

MOST_CONFIGURATIONS = 1_000_000
"""A search that has seen so many without an end says that it could not decide."""

NEVER = math.inf
"""When a step returns of whose end nobody was told."""


class What(Enum):
    """What a step does to a balance, or learns of it. A balance never goes below zero."""

    CREDIT = "credit"
    DEBIT = "debit"
    SHORT = "short"
    """A debit that was refused because the balance was smaller."""
    READ = "read"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on the account, from its call to its answer (seconds of one clock).

    `amount` is in minor units; for a read it is the balance. `rank` is where the chain says that it stands. A
    step that is not `certain` may also never have happened.
    """

    what: What
    amount: int
    invoked_s: float
    returned_s: float
    certain: bool = True
    rank: tuple[float, float] = (math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the search found: `linearizable` is None where it gave up, `stuck` the step that fits nowhere."""

    linearizable: bool | None
    configurations: int
    stuck: Step | None = None
    balances: tuple[int, ...] = ()
    """The balances that were possible where the search got stuck."""


def after(balance: int, step: Step) -> int | None:
    """The balance after a step that takes place now; None where it can't."""
    match step.what:
        case What.CREDIT:
            return balance + step.amount
        case What.DEBIT:
            return balance - step.amount if balance >= step.amount else None
        case What.SHORT:
            return balance if balance < step.amount else None
        case What.READ:
            return balance if balance == step.amount else None


def check(steps: Sequence[Step], initial: int, most: int = MOST_CONFIGURATIONS) -> Verdict:
    """Search an order of these steps on an account that began with `initial`.

    A configuration is the number of leading returns that are placed, the steps placed beyond them, and the
    balance; each is entered once.
    """
    certain = sorted((s for s in steps if s.certain), key=lambda step: step.returned_s)
    windows = _windows(certain, [step for step in steps if not step.certain])
    start: Configuration = (0, frozenset(), initial)
    if not certain:
        return Verdict(True, 0)
    seen = {start}
    path = [_moves(start, certain, windows)]
    farthest = 0
    while path and len(seen) <= most:
        move = next(path[-1], None)
        if move is None:
            path.pop()
        elif move not in seen:
            if move[0] == len(certain):
                return Verdict(True, len(seen))
            seen.add(move)
            farthest = max(farthest, move[0])
            path.append(_moves(move, certain, windows))
    balances = tuple(sorted({balance for placed, _, balance in seen if placed == farthest}))
    return Verdict(None if path else False, len(seen), certain[farthest], balances)


Configuration = tuple[int, frozenset[int], int]
Window = tuple[tuple[int, Step], ...]


def _windows(certain: Sequence[Step], uncertain: Sequence[Step]) -> list[Window]:
    """For each number of leading returns placed: who may come next, the chain's order first.

    Everything that was called before the next return: it alone bounds what may stand before it.
    """
    numbered = list(enumerate([*certain, *uncertain]))
    by_call = sorted(numbered, key=lambda item: item[1].invoked_s)
    calls = [step.invoked_s for _, step in by_call]
    windows: list[Window] = []
    open_steps: dict[int, Step] = {}
    called = 0
    for placed, step in enumerate(certain):
        reach = bisect_right(calls, step.returned_s)
        open_steps.update(by_call[called:reach])
        called = max(called, reach)
        windows.append(tuple(sorted(open_steps.items(), key=lambda item: item[1].rank)))
        del open_steps[placed]
    return windows


def _moves(
    configuration: Configuration, certain: Sequence[Step], windows: Sequence[Window]
) -> Iterator[Configuration]:
    """Every configuration that one more step leads to."""
    placed, ahead, balance = configuration
    for number, step in windows[placed]:
        if number in ahead:
            continue
        moved = after(balance, step)
        if moved is not None:
            yield _advanced(placed, ahead | {number}, moved, len(certain))


def _advanced(placed: int, ahead: frozenset[int], balance: int, returns: int) -> Configuration:
    while placed < returns and placed in ahead:
        ahead -= {placed}
        placed += 1
    return placed, ahead, balance
