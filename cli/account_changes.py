"""The commands of `nostro account` that change the ledger: open, set-policy, set-flags, set-limit, close.

It must not know the rules by which the ledger decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import address_book, output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.policies import parse_policy
from cli.transact import Wish, transact
from cli.transact_options import Options, transact_options
from cli.wallet_files import WalletFiles, wallet_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.names import NetworkNames
    from wallet import answers
    from wallet.client import Client

FLAG_NAMES = ("no_debit", "no_credit", "issuer_no_debit", "issuer_no_credit")


def changing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every change of the ledger takes: who signs, where to, how far."""
    signer = click.option(
        "--signer",
        "signers",
        multiple=True,
        required=True,
        metavar="ALIAS",
        help="The key that signs; may be repeated.",
    )
    return signer(connection_options(wallet_options(transact_options(output.json_option(function)))))


def by_option(help_text: str) -> Callable[..., Any]:
    """The option `--by`: the member in whose name the change is asked for."""
    return click.option("--by", metavar="MEMBER", help=help_text)


@click.command(name="open")
@click.argument("name")
@click.option("--member", required=True, help="The bank that opens it and answers for it.")
@click.option("--asset", required=True, help="The asset that it holds.")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY[=WEIGHT]", help="A key of the account.  [default: NAME]"
)
@click.option(
    "--threshold", type=click.IntRange(1), help="The weights needed together.  [default: all of them]"
)
@changing
def open_account(
    name: str,
    member: str,
    asset: str,
    keys: tuple[str, ...],
    threshold: int | None,
    signers: tuple[str, ...],
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Open an account; signed by the bank's teller.

    NAME is what the address book calls it. KEY is an alias of the keystore or a public key in hex.
    """
    from ledger.bodies import Kind, OpenAccount
    from ledger.keys import account_id
    from ledger.keys import address as address_of

    address_book.check_free(wallet.address_book, address_book.read(wallet.address_book), name)
    named = keys or (name,)
    policy = parse_policy(wallet, named, threshold)

    own = named[0].partition("=")[0] if len(named) == 1 else None
    key = own if own is not None and own in wallet.aliases() else None

    async def wish(_client: Client, names: NetworkNames, tx_id: bytes) -> Wish:
        names.scale(asset)
        address = address_of(names.name, account_id(member, asset, tx_id))
        entry = address_book.Entry(address, asset, member, key)

        def keep() -> None:
            address_book.add(wallet.address_book, {name: entry})

        facts = {"name": name, "address": address}
        return Wish(member.encode(), Kind.OPEN_ACCOUNT, OpenAccount(asset, policy), facts, keep)

    transact(connection, wallet, options, signers, wish)


@click.command(name="set-policy")
@click.argument("name", metavar="ADDRESS|NAME")
@click.option(
    "--key", "keys", multiple=True, required=True, metavar="KEY[=WEIGHT]", help="A key of the new policy."
)
@click.option(
    "--threshold", type=click.IntRange(1), help="The weights needed together.  [default: all of them]"
)
@by_option("The account's member, for recovery by its admin keys.  [default: the account itself]")
@changing
def set_policy(
    name: str,
    keys: tuple[str, ...],
    threshold: int | None,
    by: str | None,
    signers: tuple[str, ...],
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Replace the keys that may sign for an account."""
    from ledger.bodies import Kind, SetPolicy

    policy = parse_policy(wallet, keys, threshold)

    async def wish(client: Client, names: NetworkNames, _tx_id: bytes) -> Wish:
        account, found = await _account(client, names, wallet, name)
        body = SetPolicy(account, found.version, policy)
        return Wish(account if by is None else by.encode(), Kind.SET_POLICY, body)

    transact(connection, wallet, options, signers, wish)


@click.command(name="set-flags")
@click.argument("name", metavar="ADDRESS|NAME")
@click.option("--add", multiple=True, type=click.Choice(FLAG_NAMES), help="A flag to set; may be repeated.")
@click.option(
    "--remove", multiple=True, type=click.Choice(FLAG_NAMES), help="A flag to clear; may be repeated."
)
@by_option("The asset's issuer, for its own flags.  [default: the account's member]")
@changing
def set_flags(
    name: str,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    by: str | None,
    signers: tuple[str, ...],
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Freeze an account, or free it."""
    from ledger.bodies import Kind, SetFlags

    if (not add and not remove) or set(add) & set(remove):
        raise CommandError(
            "No flag changes, or one is to be set and cleared at once.",
            "Name flags with --add or --remove.",
            Exit.USAGE,
        )

    async def wish(client: Client, names: NetworkNames, _tx_id: bytes) -> Wish:
        account, found = await _account(client, names, wallet, name)
        flags = (found.flags | _bits(add)) & ~_bits(remove)
        body = SetFlags(account, found.version, flags)
        return Wish((by or found.member).encode(), Kind.SET_FLAGS, body)

    transact(connection, wallet, options, signers, wish)


@click.command(name="set-limit")
@click.argument("name", metavar="ADDRESS|NAME")
@click.argument("limit", metavar="AMOUNT")
@by_option("The member that asks.  [default: the asset's issuer]")
@changing
def set_limit(
    name: str,
    limit: str,
    by: str | None,
    signers: tuple[str, ...],
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Let an account go below zero; by the asset's issuer.

    AMOUNT is how far, as a positive decimal number; 0 takes the limit away.
    """
    from ledger.amounts import parse_amount
    from ledger.bodies import Kind, SetLimit

    async def wish(client: Client, names: NetworkNames, _tx_id: bytes) -> Wish:
        account, found = await _account(client, names, wallet, name)
        amount = parse_amount(limit, names.scale(found.asset))
        body = SetLimit(account, found.version, amount)
        return Wish((by or names.issuers[found.asset]).encode(), Kind.SET_LIMIT, body)

    transact(connection, wallet, options, signers, wish)


@click.command()
@click.argument("name", metavar="ADDRESS|NAME")
@by_option("The account's member.  [default: the account itself]")
@changing
def close(
    name: str,
    by: str | None,
    signers: tuple[str, ...],
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Close an empty account for ever."""
    from ledger.bodies import CloseAccount, Kind

    async def wish(client: Client, names: NetworkNames, _tx_id: bytes) -> Wish:
        account, found = await _account(client, names, wallet, name)
        body = CloseAccount(account, found.version)
        return Wish(account if by is None else by.encode(), Kind.CLOSE_ACCOUNT, body)

    transact(connection, wallet, options, signers, wish)


async def _account(
    client: Client, names: NetworkNames, wallet: WalletFiles, name: str
) -> tuple[bytes, answers.Account]:
    """An account's 21 bytes and its record as it is now."""
    from ledger.keys import parse_address

    address = address_book.resolve(wallet.address_book, name)
    account = parse_address(address, names.name)
    return account, await client.account(address)


def _bits(names: tuple[str, ...]) -> int:
    from ledger.bodies import Flag

    return sum(Flag[name.upper()].value for name in set(names))
