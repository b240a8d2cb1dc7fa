"""Kills the leader of a real network again and again under load, and checks that nothing acknowledged was
lost.

python -m tests.campaigns.kills --kills 50 --seed 1

Payers pay without pause through a client of all nodes. After a random number of acknowledged payments the
leader gets SIGKILL; once the others lead it is started again. At the end every node must give every payment
the very answer that its submitter was given, and the balances must add up. Prints a JSON report; exit code 1
on a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cli.bench.measure import latency
from node.local import LocalNetwork, wait_until
from tests.integration.harness import Bank, Holder, Signed, funded, provision
from wallet.answers import Answer
from wallet.client import Client, Freshness

PAYERS = 12
LEAST_BETWEEN_KILLS, MOST_BETWEEN_KILLS = 20, 200
TIMEOUT_MS = 60_000
BATCH = 500
LEADER_TIMEOUT_S = 30.0
FUNDING = 10_000_000


@dataclass(slots=True)
class History:
    """Every payment that was answered, and the moment (seconds) of each answer."""

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


async def pay(
    bank: Bank, client: Client, pair: tuple[Holder, Holder], history: History, end: asyncio.Event
) -> None:
    """One payer: a payment at a time, each for one minor unit, until the end."""
    while not end.is_set():
        payment = bank.pay(*pair, 1)
        history.add(payment, await client.submit(payment.raw, timeout_ms=TIMEOUT_MS))


async def leader_of(bank: Bank) -> str:
    """The leader, once the nodes know of one."""
    found: list[str] = []

    async def known() -> bool:
        async with bank.client() as client:
            found[:] = [leader for leader in [(await client.cluster()).leader] if leader]
        return bool(found)

    await wait_until(known, LEADER_TIMEOUT_S, "a leader")
    return found[0]


async def kill_leader(local: LocalNetwork, bank: Bank, history: History) -> float:
    """One kill: the longest time without an answer after it, in seconds. The node runs again afterwards."""
    leader = await leader_of(bank)
    local.kill(leader)
    start = time.monotonic()
    await history.more(PAYERS + 1)
    moments = [start, *(moment for moment in history.moments if moment > start)]
    local.start([leader])
    await local.ready([leader])
    return max(later - earlier for earlier, later in pairwise(moments))


async def violations(bank: Bank, nodes: Sequence[str], history: History) -> list[str]:
    """What is wrong: an answer that isn't final, a place given twice, a node that says otherwise."""
    found = [f"{p.id_text}: {a.status}" for p, a in history.answered if a.height is None or a.index is None]
    settled = [(p, a) for p, a in history.answered if a.height is not None]
    places = Counter((answer.height, answer.index) for _, answer in settled)
    found += [f"{place} was given to {count} payments" for place, count in places.items() if count > 1]
    for node in nodes:
        async with bank.client(node) as client:
            for at in range(0, len(settled), BATCH):
                part = settled[at : at + BATCH]
                again = await client.submit_batch([p.raw for p, _ in part], timeout_ms=TIMEOUT_MS)
                found += [
                    f"{p.id_text}: {node} says {(b.height, b.index)}, "
                    f"its submitter was told {(a.height, a.index)}"
                    for (p, a), b in zip(part, again, strict=True)
                    if (b.height, b.index) != (a.height, a.index)
                ]
    return found


async def campaign(local: LocalNetwork, kills: int, seed: int) -> dict[str, object]:
    """All of it, on a network that runs."""
    bank, source = Bank(local.network), random.Random(seed)
    history, end = History(), asyncio.Event()
    async with bank.client(timeout_ms=TIMEOUT_MS) as client:
        debtor, creditor = await funded(bank, client, FUNDING), await funded(bank, client, 1)
        async with asyncio.TaskGroup() as group:
            for _ in range(PAYERS):
                group.create_task(pay(bank, client, (debtor, creditor), history, end))
            gaps = []
            for number in range(1, kills + 1):
                await history.more(source.randint(LEAST_BETWEEN_KILLS, MOST_BETWEEN_KILLS))
                gaps.append(await kill_leader(local, bank, history))
                print(f"kill {number}: {len(history.answered):,} payments, {gaps[-1]:.2f} s without one")
            end.set()
        wrong = await violations(bank, local.node_ids, history)
        account = await client.account(bank.address(creditor), Freshness(strong=True))
    expected = f"{(len(history.answered) + 1) / 100:.2f}"
    if account.balance != expected:
        wrong.append(f"the creditor has {account.balance}, not {expected}")
    return {
        "kills": kills,
        "seed": seed,
        "payments": len(history.answered),
        "attempts": sum(answer.attempts for _, answer in history.answered),
        "seconds_without_a_payment": {
            name: round(value / 1000, 3)
            for name, value in zip(
                ("p50", "p95", "p99", "max"), _percentiles([gap * 1000 for gap in gaps]), strict=True
            )
        },
        "violations": wrong,
    }


def _percentiles(samples_ms: Sequence[float]) -> tuple[float, float, float, float]:
    found = latency(samples_ms)
    return found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description="Kill the leader under load, again and again.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nostro-kills-") as folder,
        LocalNetwork(provision(Path(folder) / "net")) as local,
    ):
        local.start()
        asyncio.run(local.ready())
        report = asyncio.run(campaign(local, options.kills, options.seed))
    print(json.dumps(report, indent=2))
    raise SystemExit(1 if report["violations"] else 0)


if __name__ == "__main__":
    main()
