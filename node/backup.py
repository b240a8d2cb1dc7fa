"""Backups: a snapshot in a folder of one's own, proved after it was written, and a store made of one.

A backup is a snapshot's folder (docs/formats.md, section 11). It holds no key, no vote and no seal of its
node's own: what is made of it is another node. It must not know who asks for one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from ledger.codec import decode
from ledger.records import REGISTERED, NodeRecord, RegistryRow, node_key
from ledger.snapshot import REGISTRY, Manifest, SnapshotInvalid, unpack_chunk
from ledger.snapshot_proof import SnapshotProof
from ledger.state import load_progress
from node.data_switch import new_folder, settle, switch
from node.disk import LevelDatabase
from node.snapshot_export import export_items, prove_exported
from node.snapshot_folder import (
    MANIFEST,
    Chunk,
    chunks_of,
    make_empty,
    read_chunk,
    read_manifest,
    write_manifest,
)
from node.snapshot_install import SnapshotInstaller
from node.store import Store
from wallet.atomic_file import write_private

Progress = Callable[[int, int], None]


def untold(_done: int, _total: int) -> None:
    """Tell nobody of progress."""


class BackupRefused(Exception):
    """A backup can't be made or used as asked; the text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


def check_target(target: Path) -> None:
    """Raise BackupRefused where the folder for a backup holds something already."""
    if target.exists() and any(target.iterdir()):
        raise BackupRefused(f"{target} is not empty.", "Give each backup a new folder.")


def copy_backup(snapshot: Path, target: Path, progress: Progress = untold) -> Manifest:
    """Copy a snapshot that a running node has made; the manifest comes last, so that a part is no backup.

    `progress(done, total)` counts bytes.
    """
    manifest = read_manifest(snapshot)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for chunk in _counted(manifest, progress):
        write_private(target / chunk.name, read_chunk(snapshot, chunk))
    write_private(target / MANIFEST, (snapshot / MANIFEST).read_bytes())
    return manifest


def back_up_store(
    data: Path, genesis_raw: bytes, node_id: str, target: Path, progress: Progress = untold
) -> Manifest:
    """Back up the store of a node that doesn't run; `progress(done, total)` counts accounts and blocks.

    Raises StoreError, CorruptRecord, or BackupRefused where the store's height has no certificate.
    """
    with closing(LevelDatabase(data, create=False)) as database:
        store = Store.open(database, genesis_raw, node_id)
        if not load_progress(store).height:
            raise BackupRefused("Nothing is executed yet.", "Start the node: there is nothing to back up.")
        make_empty(target)
        manifest = prove_exported(store, export_items(database, target, progress))
    if manifest is None:
        shutil.rmtree(target)
        raise BackupRefused(
            f"The store at {data} holds no certificate of its newest block: no quorum has confirmed it.",
            "Start the node, and back it up while it runs.",
        )
    write_manifest(target, manifest)
    return manifest


def verify_backup(folder: Path, genesis_raw: bytes, progress: Progress = untold) -> Manifest:
    """Prove a whole backup from genesis on, as whoever restores it will; raises SnapshotInvalid.

    `progress(done, total)` counts bytes.
    """
    manifest = read_manifest(folder)
    proof = SnapshotProof(genesis_raw, manifest)
    for chunk in _counted(manifest, progress):
        proof.take(chunk.section, unpack_chunk(read_chunk(folder, chunk), chunk.ref, chunk.name))
    proof.finish()
    return manifest


def restore(
    folder: Path, genesis_raw: bytes, node_id: str, data: Path, progress: Progress = untold
) -> Manifest:
    """Make the store of a new node of a backup, proved on the way; the node learns the rest from its peers.

    `progress(done, total)` counts bytes. Raises SnapshotInvalid, or BackupRefused where there is a store
    already, or the node's id has been used: what a node has promised since the backup, the backup can't know.
    """
    settle(data)
    if data.exists():
        raise BackupRefused(f"There is a store at {data} already.", "Restore into a new node's folder.")
    if not (folder / MANIFEST).exists():
        raise BackupRefused(
            f"There is no backup at {folder}.", "Name the folder that `nostro node backup` wrote, whole."
        )
    manifest = read_manifest(folder)
    make_empty(new_folder(data))
    try:
        _build(folder, genesis_raw, node_id, manifest, new_folder(data), progress)
    except (SnapshotInvalid, BackupRefused):
        settle(data)
        raise
    switch(data)
    return manifest


def _build(
    folder: Path, genesis_raw: bytes, node_id: str, manifest: Manifest, new: Path, progress: Progress
) -> None:
    with closing(LevelDatabase(new)) as database:
        installer = SnapshotInstaller(genesis_raw, node_id, manifest, database)
        for chunk in _counted(manifest, progress):
            raw = read_chunk(folder, chunk)
            if chunk.section == REGISTRY:
                _check_new(unpack_chunk(raw, chunk.ref, chunk.name), node_id)
            installer.take(chunk, raw)
        installer.prove()
        installer.finish(None)


def _counted(manifest: Manifest, progress: Progress) -> Iterator[Chunk]:
    """Every chunk in its order; when the next is asked for, the bytes of those before are told as done."""
    done, total = 0, manifest.size_bytes
    for chunk in chunks_of(manifest):
        yield chunk
        done += chunk.ref.size_bytes
        progress(done, total)


def _check_new(rows: list[bytes], node_id: str) -> None:
    """A node that is more than registered has voted, or may have; its id is never used again."""
    for raw in rows:
        row = decode(raw, RegistryRow)
        if row.key == node_key(node_id) and decode(row.value, NodeRecord).status != REGISTERED:
            raise BackupRefused(
                f"The node {node_id} has taken part in the chain: what it has promised since the backup is "
                "not in the backup.",
                "Let the members register a new node with its own id and key, and restore for that one.",
            )
