"""The clients: payers who pay among a few hot accounts, and one reader a node, all without pause.

A payer that isn't told an outcome in time goes on to its next payment, as a bank would, and the payment stays
open until somebody asks again. It must not know what is done to the nodes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import msgspec

from ledger.amounts import parse_amount
from tests.integration.harness import Bank, Holder, Signed, funded
from tests.torture.checks import sum_at_one_height
from tests.torture.history import Fate, History, Paid, Read
from tests.torture.linearizable import NEVER
from tests.torture.stores import FATES
from wallet.answers import Account, Answer
from wallet.client import Client, Freshness
from wallet.errors import WalletError
from wallet.replies import NotFound

ACCOUNTS = 4
FUNDING = 10_000
"""What each account begins with, in minor units."""
MOST_AMOUNT = 3_000
SCALE = 2
PAYERS = 6
PACE_S = 0.08
"""How long a payer waits between payments, on average; a reader waits three times as long."""
PATIENCE_MS = 4_000
ATTEMPT_MS = 2_000
READ_PATIENCE_MS = 12_000
"""Readers wait long, so that what a node answers after it stood still is seen, too."""
RECENT = 200
STRONG = Freshness(strong=True)


class Load:
    """All clients of a run. `rejected` counts reads that no node answered."""

    def __init__(
        self,
        bank: Bank,
        holders: Sequence[Holder],
        history: History,
        seed: int,
        nodes: Callable[[], tuple[str, ...]],
        payers: int,
    ) -> None:
        """Nobody pays yet; see `running`. `nodes` gives those that make up the cluster now."""
        self.history = history
        self._nodes = nodes
        self.rejected = 0
        self.snapshots = 0
        self._bank = bank
        self._holders = holders
        self._seed = seed
        self._payers = payers
        self._given_up: dict[str, Signed] = {}
        self._acknowledged: list[Paid] = []
        self._end = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everybody pays and reads in here."""
        names = [f"payer-{number}" for number in range(self._payers)]
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._pay_on(name))
            for number in range(len(self._nodes())):
                group.create_task(self._read_on(number))
            try:
                yield
            finally:
                self._end.set()

    async def pay(self, client: Client, payer: str, random: Random, timeout_ms: int = PATIENCE_MS) -> Paid:
        """One payment between two of the accounts, recorded."""
        debtor, creditor = random.sample(range(len(self._holders)), 2)
        amount = random.randint(1, MOST_AMOUNT)
        signed = self._bank.pay(self._holders[debtor], self._holders[creditor], amount)
        invoked_s = time.monotonic()
        opened = Paid(payer, signed.id_text, debtor, creditor, amount, invoked_s, NEVER, Fate.UNKNOWN)
        self.history.paid(opened)
        paid = self._answered(opened, await client.submit(signed.raw, timeout_ms=timeout_ms))
        if paid.fate is Fate.UNKNOWN:
            self._given_up[signed.id_text] = signed
        return paid

    async def ask_again(self, client: Client) -> None:
        """Submit what payers gave up once more; what a node refuses now may still be under way elsewhere."""
        for tx_id, signed in list(self._given_up.items()):
            answer = await client.submit(signed.raw, timeout_ms=READ_PATIENCE_MS)
            if answer.status == "refused":
                continue
            if self._answered(self.history.payments[tx_id], answer).fate is not Fate.UNKNOWN:
                del self._given_up[tx_id]

    async def read_all(self, node: str) -> list[Read]:
        """One strong read of every account at one node, recorded. Raises WalletError."""
        async with self._client(READ_PATIENCE_MS, node) as client:
            return await self._read_accounts(client, node)

    def _answered(self, opened: Paid, answer: Answer) -> Paid:
        """Record what became of a payment, where the answer says."""
        fate = self._fate(answer)
        place = None if answer.height is None or answer.index is None else (answer.height, answer.index)
        if fate is Fate.UNKNOWN:
            return opened
        paid = msgspec.structs.replace(opened, returned_s=time.monotonic(), fate=fate, place=place)
        self.history.paid(paid)
        if place is not None:
            self._acknowledged.append(paid)
        return paid

    def _fate(self, answer: Answer) -> Fate:
        if answer.status == "refused":
            return Fate.REFUSED
        if answer.status not in ("executed", "certified") or answer.outcome is None:
            return Fate.UNKNOWN
        fate = FATES.get(answer.outcome.number)
        if fate is None:
            self.history.violated(
                "right outcomes", f"{answer.tx_id} ended as {answer.outcome.name}", time.monotonic()
            )
            return Fate.UNKNOWN
        return fate

    async def _pay_on(self, name: str) -> None:
        random = Random(f"{self._seed}/{name}")
        while not self._end.is_set():
            nodes = self._nodes()
            async with self._client(ATTEMPT_MS, *nodes) as client:
                while nodes == self._nodes() and not self._end.is_set():
                    await self.pay(client, name, random)
                    await self._pause(random.expovariate(1 / PACE_S))

    async def _read_on(self, number: int) -> None:
        """Read all accounts at once, then one acknowledged payment, at one node while the nodes stay."""
        random = Random(f"{self._seed}/reader-{number}")
        while not self._end.is_set():
            nodes = self._nodes()
            node = nodes[number % len(nodes)]
            async with self._client(READ_PATIENCE_MS, node) as client:
                while nodes == self._nodes() and not self._end.is_set():
                    await self._read_once(client, node, random)
                    await self._pause(random.expovariate(1 / (3 * PACE_S)))

    async def _read_once(self, client: Client, node: str, random: Random) -> None:
        try:
            await self._read_accounts(client, node)
            await self._read_payment(client, node, random)
        except WalletError:
            # A node that can't answer now is right to say so; only what it answers is judged.
            self.rejected += 1

    async def _read_accounts(self, client: Client, node: str) -> list[Read]:
        reads = await asyncio.gather(
            *(self._read(client, node, account) for account in range(len(self._holders)))
        )
        self.history.read(reads)
        total = sum_at_one_height(reads)
        if total is not None:
            self.snapshots += 1
            if total != FUNDING * len(self._holders):
                self.history.violated("sum of balances", f"{node}: {total} in {reads}", time.monotonic())
        return reads

    async def _read(self, client: Client, node: str, account: int) -> Read:
        invoked_s = time.monotonic()
        found = await client.account(self._bank.address(self._holders[account]), STRONG)
        return read_of(found, node, account, invoked_s)

    async def _read_payment(self, client: Client, node: str, random: Random) -> None:
        """A linearizable read of a payment that was acknowledged before finds it where it was."""
        if not self._acknowledged:
            return
        paid = random.choice(self._acknowledged[-RECENT:])
        try:
            found = await client.payment(paid.tx_id, fresh=STRONG)
        except NotFound as error:
            self.history.violated("nothing lost", f"{node} knows no {paid}: {error}", time.monotonic())
            return
        if (found.height, found.index) != paid.place:
            self.history.violated("one place", f"{node} says {found}, told was {paid}", time.monotonic())

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._end.wait(), seconds)
        except TimeoutError:
            return

    def _client(self, attempt_ms: int, *nodes: str) -> Client:
        network = self._bank.network
        urls = [place.api_url for place in network.nodes if place.id in nodes]
        return Client(urls, ca_file=network.ca, timeout_ms=READ_PATIENCE_MS, attempt_timeout_ms=attempt_ms)


def read_of(found: Account, node: str, account: int, invoked_s: float) -> Read:
    """What a node answered, and that it answered now."""
    last = None if found.last is None else (found.last.height, found.last.index)
    balance = parse_amount(found.balance, SCALE)
    return Read(node, account, balance, found.height, last, invoked_s, time.monotonic())


async def open_accounts(bank: Bank) -> list[Holder]:
    """The accounts among which all is paid, each with its first money."""
    async with bank.client() as client:
        return [await funded(bank, client, FUNDING) for _ in range(ACCOUNTS)]
