"""`nostro block`: the blocks of the chain, as a node has them.

It must not know how a block is made or checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.lazy import LazyCommand, LazyGroup
from cli.times import utc

if TYPE_CHECKING:
    from wallet.answers import Block, Certificate
    from wallet.client import Client

BLOCK_COMMANDS = {
    "list": LazyCommand("cli.block:list_blocks", "List blocks, newest first."),
    "show": LazyCommand("cli.block:show", "Show one block and its certificate."),
}
MOST_AT_ONCE = 200


@click.command(cls=LazyGroup, lazy=BLOCK_COMMANDS, name="block")
def block() -> None:
    """Look at the blocks of the chain."""


@click.command(name="list")
@click.option("--before", type=click.IntRange(1), help="Only blocks below this height.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, MOST_AT_ONCE), help="How many."
)
@connection_options
@output.json_option
def list_blocks(before: int | None, limit: int, connection: Connection) -> None:
    """List blocks, newest first."""
    import msgspec

    out = output.current()
    page = connection.ask(lambda client: client.blocks(before=before, limit=limit))
    rows = [
        (block.height, utc(block.time_ms), block.proposer, block.tx_count, block.hash)
        for block in page.blocks
    ]
    columns = ("HEIGHT>", "TIME", "PROPOSER", "PAYMENTS>", "HASH")
    out.result(msgspec.to_builtins(page), lambda: out.table(columns, rows))


@click.command()
@click.argument("name", metavar="HEIGHT|HASH|latest")
@connection_options
@output.json_option
def show(name: str, connection: Connection) -> None:
    """Show one block and its certificate."""
    import msgspec

    out = output.current()
    found, certificate = connection.ask(lambda client: _block_and_certificate(client, name))
    document: dict[str, Any] = {"block": msgspec.to_builtins(found)}
    if certificate is not None:
        document["certificate"] = msgspec.to_builtins(certificate)

    def human() -> None:
        out.fields((*_header(found), *_certified(certificate)))

    out.result(document, human)


async def _block_and_certificate(client: Client, name: str) -> tuple[Block, Certificate | None]:
    """A block, and its certificate where the node has it: the newest blocks get theirs a moment later."""
    from wallet.replies import NotFound

    found = await client.block(name)
    try:
        return found, await client.certificate(found.height)
    except NotFound:
        return found, None


def _header(found: Block) -> tuple[tuple[str, object], ...]:
    return (
        ("height", found.height),
        ("hash", found.hash),
        ("parent", found.parent_hash),
        ("time", utc(found.time_ms)),
        ("proposer", f"{found.proposer} (term {found.term})"),
        ("payments", found.tx_count),
        ("size", f"{found.body_bytes:,} bytes"),
        ("payments' root", found.tx_root),
    )


def _certified(certificate: Certificate | None) -> tuple[tuple[str, object], ...]:
    if certificate is None:
        return (("certified", "not yet"),)
    return (
        ("certified by", ", ".join(signature.node for signature in certificate.signatures)),
        ("state root", certificate.state_root),
    )
