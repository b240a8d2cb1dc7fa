"""Snapshots on their way between simulated machines: made, carried chunk by chunk, proved, and gone on with.

It stands for what nodes do beside their drivers (node/snapshot_server.py, joining.py), with the same parts.
It must not know when a node needs one. Whoever crashes meanwhile loses what was under way, never its own
store.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.state import load_progress
from node.snapshot_export import export_items, prove_exported
from node.snapshot_folder import Chunk, chunks_of, read_chunk
from node.snapshot_install import SnapshotInstaller
from node.store import Store
from tests.simulation.cluster.database import SimulatedDatabase, SimulatedDisk
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.world import World

CHUNK_MS = 150
"""How long a chunk takes at most."""
IN_MEMORY = Path("/dev/shm")
"""Where files cost no disk, if the system has it."""


@dataclass(frozen=True, slots=True)
class _Carried:
    """A snapshot on its way to a node: what still comes, and what is being built of it."""

    height: int
    chunks: Iterator[tuple[Chunk, bytes]]
    installer: SnapshotInstaller
    disk: SimulatedDisk


class Snapshots:
    """All that are under way, one a node at most."""

    def __init__(self, world: World, genesis_raw: bytes, nodes: Mapping[str, SimulatedNode]) -> None:
        """None yet."""
        self._world = world
        self._genesis_raw = genesis_raw
        self._nodes = nodes
        self._under_way: dict[str, float] = {}
        self._newcomers: set[str] = set()

    def voting(self, nodes: Iterable[str]) -> None:
        """These nodes vote: count those among them that had nothing but a snapshot at first, once."""
        began = self._newcomers.intersection(nodes)
        self._world.counts["voters that began with a snapshot"] += len(began)
        self._newcomers -= began

    def fetch(self, to: str) -> None:
        """Bring a node the snapshot of some other that is ahead of it, unless one is under way."""
        if self._under_way.get(to, 0.0) > self._world.now_ms:
            return
        node = self._nodes[to]
        carried = self._made_for(node)
        if carried is None:
            return
        self._world.counts["snapshots begun"] += 1
        self._next(node, carried)

    def _made_for(self, node: SimulatedNode) -> _Carried | None:
        """A snapshot of a node that has executed more, if its certificate is there already."""
        own = node.driver.executed_height if node.driver is not None else 0
        givers = [
            other.store
            for other in self._nodes.values()
            if other.store is not None and other.driver is not None and other.driver.executed_height > own
        ]
        if not givers:
            return None
        giver = self._world.random.choice(givers)
        with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
            return self._read(node, giver, Path(name))

    def _read(self, node: SimulatedNode, giver: Store, folder: Path) -> _Carried | None:
        manifest = prove_exported(giver, export_items(_Rows(giver), folder))
        if manifest is None:
            return None
        chunks = [(chunk, read_chunk(folder, chunk)) for chunk in chunks_of(manifest)]
        disk = node.new_disk()
        database = SimulatedDatabase(disk, node.point)
        installer = SnapshotInstaller(self._genesis_raw, node.id, manifest, database)
        return _Carried(manifest.height, iter(chunks), installer, disk)

    def _next(self, node: SimulatedNode, carried: _Carried) -> None:
        takes_ms = self._world.random.random() * CHUNK_MS
        self._under_way[node.id] = self._world.now_ms + 2 * CHUNK_MS
        node.later(takes_ms, lambda: self._take(node, carried))

    def _take(self, node: SimulatedNode, carried: _Carried) -> None:
        following = next(carried.chunks, None)
        if following is not None:
            carried.installer.take(*following)
            self._next(node, carried)
            return
        carried.installer.prove()
        if node.driver is not None and node.driver.executed_height < carried.height:
            node.go_on_with(carried.disk, lambda old: self._finish(node.id, carried, old))

    def _finish(self, node: str, carried: _Carried, old: Store) -> None:
        if load_progress(old).height == 0:
            self._newcomers.add(node)
        carried.installer.finish(old)
        self._world.counts["snapshots installed"] += 1


class _Rows:
    """A store's rows as the export reads them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        """See node.snapshot_export.Rows."""
        return self._store.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See node.snapshot_export.Rows: all ranges are of one prefix."""
        return ((key, row) for key, row in self._store.scan(start[:1]) if start <= key < stop)
