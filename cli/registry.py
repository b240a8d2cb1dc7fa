"""`nostro assets` and `outcomes`: the lists that a network and this program have.

It must not know where a node keeps them.
"""

from __future__ import annotations

from typing import Any

import click

from cli import output
from cli.connection import Connection, connection_options


@click.command()
@connection_options
@output.json_option
def assets(connection: Connection) -> None:
    """List the assets."""
    import msgspec

    out = output.current()
    found = connection.ask(lambda client: client.assets())
    rows = [(asset.code, asset.scale, asset.issuer, asset.account) for asset in found]
    columns = ("ASSET", "DECIMALS>", "ISSUER", "ISSUANCE ACCOUNT")
    out.result({"assets": msgspec.to_builtins(found)}, lambda: out.table(columns, rows))


@click.command()
@output.json_option
def outcomes() -> None:
    """List every way a payment can end."""
    from ledger.outcome import OUTCOMES

    out = output.current()
    infos = [OUTCOMES[number] for number in sorted(OUTCOMES)]
    documents: list[dict[str, Any]] = [
        {
            "number": info.number,
            "name": info.name,
            "class": str(info.class_),
            "on_chain": info.on_chain,
            "final": info.final,
            "retry_can_help": info.retry_can_help,
            "sentence": info.sentence,
            "remedy": info.remedy,
            "iso20022": info.iso20022,
        }
        for info in infos
    ]
    rows = [(info.number, info.name, str(info.class_), info.iso20022, info.sentence) for info in infos]
    columns = ("NUMBER>", "NAME", "CLASS", "ISO 20022", "MEANING")
    out.result({"outcomes": documents}, lambda: out.table(columns, rows))
