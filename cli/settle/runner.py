"""Carries a plan out on a network: signs, journals, submits, and keeps what became of every order.

Three phases, each ended before the next begins: accounts, funding, payments. It must not know the command
line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.settle.journal import Journal
from cli.settle.plan import Customer, Funding, Payment, Plan
from cli.settle.signing import Desk
from ledger.amounts import format_amount
from ledger.keys import address
from ledger.outcome import Outcome
from wallet.answers import Answer
from wallet.client import Client
from wallet.ids import format_tx_id
from wallet.replies import NotFound

CHUNK_ENVELOPES = 250
CHUNKS_IN_FLIGHT = 4
SUBMIT_TIMEOUT_MS = 60_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One transaction to be carried out.

    `sign` makes its envelope; `matches` says whether a transaction that the chain already has under this id,
    in its JSON form, does the same.
    """

    tx_id: bytes
    author: bytes | str
    sign: Callable[[], bytes]
    matches: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one item: an outcome with who decided it and where, or None for not known yet."""

    outcome: Outcome | None
    sentence: str
    decided_by: str | None = None
    height: int | None = None

    @property
    def executed(self) -> bool:
        """Whether it did what it was to do."""
        return self.outcome is Outcome.EXECUTED


@dataclass(slots=True)
class Runner:
    """Carries items out on one network: `network_name` begins its addresses, `scale` is the asset's."""

    client: Client
    journal: Journal
    desk: Desk
    network_name: str
    scale: int
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHUNKS_IN_FLIGHT))

    async def open_accounts(self, customers: Sequence[Customer], progress: Progress) -> list[Ending]:
        """Open every customer's account that isn't open."""
        return await self._carry_out([self._opening(customer) for customer in customers], progress)

    async def fund(self, fundings: Sequence[Funding], progress: Progress) -> list[Ending]:
        """Pay every payer, out of issuance, what its orders come to."""
        return await self._carry_out([self._funding(funding) for funding in fundings], progress)

    async def pay(self, payments: Sequence[Payment], progress: Progress) -> list[Ending]:
        """Pay every order."""
        return await self._carry_out([self._payment(payment) for payment in payments], progress)

    def _opening(self, customer: Customer) -> Item:
        return Item(
            customer.opening_tx_id,
            customer.bank,
            lambda: self.desk.opening(customer),
            lambda form: form["kind"] == "open_account" and form["body"]["asset"] == self.desk.asset,
        )

    def _funding(self, funding: Funding) -> Item:
        return Item(
            funding.tx_id,
            self.desk.issuance,
            lambda: self.desk.funding(funding),
            self._transfer_of(funding.customer, funding.amount),
        )

    def _payment(self, payment: Payment) -> Item:
        return Item(
            payment.tx_id,
            payment.payer.account,
            lambda: self.desk.payment(payment),
            self._transfer_of(payment.payee, payment.order.amount),
        )

    def _transfer_of(self, payee: Customer, amount: int) -> Callable[[Mapping[str, Any]], bool]:
        def matches(form: Mapping[str, Any]) -> bool:
            wanted = {
                "credit": address(self.network_name, payee.account),
                "asset": self.desk.asset,
                "amount": format_amount(amount, self.scale),
            }
            return bool(form["kind"] == "transfer" and wanted.items() <= form["body"].items())

        return matches

    async def _carry_out(self, items: Sequence[Item], progress: Progress) -> list[Ending]:
        endings: list[Ending | None] = [None] * len(items)
        done = 0

        async def chunk(start: int) -> None:
            nonlocal done
            part = items[start : start + CHUNK_ENVELOPES]
            async with self._slots:
                endings[start : start + len(part)] = await self._chunk(part)
            done += len(part)
            progress(done, len(items))

        progress(0, len(items))
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(items), CHUNK_ENVELOPES):
                group.create_task(chunk(start))
        return [ending for ending in endings if ending is not None]

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
        if answer.outcome is None or answer.status in ("pending", "unknown"):
            return Ending(None, "The outcome is not known yet.")
        outcome = Outcome(answer.outcome.number)
        if outcome is Outcome.ID_USED_WITH_OTHER_CONTENT:
            return await self._earlier(item, answer.outcome.sentence)
        return Ending(outcome, answer.outcome.sentence, answer.decided_by, answer.height)

    async def _earlier(self, item: Item, sentence: str) -> Ending:
        """The id is taken by other signed bytes: perhaps the same transaction, its journal lost since."""
        author = item.author if isinstance(item.author, str) else address(self.network_name, item.author)
        try:
            payment = await self.client.payment(format_tx_id(item.tx_id), author)
        except NotFound:
            return Ending(None, "Other bytes with this id are on their way.")
        if payment.outcome is None:
            return Ending(None, "The outcome is not known yet.")
        if not item.matches(payment.envelope):
            return Ending(Outcome.ID_USED_WITH_OTHER_CONTENT, sentence, "chain", payment.height)
        return Ending(Outcome(payment.outcome.number), payment.outcome.sentence, "chain", payment.height)


@dataclass(frozen=True, slots=True)
class Carried:
    """How a plan went, item by item, and the height that the network had before it began."""

    plan: Plan
    start_height: int
    openings: tuple[Ending, ...]
    fundings: tuple[Ending, ...]
    payments: tuple[Ending, ...]
    seconds: float
