"""Carries a plan out on a network: signs, journals, submits, and keeps what became of every order.

Three phases, each ended before the next begins: accounts, fundings, payments. It must not know the command
line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from cli.settle.ending import BY_CHAIN, Ending, answered, find
from cli.settle.journal import Journal
from cli.settle.plan import Customer, Payment, Plan
from cli.settle.signing import Desk
from cli.settle.terms import Terms, told_terms
from ledger.keys import address
from ledger.outcome import Outcome
from wallet.answers import Answer
from wallet.client import Client

CHUNK_ENVELOPES = 250
CHUNKS_IN_FLIGHT = 4
SUBMIT_TIMEOUT_MS = 60_000

Progress = Callable[[int, int], None]
Shown = Callable[[str], AbstractContextManager[Progress]]
Endings = dict[bytes, Ending]


@dataclass(frozen=True, slots=True)
class Item:
    """One transaction to be carried out.

    `author` is an address or a member's id; `sign` makes its envelope; `matches` says whether a transaction
    that the chain already has under this id, in its JSON form, does the same.
    """

    tx_id: bytes
    author: str
    sign: Callable[[], bytes]
    matches: Callable[[Mapping[str, Any]], bool]


@dataclass(slots=True)
class Runner:
    """Carries items out on one network: `network_name` begins its addresses, `scale` is the asset's."""

    client: Client
    journal: Journal
    desk: Desk
    network_name: str
    scale: int
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHUNKS_IN_FLIGHT))

    async def open_accounts(self, customers: Sequence[Customer], progress: Progress) -> Endings:
        """Open every customer's account that isn't open."""
        return await self._carry_out([self._opening(customer) for customer in customers], progress)

    async def fund(self, payments: Sequence[Payment], progress: Progress) -> Endings:
        """Pay the payer of every order, out of issuance, what the order comes to."""
        return await self._carry_out([self._funding(payment) for payment in payments], progress)

    async def pay(self, payments: Sequence[Payment], progress: Progress) -> Endings:
        """Pay every order."""
        return await self._carry_out([self._payment(payment) for payment in payments], progress)

    def _opening(self, customer: Customer) -> Item:
        return Item(
            customer.opening_tx_id,
            customer.bank,
            lambda: self.desk.opening(customer),
            lambda form: form["kind"] == "open_account" and form["body"]["asset"] == self.desk.asset,
        )

    def _funding(self, payment: Payment) -> Item:
        terms = self.desk.funding_terms(payment)
        return self._transfer(payment.funding_tx_id, terms, lambda: self.desk.funding(payment))

    def _payment(self, payment: Payment) -> Item:
        terms = self.desk.payment_terms(payment)
        return self._transfer(payment.tx_id, terms, lambda: self.desk.payment(payment))

    def _transfer(self, tx_id: bytes, terms: Terms, sign: Callable[[], bytes]) -> Item:
        def matches(form: Mapping[str, Any]) -> bool:
            return told_terms(form, self.network_name, self.desk.asset, self.scale) == terms

        return Item(tx_id, address(self.network_name, terms.author), sign, matches)

    async def _carry_out(self, items: Sequence[Item], progress: Progress) -> Endings:
        endings: Endings = {}
        done = 0

        async def chunk(start: int) -> None:
            nonlocal done
            part = items[start : start + CHUNK_ENVELOPES]
            async with self._slots:
                endings.update(zip((item.tx_id for item in part), await self._chunk(part), strict=True))
            done += len(part)
            progress(done, len(items))

        progress(0, len(items))
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(items), CHUNK_ENVELOPES):
                group.create_task(chunk(start))
        return endings

    async def _chunk(self, items: Sequence[Item]) -> list[Ending]:
        endings = await self._submit(items)
        expired = [place for place, ending in enumerate(endings) if ending.outcome is Outcome.EXPIRED]
        if expired:
            again = [items[place] for place in expired]
            self._sign(again)
            for place, ending in zip(expired, await self._submit(again), strict=True):
                endings[place] = ending
        return endings

    async def _submit(self, items: Sequence[Item]) -> list[Ending]:
        self._sign([item for item in items if item.tx_id not in self.journal.envelopes])
        envelopes = [self.journal.envelopes[item.tx_id] for item in items]
        answers = await self.client.submit_batch(envelopes, "executed", SUBMIT_TIMEOUT_MS)
        return [await self._ending(item, answer) for item, answer in zip(items, answers, strict=True)]

    def _sign(self, items: Sequence[Item]) -> None:
        """Signs items anew and has their bytes on the disk before anything is sent."""
        self.journal.append((item.tx_id, item.sign()) for item in items)

    async def _ending(self, item: Item, answer: Answer) -> Ending:
        ending = answered(answer)
        if ending.outcome is Outcome.ID_USED_WITH_OTHER_CONTENT:
            return await self._earlier(item, ending)
        return ending

    async def _earlier(self, item: Item, refusal: Ending) -> Ending:
        """The id is taken by other signed bytes: perhaps the same transaction, its journal lost since."""
        found = await find(self.client, item.tx_id, item.author)
        if found is None:
            return Ending(None, "Other bytes with this id are on their way.")
        if not item.matches(found.form):
            return replace(refusal, decided_by=BY_CHAIN, height=found.ending.height)
        return found.ending


@dataclass(frozen=True, slots=True)
class Carried:
    """How a plan went: the endings, by id, of what was sent or found; the network's height before that."""

    plan: Plan
    start_height: int
    endings: Mapping[bytes, Ending]
    seconds: float


async def carry_out(runner: Runner, plan: Plan, endings: Endings, shown: Shown) -> None:
    """Sends what `endings` doesn't have yet, in three phases, each for what the one before made ready.

    An order whose accounts aren't open isn't funded, and one that isn't funded isn't paid.
    """

    def executed(*tx_ids: bytes) -> bool:
        return all(tx_id in endings and endings[tx_id].executed for tx_id in tx_ids)

    with shown(f"Opening {len(plan.customers):,} accounts") as progress:
        endings.update(await runner.open_accounts(plan.customers, progress))
    orders = [p for p in plan.payments if executed(p.payer.opening_tx_id, p.payee.opening_tx_id)]
    fundings = [payment for payment in orders if payment.funding_tx_id not in endings]
    with shown(f"Funding {len(fundings):,} orders") as progress:
        endings.update(await runner.fund(fundings, progress))
    payments = [p for p in orders if executed(p.funding_tx_id) and p.tx_id not in endings]
    with shown(f"Paying {len(payments):,} orders") as progress:
        endings.update(await runner.pay(payments, progress))
