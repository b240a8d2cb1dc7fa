"""`nostro node backup`, `restore` and `prune` say how far they are, or whom they wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from node.disk import LevelDatabase
from node.operators import AdminPort
from node.pruning import LEAST_KEPT_BLOCKS
from tests.unit.cli.conftest import Nostro, Told, document
from tests.unit.cli.test_used_ids import config_of
from tests.unit.node.snapshots import grown, snapshot_of
from tests.unit.node.test_backup import stored

T = TypeVar("T")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Another process has the store, and nobody waits; what a person would be told, who waits for it."""
    told: list[str] = []

    async def at_once(work: Awaitable[T], words: str) -> T:
        told.append(words)
        return await work

    monkeypatch.setattr("cli.node_backup.patiently", at_once)
    monkeypatch.setattr("cli.node_backup._admin_port", lambda *_: None)
    with closing(LevelDatabase(tmp_path / "data")):
        yield told


def test_progress_of_a_stopped_nodes_backup_and_of_restoring_it(
    nostro: Nostro, tmp_path: Path, told: Told
) -> None:
    """Accounts and blocks as they are written, bytes as they are proved and as they are restored."""
    node = grown(5)
    stored(node, tmp_path / "data")
    (tmp_path / "genesis.bin").write_bytes(node.genesis_raw)
    made = document(nostro("node", "backup", config_of(tmp_path, "n0", {}), tmp_path / "backup", "--json"))
    counted = made["accounts"] + made["height"]
    assert told.ends() == {"accounts and blocks written": counted, "bytes proved": made["bytes"]}
    assert [done for label, done, _ in told if label == "accounts and blocks written"] == list(
        range(1, counted + 1)
    )
    told.clear()
    (tmp_path / "data").rename(tmp_path / "old")
    nostro("node", "restore", tmp_path / "backup", "--config", config_of(tmp_path, "n7", {}))
    assert told.ends() == {"bytes restored": made["bytes"]}


def test_progress_of_a_running_nodes_backup(
    nostro: Nostro, tmp_path: Path, told: Told, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is waited for, and what it has made is copied and proved byte by byte."""
    node = grown(3)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    (tmp_path / "genesis.bin").write_bytes(node.genesis_raw)

    async def make_snapshot(_port: AdminPort) -> Path:
        return tmp_path / "snapshot"

    monkeypatch.setattr("node.operators.make_snapshot", make_snapshot)
    done = nostro("node", "backup", config_of(tmp_path, "n0", {}), tmp_path / "backup")
    assert done.exit_code == 0, done.output
    assert running == ["Waiting until n0, which runs, has made a snapshot; 600 s at the most ..."]
    assert told.ends() == {"bytes copied": manifest.size_bytes, "bytes proved": manifest.size_bytes}


def test_progress_of_a_stopped_nodes_pruning(
    nostro: Nostro, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks, some at a time; where none is to be forgotten, nothing is told."""
    monkeypatch.setattr("cli.node_backup.PRUNED_AT_ONCE", 2)
    node = grown(LEAST_KEPT_BLOCKS + 3)
    stored(node, tmp_path / "data")
    (tmp_path / "genesis.bin").write_bytes(node.genesis_raw)
    prune = ("node", "prune", config_of(tmp_path, "n0", {}), "--keep", str(LEAST_KEPT_BLOCKS), "--json")
    height = document(nostro(*prune))["pruned_height"]
    assert told == [("blocks forgotten", done, height) for done in (*range(2, height, 2), height)]
    told.clear()
    assert document(nostro(*prune))["pruned_height"] == height
    assert told == []


def test_a_running_nodes_pruning_is_waited_for(
    nostro: Nostro, tmp_path: Path, running: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one question, and who asked is told of the wait."""
    (tmp_path / "genesis.bin").write_bytes(grown(1).genesis_raw)

    async def prune(_port: AdminPort, keep: int) -> int:
        return keep + 1

    monkeypatch.setattr("node.operators.prune", prune)
    done = nostro("node", "prune", config_of(tmp_path, "n0", {}), "--keep", "2000", "--json")
    assert document(done) == {"pruned_height": 2001}
    assert running == ["Waiting until n0, which runs, has forgotten old blocks; 600 s at the most ..."]
