"""What files of orders come to by their own text, and what the chain's accounts really have of them.

It reads files by itself, and accounts through the API: what is tested says neither.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from cli.settle.orders import Order
from cli.settle.plan import Customer, make_plan
from ledger.genesis import decode_genesis
from ledger.keys import address
from node.local import LocalNetwork
from wallet.client import Client, Freshness
from wallet.replies import NotFound

HEADER = "order_id;account_id;bank_to;account_to;amount;k_symbol"
PAYER_BANK = "home"
ISSUANCE = ("issuance", "")
STRONG = Freshness(strong=True)

Name = tuple[str, str]
Posted = Mapping[Name, tuple[Decimal, Decimal]]
"""By bank and account number: all that was ever debited, and all that was ever credited."""


def written(path: Path, *rows: str) -> Path:
    """A file of these orders."""
    path.write_text("\n".join((HEADER, *rows, "")), encoding="utf-8")
    return path


def transfers(file: Path) -> list[tuple[Name, Name, Decimal]]:
    """Payer, payee and amount of every order."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            (
                (PAYER_BANK, row["account_id"]),
                (row["bank_to"].lower(), row["account_to"]),
                Decimal(row["amount"]),
            )
            for row in csv.DictReader(lines, delimiter=";")
        ]


def total(file: Path) -> Decimal:
    """What all orders come to."""
    return sum((amount for _, _, amount in transfers(file)), Decimal("0.00"))


def accounts_and_fundings(file: Path) -> int:
    """How many transactions come before the first payment: an account each, and a funding an order."""
    orders = transfers(file)
    return len({name for payer, payee, _ in orders for name in (payer, payee)}) + len(orders)


def net_of_banks(file: Path) -> dict[str, Decimal]:
    """What each bank's customers received less what they paid."""
    nets: dict[str, Decimal] = {}
    for (payer_bank, _), (payee_bank, _), amount in transfers(file):
        nets[payer_bank] = nets.get(payer_bank, Decimal()) - amount
        nets[payee_bank] = nets.get(payee_bank, Decimal()) + amount
    return nets


def after(before: Posted, file: Path) -> Posted:
    """What the accounts have once the file is paid, each order once and each funded by the issuer."""
    sums = dict(before)
    for payer, payee, amount in transfers(file):
        for debited, credited in ((ISSUANCE, payer), (payer, payee)):
            sums[debited] = (sums[debited][0] + amount, sums[debited][1])
            sums[credited] = (sums[credited][0], sums[credited][1] + amount)
    return sums


def posted(local: LocalNetwork, file: Path) -> Posted:
    """What the issuance account and all accounts that the file names have, by linearizable reads."""
    return asyncio.run(_posted(local, file))


async def _posted(local: LocalNetwork, file: Path) -> Posted:
    network = local.network
    urls = [node.api_url for node in network.nodes]
    async with Client(urls, ca_file=network.ca) as client:
        (asset,) = await client.assets()
        addresses = {ISSUANCE: asset.account}
        for customer in _customers(local, file):
            addresses[customer.bank, customer.name] = address(network.name, customer.account)
        return {name: await _sums(client, text) for name, text in addresses.items()}


def _customers(local: LocalNetwork, file: Path) -> tuple[Customer, ...]:
    orders = [
        Order(line, "", *payer, *payee, int(amount.scaleb(2)), "")
        for line, (payer, payee, amount) in enumerate(transfers(file), start=2)
    ]
    start_ms = decode_genesis(local.network.genesis.read_bytes()).time_ms
    return make_plan(orders, batch=file.name, asset="CZK", start_ms=start_ms).customers


async def _sums(client: Client, text: str) -> tuple[Decimal, Decimal]:
    try:
        account = await client.account(text, STRONG)
    except NotFound:
        return Decimal(), Decimal()
    return Decimal(account.debits_posted), Decimal(account.credits_posted)
