"""The load of a benchmark: funded accounts on the network, and payments signed before the clock starts.

It must not know how anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli.errors import CommandError
from cli.settle.ending import Ending
from cli.settle.journal import Journal
from cli.settle.network_keys import NetworkKeys
from cli.settle.orders import Order
from cli.settle.plan import Customer, make_plan
from cli.settle.runner import Progress, Runner
from cli.settle.signing import Desk
from ledger.genesis import decode_genesis
from ledger.keys import parse_address
from node.provision import ProvisionedNetwork
from wallet.client import Client

AMOUNT = 1
FUNDING = 1_000_000 * AMOUNT
"""Minor units: what a payment moves, and what each account begins with, so that none runs dry."""


@dataclass(frozen=True, slots=True)
class Load:
    """Customers in a ring: each pays the next, in turn."""

    desk: Desk
    customers: tuple[Customer, ...]
    start_ms: int

    def envelopes(self, first: int, count: int) -> list[bytes]:
        """The signed payments with the numbers `first` to `first + count - 1`; each number has its own id."""
        plan = make_plan(
            [self._order(number) for number in range(first, first + count)],
            batch="bench payments",
            asset=self.desk.asset,
            start_ms=self.start_ms,
        )
        return [self.desk.payment(payment) for payment in plan.payments]

    def _order(self, number: int) -> Order:
        payer = self.customers[number % len(self.customers)]
        payee = self.customers[(number + 1) % len(self.customers)]
        return Order(number, "", payer.bank, payer.name, payee.bank, payee.name, AMOUNT, "")


async def open_load(
    network: ProvisionedNetwork, passphrase: str, accounts: int, client: Client, progress: Progress
) -> Load:
    """Open and fund `accounts` accounts, spread over the banks that run nodes."""
    asset = (await client.assets())[0]
    banks = sorted(node.member for node in network.nodes)
    start_ms = decode_genesis(network.genesis.read_bytes()).time_ms
    ring = _ring(accounts, banks, FUNDING)
    plan = make_plan(ring, batch="bench funding", asset=asset.code, start_ms=start_ms)
    desk = Desk(
        network.network_id,
        asset.code,
        parse_address(asset.account, network.name),
        NetworkKeys(network, asset.issuer, passphrase),
        time.time_ns() // 1_000_000,
    )
    with Journal(network.directory / "bench.journal", network.network_id, "bench") as journal:
        runner = Runner(client, journal, desk, network.name, asset.scale)
        _check((await runner.open_accounts(plan.customers, progress)).values(), "opened")
        _check((await runner.fund(plan.payments, progress)).values(), "funded")
    return Load(desk, plan.customers, start_ms)


def _ring(customers: int, banks: Sequence[str], amount: int) -> list[Order]:
    """Customer n of a ring orders `amount` to be paid to customer n + 1."""
    names = [(banks[number % len(banks)], f"bench {number}") for number in range(customers)]
    return [
        Order(number, "", *names[number], *names[(number + 1) % customers], amount, "")
        for number in range(customers)
    ]


def _check(endings: Iterable[Ending], what: str) -> None:
    for ending in endings:
        if not ending.executed:
            raise CommandError(
                f"The benchmark's accounts could not be {what}: {ending.sentence}", "Look at the nodes' logs."
            )
