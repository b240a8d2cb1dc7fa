"""`nostro account`: open, look at and change accounts.

It must not know how the ledger decides; it only words the wish and shows what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import address_book, output
from cli.connection import Connection, connection_options
from cli.lazy import LazyCommand, LazyGroup
from cli.times import utc
from cli.wallet_files import WalletFiles, wallet_options

if TYPE_CHECKING:
    from wallet import answers
    from wallet.client import Client

ACCOUNT_COMMANDS = {
    "open": LazyCommand("cli.account_changes:open_account", "Open an account; signed by the bank's teller."),
    "show": LazyCommand("cli.account:show", "Show an account: balance, limit, flags, keys."),
    "list": LazyCommand("cli.account:list_accounts", "List the accounts of the address book."),
    "history": LazyCommand("cli.account:history", "List what happened on an account, newest first."),
    "set-policy": LazyCommand(
        "cli.account_changes:set_policy", "Replace the keys that may sign for an account."
    ),
    "set-flags": LazyCommand("cli.account_changes:set_flags", "Freeze an account, or free it."),
    "set-limit": LazyCommand(
        "cli.account_changes:set_limit", "Let an account go below zero; by the asset's issuer."
    ),
    "close": LazyCommand("cli.account_changes:close", "Close an empty account for ever."),
}
MOST_ENTRIES = 100_000
MOST_PAGE = 200


@click.command(cls=LazyGroup, lazy=ACCOUNT_COMMANDS, name="account")
def account() -> None:
    """Open, look at and change accounts."""


@click.command()
@click.argument("name", metavar="ADDRESS|NAME")
@connection_options
@wallet_options
@output.json_option
def show(name: str, connection: Connection, wallet: WalletFiles) -> None:
    """Show an account: balance, limit, flags, keys."""
    import msgspec

    out = output.current()
    address = address_book.resolve(wallet.address_book, name)
    found = connection.ask(lambda client: client.account(address))
    document = msgspec.to_builtins(found)
    document = {key: value for key, value in document.items() if value is not None}
    out.result(document, lambda: out.fields(_facts(found)))


def _facts(found: answers.Account) -> list[tuple[str, object]]:
    keys = [f"{key.key[:16]}... (weight {key.weight})" for key in found.policy.keys]
    facts: list[tuple[str, object]] = [
        ("address", found.address),
        ("member", found.member),
        ("balance", f"{found.balance} {found.asset}"),
        ("available", f"{found.available} {found.asset}"),
        ("limit", f"{found.limit} {found.asset}"),
        ("flags", ", ".join(found.flag_names) or "none"),
        ("keys", f"{', '.join(keys)}; {found.policy.threshold} needed"),
        ("entries", found.entry_count),
        ("version", found.version),
        ("opened at", f"block {found.opened_height}"),
        ("as of", f"block {found.height}"),
    ]
    return facts


@click.command(name="list")
@wallet_options
@output.json_option
def list_accounts(wallet: WalletFiles) -> None:
    """List the accounts of the address book."""
    import msgspec

    out = output.current()
    entries = address_book.read(wallet.address_book)
    rows = [
        (name, entry.address, entry.asset or "", entry.member or "", entry.key or "")
        for name, entry in sorted(entries.items())
    ]
    documents = [{"name": name, **msgspec.to_builtins(entry)} for name, entry in sorted(entries.items())]
    columns = ("NAME", "ADDRESS", "ASSET", "MEMBER", "KEY")
    out.result({"accounts": documents}, lambda: out.table(columns, rows))


@click.command()
@click.argument("name", metavar="ADDRESS|NAME")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, MOST_ENTRIES), help="At most how many."
)
@connection_options
@wallet_options
@output.json_option
def history(name: str, limit: int, connection: Connection, wallet: WalletFiles) -> None:
    """List what happened on an account, newest first."""
    import msgspec

    out = output.current()
    address = address_book.resolve(wallet.address_book, name)
    entries, forgotten = connection.ask(lambda client: _newest(client, address, limit))
    rows = [
        (
            entry.entry,
            utc(entry.time_ms),
            entry.kind,
            entry.outcome.name,
            entry.debit,
            entry.credit,
            entry.tx_id,
        )
        for entry in entries
    ]
    columns = ("ENTRY>", "TIME", "KIND", "OUTCOME", "DEBIT>", "CREDIT>", "ID")
    document = {"address": address, "payments": msgspec.to_builtins(entries)}
    if forgotten is not None:
        document["forgotten"] = msgspec.to_builtins(forgotten)
    out.result(document, lambda: out.table(columns, rows))
    if forgotten is not None:
        where = ", ".join(forgotten.held_by) or "an archive node"
        out.say(
            f"There are older entries, but the node that answered has forgotten blocks up to "
            f"{forgotten.height:,}: ask {where} with --url."
        )


async def _newest(
    client: Client, address: str, limit: int
) -> tuple[list[answers.Entry], answers.Forgotten | None]:
    """Up to `limit` entries, and what is said of the rest where the node that answers has forgotten it."""
    found: list[answers.Entry] = []
    cursor: str | None = None
    while True:
        page = await client.history_page(address, cursor, limit=min(limit - len(found), MOST_PAGE))
        found += page.payments
        cursor = page.next
        if len(found) >= limit or cursor is None:
            return found, None
        if page.forgotten is not None:
            return found, page.forgotten
