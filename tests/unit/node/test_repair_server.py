"""What a node gives to others that lost it, over real sockets and real TLS; and a state taken from a peer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger.codec import decode
from ledger.records import account_row_key
from ledger.state import load_progress
from node import tls
from node.data_switch import suspect_file
from node.disk import LevelDatabase
from node.introductions import VOTERS_PATH, Introduction, introduced
from node.joining import Joiner, open_store
from node.records import CorruptRecord, block_key
from node.repair import BLOCK_PATH, PROOF_PATH, NotRepaired
from node.repair_server import MAX_DIGITS, RepairServer
from node.snapshot_fetch import PeerAnswer, PeerClient
from tests.unit.node.harness import Network, Node
from tests.unit.node.peer_ends import NETWORK, listen, node_files
from tests.unit.node.peer_ends import Node as Linked
from tests.unit.node.snapshots import grown
from tests.unit.node.test_snapshot_transfer import Source


def served(
    folder: Path, node: Node, paths: list[str], client: str = "n1"
) -> tuple[list[PeerAnswer], list[str]]:
    """What a node answers to another over its peers' port, and the damage that it meets."""
    met: list[str] = []

    async def scenario() -> list[PeerAnswer]:
        listener, address = listen()
        linked = Linked(folder, "n0", {"n0": address, "n1": "127.0.0.1:1"})
        server = RepairServer(
            node.store,
            lambda: node.driver.executed_height,
            lambda: node.driver.executed.registry,
            lambda error: met.append(type(error).__name__),
        )
        linked.links.serve(server.routes())
        await linked.links.start(listener, linked.recorder)
        context = tls.peer_client_context(node_files(folder, client))
        try:
            async with PeerClient(context, NETWORK, lambda: {"n0": address}) as peer:
                return [await peer.ask("n0", path) for path in paths]
        finally:
            await linked.links.close()

    return asyncio.run(scenario()), met


def test_executed_blocks_and_proofs_are_given(tmp_path: Path) -> None:
    """A proof is of the height that is asked for, or of the highest where none is so high."""
    node = grown(4)
    height = node.driver.executed_height
    proofs = [PROOF_PATH.format(height=of) for of in (2, height, 10**17)]
    paths = [BLOCK_PATH.format(height=2), *proofs, VOTERS_PATH]
    (block, low, high, beyond, voters), met = served(tmp_path, node, paths)
    assert introduced(node.genesis_raw, decode(voters.body, Introduction)) == {"n0": "n0:7000"}
    entry = node.store.entry(2)
    assert entry is not None
    assert (block.status, block.body) == (200, entry.data)
    assert {low.status, high.status, beyond.status} == {200}
    assert low.body != high.body == beyond.body
    assert met == []


def test_what_is_not_held_is_not_found(tmp_path: Path) -> None:
    """Blocks that aren't executed, whatever isn't a height, and proofs where nothing is certified."""
    node = grown(3)
    above = node.driver.executed_height + 1
    texts = [str(above), "0", "-1", "²", "9" * MAX_DIGITS, "9" * (MAX_DIGITS + 1), "x"]
    answers, met = served(tmp_path, node, [BLOCK_PATH.format(height=text) for text in texts])
    assert [answer.status for answer in answers] == [404] * len(texts)
    (proof,), _ = served(tmp_path, Node(), [PROOF_PATH.format(height=1)])
    assert proof.status == 404
    assert met == []


def test_an_introduction_is_made_anew_only_where_it_changes() -> None:
    """A block that changes nothing about the nodes costs nothing; another address is told at once."""
    leader = Network(3).elect()
    registries = [leader.driver.executed.registry]
    server = RepairServer(
        leader.store, lambda: leader.driver.executed_height, lambda: registries[-1], lambda error: None
    )
    first = server.voters()
    assert first is not None
    registries.append(registries[0].with_asset(registries[0].assets["EUR"]))
    assert server.voters() is first
    moved = msgspec.structs.replace(registries[0].nodes["n1"], address="elsewhere:1")
    registries.append(registries[0].with_node(moved))
    raw = server.voters()
    assert raw is not None
    assert "elsewhere:1" in decode(raw, Introduction).addresses


def test_strangers_get_nothing(tmp_path: Path) -> None:
    """A certificate of the network's CA isn't enough: the node must be one of the chain."""
    (answer,), _ = served(tmp_path, grown(3), [BLOCK_PATH.format(height=1)], client="n7")
    assert answer.status == 403


def test_damage_that_is_met_here_is_told(tmp_path: Path) -> None:
    """The giver's own store is damaged: it gives nothing, and is to stop."""
    node = grown(3)
    row = node.disk.live[block_key(1)]
    node.disk.live[block_key(1)] = row[:-1] + bytes([row[-1] ^ 1])
    (answer,), met = served(tmp_path, node, [BLOCK_PATH.format(height=1)])
    assert answer.status == 503
    assert met == [CorruptRecord.__name__]


class Suspect:
    """A node's store whose account rows are damaged, and a peer that gives snapshots."""

    def __init__(self, folder: Path) -> None:
        self.source = Source(folder)
        self.data = folder / "own" / "data"
        with_rows = LevelDatabase(self.data)
        rows = dict(self.source.node.disk.live)
        rows[account_row_key(0)] = rows[account_row_key(0)][:-1] + b"\x01"
        with_rows.write(rows, (), sync=True)
        with_rows.close()
        suspect_file(self.data).touch()

    def open(self, joiner: Joiner) -> int:
        """Start on it; the executed height then."""

        async def opened() -> int:
            database, store = await open_store(joiner, 0)
            height = load_progress(store).height
            database.close()
            return height

        return asyncio.run(opened())


def test_a_damaged_state_is_replaced_by_a_snapshot(tmp_path: Path) -> None:
    """The vote and the seals stay; once it is done, nothing is suspected any more."""
    suspect = Suspect(tmp_path)
    height = suspect.open(suspect.source.joiner(suspect.data))
    assert height == suspect.source.node.driver.executed_height
    database = LevelDatabase(suspect.data)
    kept = (b"H", b"s")
    old = suspect.source.node.disk.live
    for prefix in kept:
        rows = dict(database.scan(prefix, bytes([prefix[0] + 1])))
        assert rows == {key: row for key, row in old.items() if key[:1] == prefix}
    database.close()
    assert not suspect_file(suspect.data).exists()
    suspect.source.close()


def test_a_damaged_state_that_nobody_replaces_keeps_the_node_out(tmp_path: Path) -> None:
    """It says what is wrong, and the next start looks again."""
    suspect = Suspect(tmp_path)
    joiner = suspect.source.joiner(suspect.data)
    alone = replace(joiner, peers=lambda: frozenset({"n9"}))
    with pytest.raises(NotRepaired, match=r"accounts root.*no other node gives a snapshot"):
        suspect.open(alone)
    assert suspect_file(suspect.data).exists()
    suspect.source.close()
