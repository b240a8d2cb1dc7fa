"""`nostro members`, `assets` and `outcomes`: the lists that a network and this program have.

It must not know where a node keeps them.
"""

from __future__ import annotations

from typing import Any

import click

from cli import output


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
