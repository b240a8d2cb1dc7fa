"""Asks the chain what earlier runs of a batch did whose journal is lost, before anything is signed anew.

It must not know how anything is signed or sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field
from math import ceil

from cli.settle.ending import Ending, find
from cli.settle.plan import Payment, Plan
from cli.settle.runner import Progress, Shown
from cli.settle.signing import Desk
from cli.settle.terms import Terms, told_terms
from cli.settle.unchanged import FileChanged, funding_difference, payment_difference
from ledger.keys import address
from wallet.client import Client, Freshness

PROBES = 32
"""How many of the first orders, and how many spread over the file, tell whether the batch was ever run. All
fundings are sent before the first payment, so a batch of which anything was paid has them all over the file.
"""
READS_IN_FLIGHT = 32

Compare = Callable[[Terms | None, Payment, Desk, int], str | None]
Look = Callable[[Payment], Awaitable["Past | None"]]


@dataclass(frozen=True, slots=True)
class Past:
    """What the chain has under an order's id: its ending, and what it did otherwise than the order says."""

    line: int
    tx_id: bytes
    ending: Ending
    change: str | None


@dataclass(slots=True)
class Recall:
    """Reads one batch's transactions as they stand at `height` or later."""

    client: Client
    desk: Desk
    network_name: str
    scale: int
    height: int
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_IN_FLIGHT))

    async def endings(self, plan: Plan, signed: Container[bytes], shown: Shown) -> dict[bytes, Ending]:
        """The endings, by id, of all that the chain has of a plan. None for a batch that was never run, nor
        for one of which fundings stand in the journal (`signed`).

        `shown` gives each stretch of reads its progress. Raises FileChanged for the first line that was
        something else.
        """
        payments = plan.payments
        if any(payment.funding_tx_id in signed for payment in payments):
            return {}
        with shown("Looking for an earlier run") as progress:
            if not await self._all(self._funding, _probes(payments), progress):
                return {}
        with shown(f"Reading {len(payments):,} earlier fundings") as progress:
            found = await self._all(self._funding, payments, progress)
        with shown(f"Reading {len(payments):,} earlier payments") as progress:
            found += await self._all(self._payment, payments, progress)
        changed = min(((past.line, past.change) for past in found if past.change is not None), default=None)
        if changed is not None:
            raise FileChanged(changed[0], plan.batch, changed[1])
        return {past.tx_id: past.ending for past in found}

    async def _all(self, look: Look, payments: Sequence[Payment], progress: Progress) -> list[Past]:
        done = 0

        async def one(payment: Payment) -> Past | None:
            nonlocal done
            async with self._slots:
                past = await look(payment)
            done += 1
            progress(done, len(payments))
            return past

        return [past for past in await asyncio.gather(*map(one, payments)) if past is not None]

    async def _funding(self, payment: Payment) -> Past | None:
        terms = self.desk.funding_terms(payment)
        return await self._past(payment, payment.funding_tx_id, terms.author, funding_difference)

    async def _payment(self, payment: Payment) -> Past | None:
        terms = self.desk.payment_terms(payment)
        return await self._past(payment, payment.tx_id, terms.author, payment_difference)

    async def _past(self, payment: Payment, tx_id: bytes, author: bytes, compare: Compare) -> Past | None:
        name = address(self.network_name, author)
        found = await find(self.client, tx_id, name, Freshness(min_height=self.height))
        if found is None:
            return None
        terms = told_terms(found.form, self.network_name, self.desk.asset, self.scale)
        change = compare(terms, payment, self.desk, self.scale)
        return Past(payment.order.line, tx_id, found.ending, change)


def _probes(payments: Sequence[Payment]) -> Sequence[Payment]:
    step = max(1, ceil(len(payments) / PROBES))
    return (*payments[:PROBES], *payments[PROBES::step])
