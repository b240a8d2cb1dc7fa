"""`nostro pay`: pay an amount from one account to another, and say what came of it.

It must not know how a payment is signed or sent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli import address_book, output, references
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.transact import Wish, transact
from cli.transact_options import Options, transact_options
from cli.wallet_files import WalletFiles, wallet_options

if TYPE_CHECKING:
    from cli.names import NetworkNames
    from wallet.client import Client


@click.command()
@click.argument("to", metavar="TO")
@click.argument("amount")
@click.option("--from", "alias", required=True, metavar="ALIAS", help="The key that signs.")
@click.option("--account", help="The account to pay from.  [default: the one that ALIAS signs for]")
@click.option("--asset", help="Checked against the account's own, where given.")
@click.option(
    "--reference", help="A text for both sides. The chain gets only its salted hash; both stay with you."
)
@connection_options
@wallet_options
@transact_options
@output.json_option
def pay(
    to: str,
    amount: str,
    alias: str,
    account: str | None,
    asset: str | None,
    reference: str | None,
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Pay an amount from one account to another.

    TO is an address, or a name of the address book. AMOUNT is a decimal number, such as 12.50.
    """
    from ledger.bodies import Kind, Transfer
    from ledger.keys import parse_address

    wallet.public_key(alias)
    debit = own_account(wallet, alias, account)
    credit = address_book.resolve(wallet.address_book, to)
    note = None if reference is None else references.make(reference, os.urandom)

    async def wish(client: Client, names: NetworkNames, tx_id: bytes) -> Wish:
        author = parse_address(debit, names.name)
        paid_in = asset or (await client.account(debit)).asset
        body = Transfer(
            parse_address(credit, names.name),
            paid_in,
            _paid(amount, names.scale(paid_in)),
            reference=() if note is None else (note.hash,),
        )
        if note is None or options.dry_run:
            return Wish(author, Kind.TRANSFER, body)
        # Kept before the payment leaves: what the chain has is worthless without the salt.
        return Wish(author, Kind.TRANSFER, body, references.keep(wallet.payments, tx_id, note))

    transact(connection, wallet, options, [alias], wish)


def own_account(wallet: WalletFiles, alias: str, account: str | None) -> str:
    """The address to pay from: the one that was named, or the one that the key signs for."""
    if account is not None:
        return address_book.resolve(wallet.address_book, account)
    return address_book.account_of_key(wallet.address_book, alias)[1].address


def _paid(text: str, scale: int) -> int:
    """What AMOUNT says in minor units; nothing can't be paid."""
    from ledger.amounts import parse_amount

    amount = parse_amount(text, scale)
    if amount == 0:
        raise CommandError(f"{text} is nothing to pay.", "Give an amount above zero.", Exit.USAGE)
    return amount
