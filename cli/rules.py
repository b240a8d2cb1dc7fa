"""`nostro rules`: which version of the rules blocks follow, and a newer one from a height on.

It must not know what any version says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.governance import author_of, decide, deciding, from_height_option
from cli.lazy import LazyCommand, listing_group
from cli.transact_options import Options
from cli.wallet_files import WalletFiles

if TYPE_CHECKING:
    from cli.names import NetworkNames
    from cli.transact import Wish
    from wallet.client import Client

RULES_COMMANDS = {
    "set": LazyCommand("cli.rules:set_rules", "Activate a newer version of the rules at a height."),
}


@listing_group("rules", RULES_COMMANDS)
@connection_options
@output.json_option
def rules(connection: Connection) -> None:
    """Show which rules blocks follow, and activate newer ones."""
    import msgspec

    out = output.current()

    found = connection.ask(lambda client: client.rules())
    rows = [(entry.from_height, entry.rules) for entry in found.schedule]
    out.result(msgspec.to_builtins(found), lambda: out.table(("FROM BLOCK>", "RULES>"), rows))


@click.command(name="set")
@click.argument("version", type=click.IntRange(1, 65_535))
@from_height_option
@deciding
def set_rules(
    version: int,
    from_height: int,
    signers: tuple[str, ...],
    by: str | None,
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
) -> None:
    """Activate a newer version of the rules at a height.

    Every node needs a program that has it before the chain gets there: one that lacks it stops.
    """
    from cli.transact import Wish
    from ledger.bodies import Kind, SetRules

    async def wish(client: Client, _names: NetworkNames, _tx_id: bytes) -> Wish:
        body = SetRules(version, from_height, (await client.rules()).version)
        return Wish(await author_of(client, by), Kind.SET_RULES, body)

    decide(connection, wallet, options, signers, wish)
