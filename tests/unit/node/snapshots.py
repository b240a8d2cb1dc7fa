"""Nodes with chains worth a snapshot, and snapshots of them, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

from ledger.snapshot import Manifest
from node.ports import Database
from node.snapshot_export import export_items, prove_exported
from node.snapshot_folder import chunks_of, make_empty, read_chunk, write_manifest
from node.snapshot_install import SnapshotInstaller
from node.store import Store
from tests.unit.node.harness import Node, open_database


def grown(blocks: int, node: Node | None = None) -> Node:
    """A node alone (or this one) whose chain has so many blocks; each opens an account."""
    node = node or Node()
    node.tick(30)
    for number in range(node.driver.executed_height, blocks):
        tx_id = number.to_bytes(16, "big")
        node.submit(node.bank.open_account("bank0", f"a{number}", tx_id, (1, 2**62)))
        node.tick()
    return node


def snapshot_of(node: Node, folder: Path) -> Manifest:
    """A snapshot of a node's newest state in a folder."""
    make_empty(folder)
    manifest = prove_exported(node.store, export_items(open_database(node.disk), folder))
    assert manifest is not None
    write_manifest(folder, manifest)
    return manifest


def install_into(
    database: Database,
    folder: Path,
    manifest: Manifest,
    node: Node,
    old: Store | None = None,
    id_: str = "n0",
) -> None:
    """Build a store of a snapshot in `database`."""
    installer = SnapshotInstaller(node.genesis_raw, id_, manifest, database)
    for chunk in chunks_of(manifest):
        installer.take(chunk, read_chunk(folder, chunk))
    installer.prove()
    installer.finish(old)
