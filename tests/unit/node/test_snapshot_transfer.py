"""Snapshots between nodes over real sockets and real TLS: made once, taken up where one stopped, refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.handovers import Handover, HandoverMissing
from ledger.snapshot import Manifest, SnapshotInvalid, encode_manifest
from node import snapshot_server, tls
from node.disk import LevelDatabase
from node.joining import (
    Joiner,
)
from node.records import certificate_key
from node.snapshot_fetch import MAX_HANDOVERS, PeerAnswer, PeerClient, PeerFailed, ask_heights, fetch
from node.snapshot_folder import MANIFEST, chunks_of, has_chunk, read_manifest
from node.snapshot_server import CHUNK_PATH, HEIGHT_PATH, KEPT_SNAPSHOTS, MANIFEST_PATH, SnapshotServer
from node.store import Store
from tests.unit.ledger import sample
from tests.unit.node.harness import Node
from tests.unit.node.peer_ends import NETWORK, Lines, listen, node_files
from tests.unit.node.peer_ends import Node as Linked
from tests.unit.node.snapshots import grown
from tests.unit.node.test_membership import Cluster


class Source:
    """A node's chain in a real LevelDB, its snapshots, and the way to them without a network."""

    def __init__(self, folder: Path, blocks: int = 5, node: Node | None = None) -> None:
        self.node = node or grown(blocks)
        self.folder = folder / "snapshots"
        self.database = LevelDatabase(folder / "source")
        self.copy()
        self.store = Store.open(self.database, self.node.genesis_raw, "n0")
        self.log = Lines()
        self.server = SnapshotServer(
            self.folder,
            self.database,
            self.store,
            lambda: self.node.driver.executed_height,
            lambda: self.node.driver.executed.registry,
            self.log,
        )
        self.asked: list[str] = []
        self.height: int | None = None

    def copy(self) -> None:
        """Let the LevelDB hold what the node's disk does."""
        self.database.write(self.node.disk.live, (), sync=True)

    def grow(self, blocks: int) -> None:
        """More blocks."""
        grown(self.node.driver.executed_height + blocks, self.node)
        self.copy()

    async def ask(self, peer: str, path: str) -> PeerAnswer:
        """What the node answers over the peers' port, out of its folder; another peer doesn't answer."""
        self.asked.append(path)
        if peer != "n0":
            raise PeerFailed(f"{peer} is down")
        if path == HEIGHT_PATH:
            return PeerAnswer(200, str(self.height or self.node.driver.executed_height).encode())
        place = await self.server.make()
        assert place is not None
        return PeerAnswer(
            200, (place / (path.rpartition("/")[2] if path != MANIFEST_PATH else MANIFEST)).read_bytes()
        )

    def joiner(self, data: Path) -> Joiner:
        """A node of the same id whose store is at `data`, empty as yet, with this source as its peer."""
        peers = frozenset({"n0", "n9"})
        return Joiner(
            self.node.genesis_raw, "n0", data, self.ask, lambda: peers, self.log, lambda registry: None
        )

    def close(self) -> None:
        """Let go of the LevelDB."""
        self.database.close()


async def made(source: Source) -> Manifest:
    """The manifest of the snapshot that the source gives now."""
    folder = await source.server.make()
    assert folder is not None
    return read_manifest(folder)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source of five blocks."""
    return Source(tmp_path)


@asynccontextmanager
async def served(folder: Path, source: Source, client: str = "n1") -> AsyncIterator[PeerClient]:
    """The source's snapshots on a port that knows n0 and n1, and a client with a node's certificate."""
    listener, address = listen()
    linked = Linked(folder, "n0", {"n0": address, "n1": "127.0.0.1:1"})
    linked.links.serve(source.server.routes())
    await linked.links.start(listener, linked.recorder)
    context = tls.peer_client_context(node_files(folder, client))
    try:
        async with PeerClient(context, NETWORK, lambda: {"n0": address, "down": "127.0.0.1:1"}) as peer:
            yield peer
    finally:
        await linked.links.close()
        await source.server.close()


def test_a_snapshot_comes_over_the_peers_port(tmp_path: Path, source: Source) -> None:
    """It is made when first asked for, and the manifest and every chunk come as they are in the folder."""

    async def scenario() -> None:
        async with served(tmp_path, source) as peer:
            waits: list[float] = []

            async def sleep(seconds: float) -> None:
                waits.append(seconds)
                await source.log.until("snapshot_made")

            manifest = await fetch(
                peer.ask, "n0", source.node.genesis_raw, tmp_path / "fetched", 0, source.log, sleep
            )
            assert waits
            assert manifest.height == source.node.driver.executed_height
            assert all(has_chunk(tmp_path / "fetched", chunk) for chunk in chunks_of(manifest))
            assert await ask_heights(peer.ask, ["n0", "down"]) == {"n0": manifest.height}
            with pytest.raises(PeerFailed, match="retired isn't asked for"):
                await peer.ask("retired", MANIFEST_PATH)
            missing = CHUNK_PATH.format(height=manifest.height, chunk="chain-000099")
            assert (await peer.ask("n0", missing)).status == 404
            for path in ("x/chain-000000", "5/..%2f..%2fsource%2fCURRENT", "5/manifest", "²/chain-000000"):
                assert (await peer.ask("n0", f"{MANIFEST_PATH}/{path}")).status == 404

    asyncio.run(scenario())
    source.close()


def test_strangers_get_no_snapshot(tmp_path: Path, source: Source) -> None:
    """A certificate of the network's CA isn't enough: the node must be one of the chain."""

    async def scenario() -> None:
        async with served(tmp_path, source, "n7") as peer:
            for path in (HEIGHT_PATH, MANIFEST_PATH):
                assert (await peer.ask("n0", path)).status == 403
            with pytest.raises(PeerFailed, match="it answers 403"):
                await fetch(peer.ask, "n0", source.node.genesis_raw, tmp_path / "f", 0, source.log)
        assert not source.folder.exists()

    asyncio.run(scenario())
    source.close()


def test_a_node_without_blocks_has_no_snapshot(tmp_path: Path, source: Source) -> None:
    """It says so, and its height of 0 makes nobody ask."""

    async def scenario() -> None:
        empty = Source(tmp_path / "empty", 0)
        empty.node = Node()
        async with served(tmp_path, empty) as peer:
            assert (await peer.ask("n0", MANIFEST_PATH)).status == 404
            assert await ask_heights(peer.ask, ["n0"]) == {}
        empty.close()

    asyncio.run(scenario())
    source.close()


def test_a_fetch_goes_on_where_it_was_interrupted(tmp_path: Path, source: Source) -> None:
    """What came whole isn't asked for again; what is damaged, or of another snapshot, is."""
    folder = tmp_path / "fetched"

    async def scenario() -> None:
        manifest = await fetch(source.ask, "n0", source.node.genesis_raw, folder, 0, source.log)
        chunks = list(chunks_of(manifest))
        (folder / chunks[0].name).unlink()
        (folder / chunks[1].name).write_bytes(b"torn")
        (folder / "chain-000042").write_bytes(b"of an older snapshot")
        source.asked.clear()
        assert await fetch(source.ask, "n0", source.node.genesis_raw, folder, 0, source.log) == manifest
        assert [path.rpartition("/")[2] for path in source.asked[1:]] == [chunks[0].name, chunks[1].name]
        assert sorted(path.name for path in folder.iterdir()) == sorted(chunk.name for chunk in chunks)

    asyncio.run(scenario())
    source.close()


def test_what_a_peer_says_is_checked_as_it_comes(tmp_path: Path, source: Source) -> None:
    """Another network's manifest, an old one, a chunk of other bytes: each is refused with its reason."""

    async def scenario() -> None:
        genesis_raw = source.node.genesis_raw

        async def spoilt(peer: str, path: str) -> PeerAnswer:
            answer = await source.ask(peer, path)
            return answer if path == MANIFEST_PATH else PeerAnswer(200, answer.body + b"\0")

        with pytest.raises(PeerFailed, match="other bytes for accounts-000000"):
            await fetch(spoilt, "n0", genesis_raw, tmp_path / "f", 0, source.log)
        height = source.node.driver.executed_height
        with pytest.raises(PeerFailed, match=f"of height {height} only"):
            await fetch(source.ask, "n0", genesis_raw, tmp_path / "f", height, source.log)
        manifest = await made(source)
        raw = encode_manifest(replace(manifest, network_id=bytes(32)))

        async def foreign(peer: str, path: str) -> PeerAnswer:
            return PeerAnswer(200, raw)

        with pytest.raises(SnapshotInvalid, match="manifest: it is of the network"):
            await fetch(foreign, "n0", genesis_raw, tmp_path / "f", 0, source.log)

    asyncio.run(scenario())
    source.close()


def test_a_manifest_has_so_many_hand_overs_at_most(tmp_path: Path, source: Source) -> None:
    """One more isn't looked at; so many are, and don't hold. Both while the loop goes on."""
    handover = Handover(sample.certificate(sample.seal(1)), sample.certifiers())

    async def scenario() -> None:
        manifest = await made(source)

        async def fetched_with(count: int) -> None:
            raw = encode_manifest(replace(manifest, handovers=(handover,) * count))

            async def ask(peer: str, path: str) -> PeerAnswer:
                return PeerAnswer(200, raw)

            await fetch(ask, "n0", source.node.genesis_raw, tmp_path / "f", 0, source.log)

        with pytest.raises(PeerFailed, match=f"at most {MAX_HANDOVERS}"):
            await fetched_with(MAX_HANDOVERS + 1)
        with pytest.raises(SnapshotInvalid, match="certificate doesn't hold"):
            await fetched_with(MAX_HANDOVERS)

    asyncio.run(scenario())
    source.close()


def test_the_newest_snapshots_are_kept_and_served_while_recent(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is recent is given again, also after a restart; old ones go when newer ones have come."""
    monkeypatch.setattr(snapshot_server, "RECENT_BLOCKS", 2)

    async def scenario() -> None:
        heights = []
        for _ in range(KEPT_SNAPSHOTS + 1):
            manifest = await made(source)
            heights.append(manifest.height)
            source.grow(2)
            assert await made(source) == manifest
            source.grow(1)
        assert heights == sorted(set(heights))
        kept = sorted(int(path.name) for path in source.folder.iterdir())
        assert kept == heights[-KEPT_SNAPSHOTS:]
        (source.folder / str(heights[-1]) / MANIFEST).unlink()
        assert (await made(source)).height > heights[-1]
        newest = await source.server.make(recent=0)
        assert newest == source.folder / str(source.node.driver.executed_height)

    asyncio.run(scenario())
    source.close()


def test_a_snapshot_without_a_certificate_is_given_up(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no quorum has sealed the height in time, nothing is given, and the log says so."""
    monkeypatch.setattr(snapshot_server, "CERTIFICATE_TIMEOUT_S", 0.0)
    source.database.write({}, [key for key in source.node.disk.live if key[:1] == b"c"], sync=True)

    async def scenario() -> None:
        assert await source.server.make() is None
        assert await source.log.until("snapshot_not_certified")

    asyncio.run(scenario())
    source.close()


def test_what_could_not_be_proved_is_not_exported(tmp_path: Path) -> None:
    """Where the certificate of a hand-over isn't held, who asks is told at once, and goes on to another."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    cluster.change(add=cluster.register(3))
    cluster.pay()
    source = Source(tmp_path, node=cluster.nodes["n0"])
    height = source.node.driver.executed.registry.certifiers[1][0] - 1
    source.database.write({}, [certificate_key(height)], sync=True)

    async def scenario() -> None:
        async with served(tmp_path, source) as peer:
            answer = await peer.ask("n0", MANIFEST_PATH)
            assert answer.status == 503
            assert f"the certificate of height {height}" in answer.body.decode()
            with pytest.raises(PeerFailed, match="it answers 503"):
                await fetch(peer.ask, "n0", source.node.genesis_raw, tmp_path / "f", 0, source.log)
            with pytest.raises(HandoverMissing):
                await source.server.make()
        assert not source.folder.exists()

    asyncio.run(scenario())
    source.close()


async def still_making(peer: str, path: str) -> PeerAnswer:
    """A node that is far ahead, and has been asked to make a snapshot."""
    return PeerAnswer(200, b"5000") if path == HEIGHT_PATH else PeerAnswer(202, b"")


@pytest.mark.parametrize("patience_s", [0.0, 3.0])
def test_a_snapshot_that_is_being_made_is_waited_for_so_long(
    tmp_path: Path, source: Source, patience_s: float
) -> None:
    """The node is asked once a second until the patience is over, and then another is."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def scenario() -> None:
        with pytest.raises(PeerFailed, match="it answers 202"):
            await fetch(
                still_making, "n0", source.node.genesis_raw, tmp_path / "f", 0, source.log, sleep, patience_s
            )

    asyncio.run(scenario())
    assert sum(waits) == patience_s
    source.close()
