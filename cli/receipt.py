"""`nostro receipt`: the proof of one payment, fetched from a node and checked without one.

It must not know how a receipt proves what it proves: that is ledger/receipt.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.network_id import trust_options
from cli.times import utc

if TYPE_CHECKING:
    from ledger.receipt import VerifiedReceipt

RECEIPT_COMMANDS = {
    "get": LazyCommand("cli.receipt:get", "Fetch the receipt of a payment into a file."),
    "verify": LazyCommand("cli.receipt:verify", "Check a receipt offline; trusts the network's id alone."),
}
# The longest chain of seals and proofs that a receipt may have is well below this.
RECEIPT_FILE_BYTES = 16 * 1024 * 1024


@click.command(cls=LazyGroup, lazy=RECEIPT_COMMANDS, name="receipt")
def receipt() -> None:
    """Fetch the proof of a payment, and check one offline."""


@click.command()
@click.argument("tx_id", metavar="ID")
@click.option("--author", help="The payer's address (or member): only where several used the same id.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write.  [default: ID.receipt]")
@connection_options
@output.json_option
def get(tx_id: str, author: str | None, out: Path | None, connection: Connection) -> None:
    """Fetch the receipt of a payment into a file."""
    from wallet.ids import format_tx_id, parse_tx_id

    shown = output.current()
    name = format_tx_id(parse_tx_id(tx_id))
    path = out or Path(f"{name}.receipt")
    raw = connection.ask(lambda client: client.receipt(name, author))
    path.write_bytes(raw)
    document = {"tx_id": name, "file": str(path), "size_bytes": len(raw)}
    shown.result(document, lambda: shown.data(str(path)))
    shown.say(f"Anyone can check it offline: nostro receipt verify {path} --network-id HEX")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@trust_options
@output.json_option
def verify(file: Path, trusted: bytes) -> None:
    """Check a receipt offline; trusts the network's id alone."""
    from ledger.receipt import ReceiptInvalid, verify_receipt

    out = output.current()
    with file.open("rb") as opened:
        raw = opened.read(RECEIPT_FILE_BYTES + 1)
    try:
        proved = verify_receipt(raw, trusted)
    except ReceiptInvalid as error:
        raise CommandError(
            f"{file} proves nothing: {error}.",
            "Don't rely on it; fetch the receipt again from another bank's node.",
            Exit.VIOLATION,
        ) from error
    document = describe(proved)
    facts = {**document, "signed_by": ", ".join(proved.signed_by)}
    out.result(document, lambda: out.fields((name.replace("_", " "), fact) for name, fact in facts.items()))
    out.say(
        "The receipt is good: its signatures, paths, seals and certificate lead from the network id to this."
    )


def describe(proved: VerifiedReceipt) -> dict[str, Any]:
    """What a good receipt proves."""
    from cli.names import names_of
    from ledger.json_form import KIND_NAMES, format_author, format_uuid
    from ledger.outcome import OUTCOMES, Outcome

    payload = proved.envelope.payload
    return {
        "network": proved.network_name,
        "network_id": proved.network_id.hex(),
        "tx_id": format_uuid(payload.tx_id),
        "author": format_author(payload.author, names_of(proved.network_name, {})),
        "kind": KIND_NAMES[payload.kind],
        "outcome": OUTCOMES[Outcome(proved.outcome)].name,
        "height": proved.height,
        "index": proved.index,
        "time": utc(proved.time_ms),
        "certified_height": proved.certified_height,
        "signed_by": list(proved.signed_by),
    }
