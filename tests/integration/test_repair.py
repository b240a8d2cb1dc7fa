"""Bits flipped in a stopped node's store: it starts again and mends itself from the others, or refuses."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consensus.messages import Entry
from ledger.records import account_row_key
from ledger.state import load_progress
from node.config import load_config
from node.data_switch import suspect_file
from node.disk import LevelDatabase
from node.local import LocalNetwork
from node.records import HARD_STATE, block_key
from node.run import EXIT_CANNOT_START
from node.store import LogWrite, Store
from tests.integration.harness import Bank, funded, provision

pytestmark = pytest.mark.processes


class Damaged:
    """A network, the node whose store is damaged, and one whose store is whole."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.bank = Bank(network.network)
        self.whole, _, self.victim = network.node_ids

    def data(self, node: str) -> Path:
        """Where a node's store is."""
        return load_config(self.network.network.config(node)).data

    @contextlib.contextmanager
    def opened(self, node: str) -> Iterator[tuple[LevelDatabase, Store]]:
        """A stopped node's store."""
        with contextlib.closing(LevelDatabase(self.data(node))) as database:
            genesis_raw = self.network.network.genesis.read_bytes()
            yield database, Store.open(database, genesis_raw, node)

    def flip(self, key: bytes) -> None:
        """Flip a bit of a row of the victim's."""
        with contextlib.closing(LevelDatabase(self.data(self.victim))) as database:
            row = database.get(key)
            assert row is not None
            database.write({key: row[:-1] + bytes([row[-1] ^ 1])}, (), sync=True)

    def executed(self, node: str) -> int:
        """A stopped node's executed height."""
        with self.opened(node) as (_, store):
            return load_progress(store).height

    def start(self, *nodes: str) -> None:
        """Start nodes and wait until they are ready."""
        self.network.start(nodes)
        asyncio.run(self.network.ready(nodes))

    def pay(self, *nodes: str, blocks: int) -> None:
        """Let the chain grow by so many blocks or more, through these nodes."""

        async def paid() -> None:
            async with self.bank.client(*nodes) as client:
                for _ in range(blocks):
                    await funded(self.bank, client, 1)

        asyncio.run(paid())

    def said(self, event: str) -> bool:
        """Whether the victim's log has a line of this event."""
        return f'"event": "{event}"' in self.network.log_file(self.victim).read_text(encoding="utf-8")


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Damaged]:
    """Three nodes with some blocks; the victim is killed."""
    with LocalNetwork(provision(tmp_path / "net")) as network:
        network.start()
        asyncio.run(network.ready())
        made = Damaged(network)
        made.pay(blocks=3)
        network.kill(made.victim)
        yield made


def test_a_node_mends_blocks_and_state_and_the_end_of_its_log(damaged: Damaged) -> None:
    """Each time it is ready again and settles with the others; its audit is clean while it has all blocks."""
    damaged.flip(block_key(damaged.executed(damaged.victim) - 2))
    damaged.start(damaged.victim)
    assert damaged.said("record_repaired")
    damaged.network.kill(damaged.victim)

    damaged.pay(damaged.whole, blocks=2)
    assert set(damaged.network.stop().values()) == {0}
    _acknowledge_and_damage(damaged)
    damaged.start(*damaged.network.node_ids)
    assert damaged.said("log_repaired")
    damaged.network.kill(damaged.victim)
    _audit(damaged, damaged.victim)

    damaged.flip(account_row_key(0))
    damaged.start(damaged.victim)
    assert damaged.said("state_replaced")
    assert not suspect_file(damaged.data(damaged.victim)).exists()
    damaged.pay(damaged.victim, blocks=1)
    assert set(damaged.network.stop().values()) == {0}
    _audit(damaged, damaged.whole)


def test_a_node_without_its_vote_is_refused(damaged: Damaged) -> None:
    """It ends with 1 and says what is damaged and what to do; the two others go on."""
    damaged.flip(HARD_STATE)
    damaged.network.start([damaged.victim])
    assert damaged.network.wait(damaged.victim) == EXIT_CANNOT_START
    words = damaged.network.last_lines(damaged.victim)
    assert "the record at key H:" in words
    assert "bring the bank back as a new node" in words
    damaged.pay(damaged.whole, blocks=1)


def _acknowledge_and_damage(damaged: Damaged) -> None:
    """The victim's log goes on with blocks that were committed meanwhile, the first of them damaged."""
    height = damaged.executed(damaged.victim)
    with damaged.opened(damaged.whole) as (_, store):
        found = [store.entry(height + 1), store.entry(height + 2)]
    entries: tuple[Entry, ...] = tuple(entry for entry in found if entry is not None)
    assert len(entries) == 2
    with damaged.opened(damaged.victim) as (_, store):
        store.write_log([LogWrite(None, entries)])
    damaged.flip(block_key(height + 1))


def _audit(damaged: Damaged, node: str) -> None:
    command = [sys.executable, "-m", "cli", "audit", str(damaged.data(node))]
    genesis = str(damaged.network.network.genesis)
    done = subprocess.run(
        [*command, "--genesis", genesis], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
