"""What the campaigns share: payers that pay without pause, the history of their answers, and its check.

It must not know what is done to the network meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from cli.bench.measure import latency
from tests.integration.harness import Bank, Holder, Signed, funded, outcome_of
from wallet.answers import Answer
from wallet.client import Client, Freshness

PAYERS = 12
TIMEOUT_MS = 60_000
BATCH = 500
FUNDING = 10_000_000
SETTLED = ("executed", "certified")


@dataclass(slots=True)
class History:
    """Every payment that was answered, and the moment (seconds, monotonic) of each answer."""

    answered: list[tuple[Signed, Answer]] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, payment: Signed, answer: Answer) -> None:
        """Keep an answer and wake who waits for one."""
        self.answered.append((payment, answer))
        self.moments.append(time.monotonic())
        self.news.set()

    async def more(self, count: int) -> None:
        """Return once that many more payments have been answered."""
        target = len(self.answered) + count
        while len(self.answered) < target:
            self.news.clear()
            await self.news.wait()

    def longest_gap_s(self, start: float, end: float) -> float:
        """The longest time without an answer from `start` to `end`, both counted as if they were answers."""
        moments = [start, *(moment for moment in self.moments if start < moment < end), end]
        return max(later - earlier for earlier, later in pairwise(moments))


@dataclass(slots=True)
class Load:
    """Payers at work: their bank, a client of all nodes, what was answered, and who is paid."""

    bank: Bank
    client: Client
    history: History
    creditor: Holder


@asynccontextmanager
async def paying(bank: Bank, payers: int = PAYERS) -> AsyncIterator[Load]:
    """Let so many pay, each a payment at a time and of one minor unit, until the block is left."""
    history, end = History(), asyncio.Event()
    async with bank.client(timeout_ms=TIMEOUT_MS) as client:
        debtor, creditor = await funded(bank, client, FUNDING), await funded(bank, client, 1)

        async def pay() -> None:
            while not end.is_set():
                payment = bank.pay(debtor, creditor, 1)
                history.add(payment, await client.submit(payment.raw, timeout_ms=TIMEOUT_MS))

        async with asyncio.TaskGroup() as group:
            for _ in range(payers):
                group.create_task(pay())
            yield Load(bank, client, history, creditor)
            end.set()


async def violations(load: Load, nodes: Sequence[str]) -> list[str]:
    """What is wrong at the end: not executed, places given twice, nodes that contradict, a balance."""
    answered = load.history.answered
    settled = [(p, a) for p, a in answered if _is_executed(a)]
    found = [f"{p.id_text} was not executed: {a}" for p, a in answered if not _is_executed(a)]
    places = Counter((answer.height, answer.index) for _, answer in settled)
    found += [f"{place} was given to {count} payments" for place, count in places.items() if count > 1]
    for node in nodes:
        found += await _contradictions(load.bank, node, settled)
    async with load.bank.client() as client:
        account = await client.account(load.bank.address(load.creditor), Freshness(strong=True))
    expected = f"{(len(answered) + 1) / 100:.2f}"
    if account.balance != expected:
        found.append(f"the creditor has {account.balance}, not {expected}")
    return found


def _is_executed(answer: Answer) -> bool:
    """Whether the chain executed it, and said where."""
    executed = answer.outcome is not None and answer.outcome.name == "executed"
    return executed and answer.status in SETTLED and None not in (answer.height, answer.index)


async def _contradictions(bank: Bank, node: str, settled: Sequence[tuple[Signed, Answer]]) -> list[str]:
    """Payments that a node gives another place or outcome than their submitters were told, or none yet."""
    found = []
    async with bank.client(node) as client:
        for at in range(0, len(settled), BATCH):
            part = settled[at : at + BATCH]
            again = await client.submit_batch([p.raw for p, _ in part], timeout_ms=TIMEOUT_MS)
            found += [
                f"{p.id_text}: {node} says {b.status} {outcome_of(b)}, its submitter was told {outcome_of(a)}"
                for (p, a), b in zip(part, again, strict=True)
                if b.status not in SETTLED or outcome_of(b) != outcome_of(a)
            ]
    return found


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in milliseconds."""
    found = latency([value * 1_000 for value in seconds])
    named = {"p50": found.p50_ms, "p95": found.p95_ms, "p99": found.p99_ms, "max": found.max_ms}
    return {name: round(value, 1) for name, value in named.items()}
