"""What a soak keeps of its payments and minutes, and the verdict on it.

All that grows with the run is laid out at its start, so that the load doesn't grow beside the nodes that it
watches: 8 bytes a payment, and 8 a request. Pure; it must not know networks, clocks or processes.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

from cli.bench.measure import Latency, latency
from ledger.outcome import Outcome
from wallet.answers import Answer

COMPARED_MINUTES = 2
"""Memory is the mean of so many minutes, so that no single sample decides."""
APART_MINUTES = 10
"""So far apart are the ends of the two stretches that are compared."""
MOST_GROWTH = 0.02
"""A node's memory must have grown by less."""
MOST_P99_RATIO = 1.5
"""p99 is steady if that of the last third is at most so many times that of the third before it."""
BACKLOG_MS = 1_000
"""Where half of the last minute's payments wait as long, the nodes don't keep up. A backlog that grows from
the start makes the last third's p99 about 1.5 times that before it, so steadiness alone doesn't show it.
"""
INDEX_BITS = 16
"""Kept places are one number each: the height, then the index in so many bits."""


def place_number(height: int, index: int) -> int:
    """A place as the book keeps it; never 0, for there is no height 0."""
    return height << INDEX_BITS | index


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a soak is: `minutes` windows of `requests` each (all due at the same distance), of `batch`
    payments.
    """

    minutes: int
    requests: int
    batch: int

    @property
    def payments(self) -> int:
        """Of the whole run."""
        return self.minutes * self.requests * self.batch


class Book:
    """What was answered, by request and payment, both counted from 0. A minute is that in which a request was
    due.
    """

    def __init__(self, shape: Shape) -> None:
        """Nothing answered yet."""
        self.shape = shape
        self.places = array("Q", bytes(8 * shape.payments))
        """Where each executed payment stands; 0 where none was told."""
        self.others: Counter[str] = Counter()
        """What became of payments that were not executed, in few words."""
        self._waits_ms = array("d", bytes(8 * shape.minutes * shape.requests))
        self._late_ms = array("d", bytes(8 * shape.minutes))
        self._executed = [0] * shape.minutes
        self._open = [shape.requests] * shape.minutes
        self._complete = [asyncio.Event() for _ in range(shape.minutes)]

    def answered(self, request: int, late_ms: float, wait_ms: float, answers: Sequence[Answer]) -> None:
        """Keep a request's answers: it left `late_ms` after it was due, and was answered after `wait_ms`."""
        minute = request // self.shape.requests
        self._waits_ms[request] = wait_ms
        self._late_ms[minute] = max(self._late_ms[minute], late_ms)
        for payment, answer in enumerate(answers, request * self.shape.batch):
            if answer.outcome is None or answer.height is None or answer.index is None:
                self.others[answer.status if answer.outcome is None else answer.outcome.name] += 1
            elif answer.outcome.number != Outcome.EXECUTED:
                self.others[answer.outcome.name] += 1
            else:
                self.places[payment] = place_number(answer.height, answer.index)
                self._executed[minute] += 1
        self._open[minute] -= 1
        if not self._open[minute]:
            self._complete[minute].set()

    async def complete(self, minute: int) -> None:
        """Return once every request of a minute has been answered."""
        await self._complete[minute].wait()

    @property
    def executed(self) -> int:
        """Payments that were told to be executed."""
        return sum(self._executed)

    def executed_in(self, minute: int) -> int:
        """Those that were due in a minute."""
        return self._executed[minute]

    def late_ms(self, minute: int) -> float:
        """The latest that a request of a minute left: the load's own part of its waiting."""
        return self._late_ms[minute]

    def latency(self, first: int, minutes: int = 1) -> Latency:
        """Of all payments due in these minutes: those of one request wait alike."""
        size = self.shape.requests
        return latency(self._waits_ms[first * size : (first + minutes) * size])

    def thirds(self) -> tuple[Latency, Latency] | None:
        """Of the middle third of the minutes and of the last, which is as long; None for fewer than three."""
        third = self.shape.minutes // 3
        if not third:
            return None
        last = self.shape.minutes - third
        return self.latency(last - third, third), self.latency(last, third)


@dataclass(frozen=True, slots=True)
class Minute:
    """What one minute showed, `number` counted from 1. Memory by process is the mean of its samples, stores
    are as large as at its end; all in bytes.

    `anonymous` is what of the memory (`rss`) isn't pages of files, which the kernel takes back when it needs
    them.
    """

    number: int
    payments: int
    latency: Latency
    late_ms: float
    rss: Mapping[str, float]
    anonymous: Mapping[str, float]
    stores: Mapping[str, int]


class StoreSays(NamedTuple):
    """What a stopped node's store has: a hash of chain and state at the height of rest, payments where their
    payers were told (`right`), acknowledged ones that stand elsewhere (`wrong`), and payments executed that
    nobody was told of (`untold`). `total` is the sum of all balances, `issued` what the issuer has given out.
    """

    state: str
    right: int
    wrong: int
    untold: int
    total: int
    issued: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What was found after the load: heights that the running nodes told once they were at rest, exit codes,
    stores (all by node), and what should have been issued in minor units.
    """

    heights: Mapping[str, int]
    codes: Mapping[str, int]
    stores: Mapping[str, StoreSays]
    issued: int


class Check(NamedTuple):
    """One thing that must hold; `holds` is None where the run was too short to judge it."""

    name: str
    holds: bool | None
    said: str


def growth(memory: Sequence[float]) -> float | None:
    """By what share memory has grown over the last ten minutes, given its means by minute.

    The mean of the last two minutes against the mean of the two that ended ten minutes before them; None for
    fewer than the twelve minutes that this takes.
    """
    if len(memory) < COMPARED_MINUTES + APART_MINUTES:
        return None
    before = memory[-COMPARED_MINUTES - APART_MINUTES : -APART_MINUTES]
    return mean(memory[-COMPARED_MINUTES:]) / mean(before) - 1


def judge(book: Book, minutes: Sequence[Minute], ending: Ending) -> list[Check]:
    """Everything that must hold of a soak, in the order in which it is told."""
    return [
        *(_memory(node, [minute.rss[node] for minute in minutes]) for node in ending.heights),
        _steady(book.thirds()),
        _no_backlog(book.latency(book.shape.minutes - 1)),
        _payments(book),
        _heights(ending.heights),
        Check("nodes stopped well", not any(ending.codes.values()), f"exit codes {_by_node(ending.codes)}"),
        *(_chain(node, store, book.executed) for node, store in ending.stores.items()),
        _same({node: store.state for node, store in ending.stores.items()}),
        *(_balances(node, store, ending.issued) for node, store in ending.stores.items()),
    ]


def verdict(checks: Sequence[Check]) -> str:
    """`failed` where anything doesn't hold; else `not judged` where something couldn't be; else `passed`."""
    if any(check.holds is False for check in checks):
        return "failed"
    return "not judged" if any(check.holds is None for check in checks) else "passed"


def _memory(node: str, memory: Sequence[float]) -> Check:
    name, grown = f"memory of {node}", growth(memory)
    if grown is None:
        return Check(
            name, None, f"takes {COMPARED_MINUTES + APART_MINUTES} minutes, there were {len(memory)}"
        )
    said = f"{grown:+.2%} in the last {APART_MINUTES} minutes (must be below {MOST_GROWTH:.0%})"
    return Check(name, grown < MOST_GROWTH, said)


def _steady(thirds: tuple[Latency, Latency] | None) -> Check:
    if thirds is None:
        return Check("p99 steady", None, "takes 3 minutes")
    middle, last = thirds
    ratio = last.p99_ms / middle.p99_ms
    said = (
        f"{last.p99_ms:,.0f} ms in the last third, {middle.p99_ms:,.0f} ms in the third before: "
        f"{ratio:.2f} times (at most {MOST_P99_RATIO})"
    )
    return Check("p99 steady", ratio <= MOST_P99_RATIO, said)


def _no_backlog(last: Latency) -> Check:
    said = f"p50 of the last minute {last.p50_ms:,.0f} ms (must be below {BACKLOG_MS:,} ms)"
    return Check("no backlog", last.p50_ms < BACKLOG_MS, said)


def _payments(book: Book) -> Check:
    said = f"{book.executed:,} of {book.shape.payments:,}"
    others = ", ".join(f"{count:,} {words}" for words, count in sorted(book.others.items()))
    executed_all = book.executed == book.shape.payments
    return Check("payments executed", executed_all, f"{said}; {others}" if others else said)


def _heights(heights: Mapping[str, int]) -> Check:
    return Check("heights equal", len(set(heights.values())) == 1, _by_node(heights))


def _chain(node: str, store: StoreSays, acknowledged: int) -> Check:
    lost = acknowledged - store.right - store.wrong
    said = (
        f"{store.right:,} of {acknowledged:,} acknowledged payments where their payers were told, "
        f"{store.wrong:,} elsewhere, {lost:,} lost; {store.untold:,} that nobody was told of"
    )
    return Check(f"chain of {node}", store.right == acknowledged and not store.wrong, said)


def _same(states: Mapping[str, str]) -> Check:
    said = ", ".join(f"{node} {state[:16]}" for node, state in states.items())
    return Check("chains and states equal", len(set(states.values())) == 1, said)


def _balances(node: str, store: StoreSays, issued: int) -> Check:
    said = f"sum {store.total:,}, issued {store.issued:,} of {issued:,}"
    return Check(f"balances of {node}", store.total == 0 and store.issued == issued, said)


def _by_node(values: Mapping[str, int]) -> str:
    return ", ".join(f"{node} {value:,}" for node, value in values.items())
