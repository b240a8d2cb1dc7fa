"""`nostro payment`: a payment step by step (built, signed by each signer, submitted), and looked up later.

Building and signing touch no network, so that keys can live on a machine without one. It must not know how a
payment is encoded or signed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import address_book, network_folder, output, references
from cli.answers import show_answer
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.times import utc
from cli.transact_options import Waiting, valid_minutes_option, waiting_options
from cli.wallet_files import WalletFiles, wallet_options

if TYPE_CHECKING:
    from cli.names import NetworkNames
    from wallet.answers import Payment

PAYMENT_COMMANDS = {
    "build": LazyCommand("cli.payment:build", "Write an unsigned payment to a file; needs no network."),
    "sign": LazyCommand("cli.payment:sign", "Add signatures to a payment file; needs no network."),
    "submit": LazyCommand("cli.payment:submit", "Submit a payment file; the same one twice pays once."),
    "show": LazyCommand("cli.payment:show", "Show a payment by its id, or what a payment file would do."),
}


@click.command(cls=LazyGroup, lazy=PAYMENT_COMMANDS, name="payment")
def payment() -> None:
    """Build, sign, submit and look up payments, step by step."""


@click.command()
@click.argument("to", metavar="TO")
@click.argument("amount")
@click.option("--account", required=True, metavar="ADDRESS|NAME", help="The account to pay from.")
@click.option("--asset", required=True, help="The asset of both accounts.")
@click.option(
    "--signer", "signers", multiple=True, required=True, metavar="KEY", help="Who signs: alias or public key."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option(
    "--reference", help="A text for both sides. The chain gets only its salted hash; both stay with you."
)
@valid_minutes_option
@click.option("--genesis", type=click.Path(path_type=Path), help="The network's genesis document.")
@network_folder.network_option(network_folder.GENESIS_FOLDER)
@wallet_options
@output.json_option
def build(
    to: str,
    amount: str,
    account: str,
    asset: str,
    signers: tuple[str, ...],
    out: Path,
    reference: str | None,
    valid_minutes: int,
    genesis: Path | None,
    folder: Path | None,
    wallet: WalletFiles,
) -> None:
    """Write an unsigned payment to a file; needs no network.

    TO is an address or a name of the address book, AMOUNT a decimal number. The signers are fixed here, for
    they are part of what is signed.
    """
    from cli.policies import public_key
    from cli.transact import MS_A_MINUTE, new_id, now_ms, show_written
    from wallet.payment import build_transfer, validity
    from wallet.payment_file import write_draft

    names = known_network(genesis, folder)
    names.scale(asset)
    note = None if reference is None else references.make(reference, os.urandom)
    tx_id = new_id()
    valid_from_ms, valid_until_ms = validity(now_ms(), valid_minutes * MS_A_MINUTE)
    draft = build_transfer(
        names.names,
        network_id=names.network_id,
        tx_id=tx_id,
        debit=address_book.resolve(wallet.address_book, account),
        credit=address_book.resolve(wallet.address_book, to),
        asset=asset,
        amount=amount,
        valid_from_ms=valid_from_ms,
        valid_until_ms=valid_until_ms,
        signers=[public_key(wallet, name) for name in signers],
        reference=None if note is None else note.hash,
    )
    write_draft(out, draft)
    show_written(out, draft, {} if note is None else references.keep(wallet.payments, tx_id, note))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--signer", "signers", multiple=True, required=True, metavar="ALIAS", help="The key that signs."
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@click.option(
    "--genesis", type=click.Path(path_type=Path), help="Check the file against this genesis document."
)
@wallet_options
@output.json_option
def sign(file: Path, signers: tuple[str, ...], yes: bool, genesis: Path | None, wallet: WalletFiles) -> None:
    """Add signatures to a payment file; needs no network."""
    from cli.transact import show_written
    from cli.transact import sign as sign_with
    from wallet.payment_file import describe, read_draft, write_draft

    out = output.current()
    for alias in signers:
        wallet.public_key(alias)
    names = None if genesis is None else known_network(genesis, None)
    draft = read_draft(file, *((names.names, names.network_id) if names else ()))
    for line in describe(draft):
        out.say(line)
    if not yes:
        confirm("Sign this?")
    draft = sign_with(wallet, draft, signers)
    write_draft(file, draft)
    show_written(file, draft, {})


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@connection_options
@waiting_options
@output.json_option
def submit(file: Path, connection: Connection, waiting: Waiting) -> None:
    """Submit a payment file; the same one twice pays once.

    The file stays as it is.
    """
    from cli.transact import submit_patiently
    from wallet.payment import complete_envelope
    from wallet.payment_file import read_draft

    envelope = complete_envelope(read_draft(file))
    answer = connection.ask(lambda client: submit_patiently(client, envelope, waiting))
    show_answer(answer, waiting.wait, file if answer.status in ("unknown", "pending") else None, {})


@click.command()
@click.argument("name", metavar="ID|FILE")
@click.option("--author", metavar="ADDRESS|MEMBER", help="The payer: only where several used the same id.")
@connection_options
@output.json_option
def show(name: str, author: str | None, connection: Connection) -> None:
    """Show a payment by its id, or what a payment file would do."""
    from wallet.ids import format_tx_id, parse_tx_id

    if Path(name).is_file():
        show_file(Path(name))
        return
    tx_id = format_tx_id(parse_tx_id(name))
    show_payment(connection.ask(lambda client: client.payment(tx_id, author)))


def show_file(path: Path) -> None:
    """What a payment file would do, in words; with --json the file's own form."""
    import msgspec

    from wallet.payment_file import describe, encode_draft, read_draft

    out = output.current()
    draft = read_draft(path)
    missing = [key.hex() for key in draft.missing_signers]
    document = {"file": str(path), "missing_signers": missing, **msgspec.json.decode(encode_draft(draft))}

    def human() -> None:
        for line in describe(draft):
            out.data(line)

    out.result(document, human)


def show_payment(found: Payment) -> None:
    """A payment as the chain has it. One that the chain refused is found all the same."""
    import msgspec

    out = output.current()
    document = {key: value for key, value in msgspec.to_builtins(found).items() if value is not None}
    facts: list[tuple[str, object]] = [
        ("id", found.tx_id),
        ("kind", found.envelope["kind"]),
        ("author", found.author),
        ("status", found.status),
    ]
    if found.outcome is not None:
        facts.append(("outcome", found.outcome.name))
    if found.height is not None:
        facts.append(("block", f"{found.height} (transaction {found.index})"))
    if found.time_ms is not None:
        facts.append(("time", utc(found.time_ms)))
    facts += [(name, value) for name, value in found.envelope["body"].items()]
    out.result(document, lambda: out.fields(facts))
    out.say(
        found.outcome.sentence if found.outcome else "A node has taken it; the chain has not decided yet."
    )


def known_network(genesis: Path | None, folder: Path | None) -> NetworkNames:
    """The network as a genesis document has it: the file that was named, or that of the network's folder."""
    from cli.names import from_genesis
    from cli.network_id import read_genesis

    path = network_folder.find_genesis(genesis, folder)
    if path is None:
        raise CommandError(
            "Nothing says which network the payment is for.",
            "Give --genesis FILE, or --network FOLDER.",
            Exit.USAGE,
        )
    return from_genesis(read_genesis(path))


def confirm(question: str) -> None:
    """Ask a person; where nobody can be asked, the command wants --yes."""
    if not sys.stdin.isatty():
        raise CommandError(
            "Nobody is there to say yes: this is not a terminal.",
            "Read what it would do, then add --yes.",
            Exit.USAGE,
        )
    click.confirm(question, abort=True, err=True)
