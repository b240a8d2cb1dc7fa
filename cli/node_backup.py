"""`nostro node backup`, `restore` and `prune`: a node's store copied, made anew, and made smaller.

It must not know what a snapshot holds or how it is proved.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.admin_port import configured_port
from cli.progress import patiently, progress
from cli.used_ids import check_unused
from ledger.snapshot import ACCOUNTS, CHAIN
from node import operators
from node.backup import back_up_store, check_target, copy_backup, verify_backup
from node.backup import restore as restore_store
from node.config import NodeConfig, load_config
from node.disk import LevelDatabase, StoreInUse
from node.operators import PRUNE_TIMEOUT_S, SNAPSHOT_TIMEOUT_S
from node.provision import load_network
from node.pruning import LEAST_KEPT_BLOCKS
from node.store import PRUNED_AT_ONCE, Store

if TYPE_CHECKING:
    from ledger.snapshot import Manifest
    from node.operators import AdminPort

_operator_option = click.option(
    "--operator",
    type=click.Path(path_type=Path),
    help="The folder of its member, with operator.pem and operator.key; not needed in its network's folder.",
)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@_operator_option
@output.json_option
def backup(config: Path, folder: Path, operator: Path | None) -> None:
    """Write a node's state and history to FOLDER, and prove what was written.

    CONFIG is the node.toml of a node that runs, or is stopped. The backup is as of the newest block; it holds
    no keys, and becomes a new node (`nostro node restore`).
    """
    check_target(folder)
    settings = load_config(config)
    genesis_raw = settings.genesis.read_bytes()
    try:
        with progress("accounts and blocks written") as tell:
            back_up_store(settings.data, genesis_raw, settings.node, folder, tell)
    except StoreInUse:
        making = operators.make_snapshot(_admin_port(config, settings, operator))
        snapshot = asyncio.run(patiently(making, _waiting(settings, "made a snapshot", SNAPSHOT_TIMEOUT_S)))
        with progress("bytes copied") as tell:
            copy_backup(snapshot, folder, tell)
    with progress("bytes proved") as tell:
        manifest = verify_backup(folder, genesis_raw, tell)
    _show(manifest, folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    help="The configuration (node.toml) of the new node.",
)
@click.option(
    "--url",
    "urls",
    multiple=True,
    help="The API of a running node, to be asked whether the id was used; repeat it.  [default: api_urls of "
    "the configuration]",
)
@output.json_option
def restore(folder: Path, config: Path, urls: tuple[str, ...]) -> None:
    """Make the store of a new node of the backup in FOLDER, proving all of it.

    The node must have an id and a key of its own, that the members register: what the old node promised since
    the backup, nobody knows. So the nodes that run are asked first, and a used id is refused. The new node
    gets what came later from the others, and learns before it votes.
    """
    settings = load_config(config)
    others = tuple(url for node, url in settings.api_urls.items() if node != settings.node)
    told = check_unused(settings.node, urls or others, settings.ca)
    with progress("bytes restored") as tell:
        manifest = restore_store(folder, settings.genesis.read_bytes(), settings.node, settings.data, tell)
    _show(manifest, settings.data)
    if not told:
        output.current().warn(
            f"no running node could be asked. Before it starts: if {settings.node} took part after block "
            f"{manifest.height:,}, this backup doesn't know, and it must not run. `nostro members` has to "
            "show it as registered, or not at all."
        )


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(min=LEAST_KEPT_BLOCKS),
    required=True,
    help="How many of the newest blocks to keep whole.",
)
@_operator_option
@output.json_option
def prune(config: Path, keep: int, operator: Path | None) -> None:
    """Forget the transactions of old blocks; balances, outcomes, headers and seals stay.

    CONFIG is the node.toml of a node that runs, or is stopped. Somebody should keep all blocks: receipts and
    audits need them. What is forgotten can't be had back but from another node's store.
    """
    out = output.current()
    settings = load_config(config)
    try:
        height = _prune_store(settings, keep)
    except StoreInUse:
        pruning = operators.prune(_admin_port(config, settings, operator), keep)
        height = asyncio.run(patiently(pruning, _waiting(settings, "forgotten old blocks", PRUNE_TIMEOUT_S)))
    out.result({"pruned_height": height}, lambda: out.fields((("forgotten up to height", height),)))


def _prune_store(settings: NodeConfig, keep: int) -> int:
    """Forget blocks of a node that doesn't run; up to which height they are forgotten then."""
    with (
        closing(LevelDatabase(settings.data, create=False)) as database,
        progress("blocks forgotten") as tell,
    ):
        store = Store.open(database, settings.genesis.read_bytes(), settings.node)
        before, target = store.pruned, store.last_certified() - keep
        while store.pruned < target:
            store.prune(min(target, store.pruned + PRUNED_AT_ONCE))
            tell(store.pruned - before, target - before)
        return store.pruned


def _waiting(settings: NodeConfig, what: str, most_s: float) -> str:
    """What a person is told who waits for a running node, which doesn't say how far it is."""
    return f"Waiting until {settings.node}, which runs, has {what}; {most_s:.0f} s at the most ..."


def _admin_port(config: Path, settings: NodeConfig, operator: Path | None) -> AdminPort:
    """The admin port of the node that runs under this configuration."""
    if operator is None:
        return operators.admin_port(load_network(config.resolve().parents[2]), settings.node)
    return configured_port(settings, operator)


def _show(manifest: Manifest, folder: Path) -> None:
    """What was written, where."""
    out = output.current()
    transactions = next(s.items for s in manifest.sections if s.name == CHAIN) - manifest.height
    document = {
        "folder": str(folder),
        "height": manifest.height,
        "accounts": next(s.items for s in manifest.sections if s.name == ACCOUNTS),
        "transactions": transactions,
        "bytes": manifest.size_bytes,
        "certified_by": [signature.node for signature in manifest.certificate.signatures],
    }
    out.result(
        document,
        lambda: out.fields(
            (
                ("written", folder),
                ("height", f"{manifest.height:,}"),
                ("accounts", f"{document['accounts']:,}"),
                ("transactions", f"{transactions:,}"),
                ("proved by", ", ".join(signature.node for signature in manifest.certificate.signatures)),
            )
        ),
    )
