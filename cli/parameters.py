"""`nostro parameters`: what the banks have agreed on, and other values from a height on.

It must not know what the parameters bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

PARAMETER_COMMANDS = {
    "set": LazyCommand("cli.parameters:set_parameters", "Change parameters from a height on."),
}
NAMES = ("block_bytes", "block_envelopes", "envelope_bytes", "signers")


@listing_group("parameters", PARAMETER_COMMANDS)
@connection_options
@output.json_option
def parameters(connection: Connection) -> None:
    """List the parameters that the banks agree on, and change them."""
    import msgspec

    out = output.current()

    found = connection.ask(lambda client: client.parameters())
    columns = ("FROM BLOCK>", *(name.upper().replace("_", " ") + ">" for name in NAMES), "CERTIFICATE RULE")
    rows = [
        (
            entry.from_height,
            *(getattr(entry.parameters, name) for name in NAMES),
            entry.parameters.certificate_rule,
        )
        for entry in found.schedule
    ]
    out.result(msgspec.to_builtins(found), lambda: out.table(columns, rows))


@click.command(name="set")
@click.option("--block-bytes", type=int, help="The most bytes of envelopes in a block.")
@click.option("--block-envelopes", type=int, help="The most envelopes in a block.")
@click.option("--envelope-bytes", type=int, help="The most bytes of one envelope.")
@click.option("--most-signers", type=int, help="The most signers of one envelope.")
@click.option(
    "--certificate-rule",
    type=click.Choice(["majority", "byzantine"]),
    help="How many nodes must sign a certificate.",
)
@from_height_option
@deciding
def set_parameters(
    from_height: int,
    certificate_rule: str | None,
    most_signers: int | None,
    signers: tuple[str, ...],
    by: str | None,
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
    **sizes: int | None,
) -> None:
    """Change parameters from a height on.

    Those that aren't named stay as they are.
    """
    from cli.transact import Wish
    from ledger.bodies import Kind, SetParameters
    from ledger.parameters import CertificateRule, Parameters

    async def wish(client: Client, _names: NetworkNames, _tx_id: bytes) -> Wish:
        found = await client.parameters()
        newest = found.schedule[-1].parameters
        changed: dict[str, Any] = {**sizes, "signers": most_signers}
        rule = CertificateRule[(certificate_rule or newest.certificate_rule).upper()]
        values = {name: getattr(newest, name) if changed[name] is None else changed[name] for name in NAMES}
        body = SetParameters(Parameters(**values, certificate_rule=rule.value), from_height, found.version)
        return Wish(await author_of(client, by), Kind.SET_PARAMETERS, body)

    decide(connection, wallet, options, signers, wish)
