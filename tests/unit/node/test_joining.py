"""Another node's snapshot in place of the own store: when, from whom, and what is left where that fails."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as replace_dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.genesis import decode_genesis
from ledger.snapshot import CHUNK_BYTES, encode_manifest
from node import joining
from node.addresses import AddressBook
from node.data_switch import fetched_folder, new_folder, settle
from node.disk import LevelDatabase
from node.joining import (
    FAR_BEHIND_BLOCKS,
    Joiner,
    build,
    build_if_far_behind,
    look_out,
    open_store,
)
from node.records import meta_key
from node.snapshot_fetch import PeerAnswer, PeerFailed
from node.snapshot_folder import chunks_of
from node.snapshot_install import SnapshotOvertaken
from node.snapshot_server import MANIFEST_PATH
from node.store import Store
from tests.unit.node.snapshots import grown, snapshot_of
from tests.unit.node.test_membership import Cluster
from tests.unit.node.test_snapshot_transfer import Source, made, still_making

START_TIMEOUT_S = 30.0
"""Far below the time that a running node waits for a snapshot."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source of five blocks."""
    return Source(tmp_path)


def test_a_node_far_behind_takes_a_snapshot_before_it_starts(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old store that is far behind is replaced; one that is near, or whose peers are silent, is opened."""
    far = 2
    monkeypatch.setattr(joining, "FAR_BEHIND_BLOCKS", far)
    data = tmp_path / "joining" / "data"
    joiner = source.joiner(data)
    height = source.node.driver.executed_height

    async def opened(now_ms: int, said: int) -> int:
        source.height = said
        database, store = await open_store(joiner, now_ms)
        executed = store.log_end
        database.close()
        return executed

    late = 2**50

    async def scenario() -> None:
        assert await opened(0, far + 1) == 0
        assert await opened(late, far) == 0
        assert await opened(late, far + 1) == height
        source.grow(1)
        assert await opened(late, height + far + 1) == height

    asyncio.run(scenario())
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]
    source.close()


def test_a_start_does_not_wait_long_for_a_snapshot(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where certification stands still, this node's own seals may be what is missing: it starts."""
    monkeypatch.setattr(joining, "START_PATIENCE_S", 0.0)
    joiner = replace_dataclass(source.joiner(tmp_path / "data"), ask=still_making)

    async def scenario() -> None:
        async with asyncio.timeout(START_TIMEOUT_S):
            database, store = await open_store(joiner, 2**50)
        assert store.log_end == 0
        database.close()

    asyncio.run(scenario())
    source.close()


def test_a_start_asks_those_whom_the_store_names(tmp_path: Path) -> None:
    """Who joined since genesis is asked before the node has a driver; a store without rows names nobody."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    cluster.change(add=cluster.register(3))
    source = Source(tmp_path, node=cluster.nodes["n0"])
    book = AddressBook(decode_genesis(source.node.genesis_raw).nodes, {})
    asked: list[str] = []

    async def silent(peer: str, path: str) -> PeerAnswer:
        asked.append(peer)
        raise PeerFailed(f"{peer} is down")

    joiner = Joiner(
        source.node.genesis_raw,
        "n0",
        tmp_path / "data",
        silent,
        lambda: frozenset(book.addresses),
        source.log,
        book.follow,
    )

    async def scenario() -> None:
        for expected in ({"n0", "n1", "n2"}, {"n0", "n1", "n2", "n3"}):
            asked.clear()
            database, _ = await open_store(joiner, 2**62)
            assert set(asked) == expected
            database.write(source.node.disk.live, (), sync=True)
            database.close()

    asyncio.run(scenario())
    source.close()


def test_an_archive_with_blocks_takes_a_snapshot_only_where_it_must(tmp_path: Path, source: Source) -> None:
    """Far behind it goes on by its log; when the leader has forgotten that, its old store is kept."""
    data = tmp_path / "data"
    joiner = replace_dataclass(source.joiner(data), archive=True)

    async def scenario() -> None:
        database = LevelDatabase(data)
        database.write(source.node.disk.live, (), sync=True)
        database.close()
        source.grow(3)
        source.height = 2 * FAR_BEHIND_BLOCKS
        database, store = await open_store(joiner, 2**50)
        executed = store.log_end
        assert MANIFEST_PATH not in source.asked
        wanted = asyncio.Event()
        wanted.set()
        built = await look_out(joiner, lambda: executed, wanted)
        database.close()
        built.take_over()

    asyncio.run(scenario())
    kept = LevelDatabase(tmp_path / "data.kept-1", create=False)
    assert Store.open(kept, source.node.genesis_raw, "n0").entry(1) is not None
    kept.close()
    source.close()


def test_a_complete_archive_begins_at_genesis(tmp_path: Path, source: Source) -> None:
    """However far behind it is, it asks nobody for a snapshot before it starts."""
    joiner = replace_dataclass(source.joiner(tmp_path / "data"), archive=True, complete=True)

    async def scenario() -> None:
        source.height = 2 * FAR_BEHIND_BLOCKS
        database, store = await open_store(joiner, 2**50)
        assert (store.log_end, source.asked) == (0, [])
        database.close()

    asyncio.run(scenario())
    source.close()


def test_a_running_node_builds_beside_its_store(tmp_path: Path, source: Source) -> None:
    """Its store stays until the new one takes over, with what was promised meanwhile."""
    data = tmp_path / "data"
    joiner = source.joiner(data)

    async def scenario() -> None:
        database, store = await open_store(joiner, 0)
        wanted = asyncio.Event()
        wanted.set()
        built = await look_out(joiner, lambda: 0, wanted)
        store.write_marks({}, {"n1": 99}, {})
        database.close()
        built.take_over()
        database, store = await open_store(joiner, 0)
        assert store.log_end == built.height
        assert store.led_term("n1") == 99
        database.close()

    asyncio.run(scenario())
    assert not fetched_folder(data).exists()
    source.close()


def test_a_store_that_has_come_as_far_meanwhile_stays(tmp_path: Path, source: Source) -> None:
    """While the snapshot was fetched the log brought its blocks: what is there isn't given up for it."""
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        built = await build(joiner, {"n0": 9}, 0)
        assert built is not None
        database = LevelDatabase(joiner.data)
        database.write(source.node.disk.live, (), sync=True)
        database.close()
        with pytest.raises(SnapshotOvertaken, match=f"block {built.height} is executed here"):
            built.take_over()
        database, store = await open_store(joiner, 0)
        assert store.entry(1) is not None
        database.close()

    asyncio.run(scenario())
    source.close()


def test_a_snapshot_that_proves_nothing_is_thrown_away(tmp_path: Path, source: Source) -> None:
    """A peer whose chunks are as its manifest says and still wrong is passed over; nothing is left of it."""
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        manifest = await made(source)
        other = snapshot_of(grown(3), tmp_path / "other")
        lie = replace(manifest, sections=other.sections)

        async def lying(peer: str, path: str) -> PeerAnswer:
            if path == MANIFEST_PATH:
                return PeerAnswer(200, encode_manifest(lie))
            return PeerAnswer(200, (tmp_path / "other" / path.rpartition("/")[2]).read_bytes())

        liar = replace_dataclass(joiner, ask=lying)
        assert await build(liar, {"n0": 9}, 0) is None
        assert "certified state root" in (await source.log.until("snapshot_invalid"))["reason"]
        assert not fetched_folder(joiner.data).exists()
        assert meta_key("format") not in dict(LevelDatabase(new_folder(joiner.data)).scan(b"M", b"N"))
        assert await build(joiner, {"n9": 9}, 0) is None
        assert "n9 is down" in (await source.log.until("snapshot_not_fetched"))["reason"]

    asyncio.run(scenario())
    settle(joiner.data)
    assert not new_folder(joiner.data).exists()
    source.close()


def test_a_height_that_is_only_said_moves_nobody(tmp_path: Path, source: Source) -> None:
    """The certified height must be far ahead: else one liar would have every node switch again and again."""
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        source.height = 10**17
        assert await build_if_far_behind(joiner, 0) is None
        assert "only" in (await source.log.until("snapshot_not_fetched"))["reason"]

    asyncio.run(scenario())
    source.close()


def test_a_snapshot_that_the_disk_has_no_room_for_is_not_fetched(tmp_path: Path, source: Source) -> None:
    """Its chunks are bounded by what is free, before the first of them is asked for."""
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        manifest = await made(source)
        chain = manifest.sections[-1]
        huge = replace(chain, chunks=(replace(chain.chunks[0], size_bytes=CHUNK_BYTES),) * 60_000)
        lie = encode_manifest(replace(manifest, sections=(*manifest.sections[:-1], huge)))

        async def lying(peer: str, path: str) -> PeerAnswer:
            assert path == MANIFEST_PATH
            return PeerAnswer(200, lie)

        liar = replace_dataclass(joiner, ask=lying)
        assert await build(liar, {"n0": 9}, 0) is None
        assert "Make room" in (await source.log.until("snapshot_not_fetched"))["reason"]

    asyncio.run(scenario())
    source.close()


@contextmanager
def no_file_longer_than(size_bytes: int) -> Iterator[None]:
    """Let the system refuse to write beyond so many bytes in any file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("holds_chunks", [False, True])
def test_a_full_disk_gives_the_snapshot_up(tmp_path: Path, source: Source, holds_chunks: bool) -> None:
    """What came is removed, so that the next start has room; the node goes on without. Either a chunk can't
    be written, or the store that is made of them.
    """
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        longest_bytes = max(chunk.ref.size_bytes for chunk in chunks_of(await made(source)))
        with no_file_longer_than(longest_bytes - (not holds_chunks)):
            assert await build(joiner, {"n0": 9}, 0) is None
        reason = (await source.log.until("snapshot_not_built"))["reason"]
        assert "File too large" in reason
        fetching = await source.log.until("snapshot_fetching")
        assert fetching["bytes"] > longest_bytes

    asyncio.run(scenario())
    assert not fetched_folder(joiner.data).exists()
    assert not new_folder(joiner.data).exists()
    source.close()


def test_nobody_far_ahead_means_no_snapshot(tmp_path: Path, source: Source) -> None:
    """Exactly so many blocks ahead is not far."""
    joiner = source.joiner(tmp_path / "data")

    async def scenario() -> None:
        source.height = FAR_BEHIND_BLOCKS + 7
        assert await build_if_far_behind(joiner, 7) is None
        assert MANIFEST_PATH not in source.asked

    asyncio.run(scenario())
    source.close()
