"""Backups: written, proved, restored under another id, and refused wherever a promise could be forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.genesis import FIRST_EPOCH, network_id
from ledger.snapshot import SnapshotInvalid
from ledger.state import load_progress
from node.backup import (
    BackupRefused,
    back_up_store,
    check_target,
    copy_backup,
    restore,
    verify_backup,
)
from node.disk import LevelDatabase, StoreInUse
from node.pruning import LEAST_KEPT_BLOCKS, Pruner
from node.snapshot_folder import MANIFEST, chunks_of
from node.store import Store
from tests.simulation.cluster.bank import genesis_of
from tests.unit.node.harness import ManualWorker, Node
from tests.unit.node.peer_ends import Lines
from tests.unit.node.snapshots import grown, snapshot_of


def stored(node: Node, data: Path) -> Path:
    """A node's store in a real LevelDB, closed."""
    database = LevelDatabase(data)
    database.write(node.disk.live, (), sync=True)
    database.close()
    return data


def executed(data: Path, genesis_raw: bytes, node_id: str) -> int:
    """The height of a store, which opens for this node."""
    database = LevelDatabase(data, create=False)
    height = load_progress(Store.open(database, genesis_raw, node_id)).height
    database.close()
    return height


def test_a_stopped_nodes_backup_becomes_a_new_nodes_store(tmp_path: Path) -> None:
    """It proves itself, and the new store is of the same height; no key or vote goes along."""
    node = grown(5)
    data = stored(node, tmp_path / "data")
    manifest = back_up_store(data, node.genesis_raw, "n0", tmp_path / "backup")
    assert verify_backup(tmp_path / "backup", node.genesis_raw) == manifest
    assert restore(tmp_path / "backup", node.genesis_raw, "n7", tmp_path / "new" / "data") == manifest
    assert executed(tmp_path / "new" / "data", node.genesis_raw, "n7") == manifest.height
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["data"]


def test_an_old_node_is_never_restored(tmp_path: Path) -> None:
    """Who has voted may have promised what the backup doesn't know; nothing is left of the attempt."""
    node = grown(3)
    snapshot_of(node, tmp_path / "backup")
    data = tmp_path / "data"
    with pytest.raises(BackupRefused, match="n0 has taken part"):
        restore(tmp_path / "backup", node.genesis_raw, "n0", data)
    assert not data.exists()


def test_a_store_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """Neither by a restore nor by a backup."""
    node = grown(3)
    snapshot_of(node, tmp_path / "backup")
    data = stored(node, tmp_path / "data")
    with pytest.raises(BackupRefused, match="There is a store at"):
        restore(tmp_path / "backup", node.genesis_raw, "n7", data)
    check_target(tmp_path / "fresh")
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    with pytest.raises(BackupRefused, match="is not empty"):
        check_target(tmp_path / "backup")


def test_a_copy_is_a_backup_only_when_it_is_whole(tmp_path: Path) -> None:
    """The manifest comes last; a copy without it, or with a chunk spoilt, proves nothing."""
    node = grown(4)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    target = tmp_path / "backup"
    assert copy_backup(tmp_path / "snapshot", target) == manifest
    assert verify_backup(target, node.genesis_raw) == manifest
    for chunk in chunks_of(manifest):
        whole = (target / chunk.name).read_bytes()
        (target / chunk.name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(SnapshotInvalid, match=chunk.name):
            verify_backup(target, node.genesis_raw)
        with pytest.raises(SnapshotInvalid, match=chunk.name):
            restore(target, node.genesis_raw, "n7", tmp_path / "data")
        (target / chunk.name).write_bytes(whole)
    (target / MANIFEST).unlink()
    with pytest.raises(SnapshotInvalid, match="manifest"):
        verify_backup(target, node.genesis_raw)
    for folder in (target, tmp_path / "nothing"):
        with pytest.raises(BackupRefused, match="There is no backup at"):
            restore(folder, node.genesis_raw, "n7", tmp_path / "data")


def test_what_no_quorum_confirmed_is_not_backed_up(tmp_path: Path) -> None:
    """A stopped node's newest block without a certificate, or genesis alone: nothing is left behind."""
    node = grown(3)
    for key in [key for key in node.disk.live if key[:1] == b"c"]:
        del node.disk.live[key]
    data = stored(node, tmp_path / "data")
    with pytest.raises(BackupRefused, match="no certificate"):
        back_up_store(data, node.genesis_raw, "n0", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    fresh = stored(Node(), tmp_path / "fresh")
    with pytest.raises(BackupRefused, match="Nothing is executed"):
        back_up_store(fresh, node.genesis_raw, "n0", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_running_nodes_store_is_not_opened(tmp_path: Path) -> None:
    """It has the store; whoever backs it up asks it."""
    node = grown(2)
    database = LevelDatabase(tmp_path / "data")
    with pytest.raises(StoreInUse):
        back_up_store(tmp_path / "data", node.genesis_raw, "n0", tmp_path / "backup")
    database.close()


def test_another_networks_backup_is_refused(tmp_path: Path) -> None:
    """The genesis of the new node decides."""
    node = grown(2)
    snapshot_of(node, tmp_path / "backup")
    other = genesis_of(3)
    assert network_id(other) != network_id(node.genesis_raw)
    assert FIRST_EPOCH == 0
    with pytest.raises(SnapshotInvalid, match="of the network"):
        restore(tmp_path / "backup", other, "n7", tmp_path / "data")


def test_a_running_node_forgets_on_request(tmp_path: Path) -> None:
    """All but the newest certified blocks, and never fewer than others need to go on from a snapshot."""
    node = grown(4)
    worker = ManualWorker()
    certified = LEAST_KEPT_BLOCKS + 3
    pruner = Pruner(node.store, worker, lambda: certified, Lines())

    async def pruned(keep: int) -> int:
        asked = asyncio.create_task(pruner.prune(keep))
        await asyncio.sleep(0)
        worker.run()
        return await asked

    assert asyncio.run(pruned(LEAST_KEPT_BLOCKS)) == 3
    assert [node.store.entry(height) is None for height in (1, 2, 3, 4)] == [True, True, True, False]
    assert asyncio.run(pruned(LEAST_KEPT_BLOCKS + 9)) == 3
    with pytest.raises(ValueError, match=f"at least {LEAST_KEPT_BLOCKS}"):
        asyncio.run(pruned(LEAST_KEPT_BLOCKS - 1))


def test_no_row_vanishes_that_the_log_still_offers(tmp_path: Path) -> None:
    """The log begins above the bodies before the disk's worker deletes the first of them."""
    node = grown(4)
    worker = ManualWorker()
    pruner = Pruner(node.store, worker, lambda: LEAST_KEPT_BLOCKS + 3, Lines())

    async def scenario() -> None:
        asked = asyncio.create_task(pruner.prune(LEAST_KEPT_BLOCKS))
        await asyncio.sleep(0)
        assert (node.store.pruned, node.store.entry(1) is None) == (3, False)
        worker.run()
        await asked
        assert node.store.entry(1) is None

    asyncio.run(scenario())


def test_a_failed_write_is_told_to_who_asked(tmp_path: Path) -> None:
    """Forgetting what isn't executed is refused by the store, and the request fails."""
    node = grown(2)
    worker = ManualWorker()
    pruner = Pruner(node.store, worker, lambda: 10_000, Lines())

    async def pruned() -> int:
        asked = asyncio.create_task(pruner.prune(LEAST_KEPT_BLOCKS))
        await asyncio.sleep(0)
        worker.run()
        return await asked

    with pytest.raises(ValueError, match="is not executed here"):
        asyncio.run(pruned())
