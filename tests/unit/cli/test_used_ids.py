"""Before a backup is restored, running nodes are asked whether the new node's id was ever used."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import Listen, render_config
from tests.unit.cli.conftest import Nostro
from tests.unit.cli.world import World
from tests.unit.node.snapshots import grown, snapshot_of

NOWHERE = Listen("127.0.0.1", 1)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup, and beside it the genesis of its network."""
    node = grown(2)
    snapshot_of(node, tmp_path / "backup")
    (tmp_path / "genesis.bin").write_bytes(node.genesis_raw)
    return tmp_path / "backup"


def config_of(folder: Path, node: str, api_urls: dict[str, str]) -> Path:
    """The configuration of a node that is to be made of the backup."""
    text = render_config(
        node=node, member="bank0", peer=NOWHERE, api=NOWHERE, admin=NOWHERE, api_urls=api_urls
    )
    (folder / "node.toml").write_text(text)
    return folder / "node.toml"


def test_an_id_that_a_running_node_knows_as_used_is_refused(
    nostro: Nostro, world: World, backup: Path, tmp_path: Path, unused_url: str
) -> None:
    """Though the backup doesn't know of it, and one of those asked is silent; nothing is written."""
    config = config_of(tmp_path, "node-beta", {"n1": unused_url, "node-alpha": world.url})
    refused = nostro("node", "restore", backup, "--config", config)
    assert refused.exit_code == 1, refused.output
    assert f"node-beta has taken part in the chain: it is voting, says {world.url}" in refused.stderr
    assert "register a new node with its own id" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_node_that_was_let_go_is_no_witness(
    nostro: Nostro, world: World, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the chain as of that day, and says so; this counts as no answer."""
    monkeypatch.setattr("cli.used_ids.ASK_TIMEOUT_MS", 300)
    world.host.retired = True
    config = config_of(tmp_path, "n7", {"n1": world.url})
    restored = nostro("node", "restore", backup, "--config", config)
    assert restored.exit_code == 0, restored.output
    assert "no running node could be asked" in restored.stderr


@pytest.mark.parametrize("named", [True, False])
def test_an_unused_id_is_restored(
    nostro: Nostro, world: World, backup: Path, tmp_path: Path, named: bool
) -> None:
    """By the URL that was named, or those of the configuration; the node's own isn't asked."""
    config = config_of(tmp_path, "n7", {} if named else {"n7": "http://127.0.0.1:1", "n1": world.url})
    restored = nostro("node", "restore", backup, "--config", config, *(("--url", world.url) if named else ()))
    assert restored.exit_code == 0, restored.output
    assert "height" in restored.stdout
    assert "warning" not in restored.stderr.lower()


def test_where_nobody_answers_it_is_said(
    nostro: Nostro, backup: Path, tmp_path: Path, unused_url: str
) -> None:
    """It is restored all the same: the others may all be down."""
    config = config_of(tmp_path, "n7", {"n1": unused_url})
    restored = nostro("node", "restore", backup, "--config", config)
    assert restored.exit_code == 0, restored.output
    assert "no running node could be asked" in restored.stderr.lower()
    assert (tmp_path / "data").exists()


def test_a_url_that_is_none_is_a_usage_error(nostro: Nostro, backup: Path, tmp_path: Path) -> None:
    """It says where to correct it."""
    refused = nostro(
        "node", "restore", backup, "--config", config_of(tmp_path, "n7", {}), "--url", "bank.example"
    )
    assert (refused.exit_code, "Correct --url" in refused.stderr) == (2, True)
