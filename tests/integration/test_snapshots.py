"""Nodes that get the chain as a snapshot: their peers have forgotten the blocks that they lack."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from node.config import load_config
from node.data_switch import fetched_folder, new_folder, old_folder
from node.disk import LevelDatabase
from node.local import LocalNetwork, wait_until
from node.provision import load_network
from node.store import Store
from tests.campaigns.chain import write_chain
from tests.integration.harness import Bank, funded, provision, prune
from wallet.client import Freshness

pytestmark = pytest.mark.processes

ACCOUNTS, PAYMENTS = 50, 600
RUNNING = ("alpha-1", "bravo-1")
JOINER = "charlie-1"
KEPT_BLOCKS = 50
JOINED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped network's folder, to be copied: two nodes have a chain of which they hold the end."""
    network = provision(tmp_path_factory.mktemp("written") / "net")
    height = write_chain(Bank(network), RUNNING, ACCOUNTS, PAYMENTS, block_size=1)
    for node in RUNNING:
        prune(network, node, height - KEPT_BLOCKS)
    return network.directory


@pytest.fixture
def local(_written: Path, tmp_path: Path) -> Iterator[LocalNetwork]:
    """Two nodes run on a chain of some 650 blocks of which they hold the last 50; the third has none."""
    with LocalNetwork(load_network(shutil.copytree(_written, tmp_path / "net"))) as started:
        started.start(RUNNING)
        asyncio.run(started.ready(RUNNING))
        yield started


async def logged(local: LocalNetwork, event: str) -> None:
    """Wait until the joiner has said so in its log."""

    async def said() -> bool:
        return f'"{event}"' in local.log_file(JOINER).read_text()

    await wait_until(said, JOINED_WITHIN_S, f"{JOINER} says {event}")


async def check_pays(local: LocalNetwork) -> None:
    """A payment through the joiner is executed, and read there."""
    bank = Bank(local.network)
    async with bank.client(JOINER) as client:
        holder = await funded(bank, client, 100)
        answer = await client.submit(bank.pay(holder, bank.issuer, 7).raw)
        assert answer.status == "executed"
        account = await client.account(bank.address(holder), Freshness(min_height=answer.height or 0))
        assert account.balance == "0.93"


def test_a_node_whose_peers_have_forgotten_goes_on_from_a_snapshot(local: LocalNetwork) -> None:
    """In the same process it takes the snapshot, and then part in what comes; nothing is left beside."""

    async def scenario() -> None:
        local.start([JOINER])
        await logged(local, "snapshot_installed")
        await local.ready([JOINER])
        await check_pays(local)

    asyncio.run(scenario())
    data = load_config(local.network.config(JOINER)).data
    assert not any(folder(data).exists() for folder in (fetched_folder, new_folder, old_folder))
    local.kill(JOINER)
    local.start([JOINER])
    asyncio.run(local.ready([JOINER]))
    asyncio.run(check_pays(local))


def test_a_node_killed_while_it_takes_a_snapshot_takes_it_after_all(local: LocalNetwork) -> None:
    """Killed as it begins to fetch, when all is proved, and once it has switched: each start goes on."""

    async def scenario() -> None:
        for moment in ("snapshot_fetching", "snapshot_proved", "snapshot_installed"):
            local.start([JOINER])
            await logged(local, moment)
            local.kill(JOINER)
        local.start([JOINER])
        await local.ready([JOINER], timeout_s=JOINED_WITHIN_S)
        await check_pays(local)

    asyncio.run(scenario())


def nostro(*arguments: object) -> dict[str, Any]:
    """Run a command as a person would, and give what it answered."""
    command = [sys.executable, "-m", "cli", *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_a_running_node_is_backed_up_and_its_backup_becomes_another(
    local: LocalNetwork, tmp_path: Path
) -> None:
    """The command asks the node, proves what it copied, and restores it for a node that has never voted."""
    network = local.network
    running = network.config(RUNNING[0])
    made = nostro("node", "backup", running, tmp_path / "backup")
    assert made["accounts"] == ACCOUNTS + 1
    assert made["transactions"] == ACCOUNTS * 2 + PAYMENTS
    assert set(made["certified_by"]) <= set(local.node_ids)
    fresh = tmp_path / "fresh.toml"
    text = network.config(JOINER).read_text().replace('"data"', f'"{tmp_path / "restored"}"')
    folder = network.config(JOINER).parent
    for name in ("genesis.bin", "signing.key", "ca.pem", "node.pem", "node.key", "api.pem", "api.key"):
        text = text.replace(f'"{name}"', f'"{folder / name}"')
    fresh.write_text(text.replace(f'id = "{JOINER}"', 'id = "delta-1"'))
    restored = nostro("node", "restore", tmp_path / "backup", "--config", fresh)
    assert restored["height"] == made["height"]
    with closing(LevelDatabase(tmp_path / "restored", create=False)) as database:
        store = Store.open(database, network.genesis.read_bytes(), "delta-1")
        assert store.pruned == made["height"]
