"""Taking another node's snapshot in place of the own store, where that is far behind.

First the chunks are fetched, then a store is built of them beside the old one, which stays in use; at last,
with the node at rest, the old one's promises are taken over and the two are switched. It must not know the
driver. Whatever is interrupted is begun again, with the chunks that have come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.snapshot import Manifest, SnapshotInvalid
from ledger.state import load_progress
from ledger.view import StateCorrupted
from node.data_switch import Step, fetched_folder, new_folder, settle, switch
from node.disk import LevelDatabase
from node.ports import Log
from node.records import CorruptRecord
from node.snapshot_fetch import Ask, PeerFailed, ask_heights, fetch
from node.snapshot_folder import chunks_of, make_empty, read_chunk, remove
from node.snapshot_install import SnapshotInstaller
from node.store import Store, WrongStore

FAR_BEHIND_BLOCKS = 1_000
"""A node that is so many blocks behind another takes its snapshot, if it has one above its own height."""
OLD_STORE_MS = 60_000
"""A node whose newest block is older than this asks the others how far they are before it starts."""
LOOK_EVERY_S = 10.0
"""How often a running node asks the others how far they are."""
BUILD_BUFFER_BYTES = 64 * 1024 * 1024
"""A store that is built holds more in memory before it writes: fewer files, merged less often."""


class BuildCancelled(Exception):
    """The node stops: the store isn't wanted any more."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """Who takes a snapshot: the node, its network, where its store is, and how it asks the others.

    `peers` gives the ids of the other nodes as far as they are known now.
    """

    genesis_raw: bytes
    node_id: str
    data: Path
    ask: Ask
    peers: Callable[[], frozenset[str]]
    log: Log


class BuiltStore:
    """A store of a snapshot, but for what the old store promised; `take_over` ends it."""

    def __init__(self, joiner: Joiner, manifest: Manifest) -> None:
        """Begin it beside the old store; raises SnapshotInvalid."""
        make_empty(new_folder(joiner.data))
        self.height = manifest.height
        self._joiner = joiner
        self._manifest = manifest
        self._cancelled = False
        self._database = LevelDatabase(new_folder(joiner.data), write_buffer_bytes=BUILD_BUFFER_BYTES)
        try:
            self._installer = SnapshotInstaller(joiner.genesis_raw, joiner.node_id, manifest, self._database)
        except SnapshotInvalid:
            self._database.close()
            raise

    def fill(self, folder: Path) -> None:
        """Prove and write every chunk; raises SnapshotInvalid, or BuildCancelled once it is cancelled."""
        try:
            for chunk in chunks_of(self._manifest):
                if self._cancelled:
                    raise BuildCancelled
                self._installer.take(chunk, read_chunk(folder, chunk))
            self._installer.prove()
        except (SnapshotInvalid, BuildCancelled):
            self._database.close()
            raise

    def cancel(self) -> None:
        """Let `fill`, which another thread runs, end soon."""
        self._cancelled = True

    def take_over(self, step: Step = lambda done: None) -> None:
        """With nobody using the old store any more: end the new one and put it in its place.

        Raises CorruptRecord or StoreError; the old store then stays.
        """
        joiner = self._joiner
        try:
            if joiner.data.exists():
                old = LevelDatabase(joiner.data)
                try:
                    self._installer.finish(Store.open(old, joiner.genesis_raw, joiner.node_id))
                finally:
                    old.close()
            else:
                self._installer.finish(None)
        finally:
            self._database.close()
        switch(joiner.data, step)
        remove(fetched_folder(joiner.data))


async def open_store(joiner: Joiner, now_ms: int) -> tuple[LevelDatabase, Store]:
    """The node's store; first another node's snapshot in its place, where it is old and far behind.

    Raises StoreError, WrongStore or CorruptRecord.
    """
    await asyncio.to_thread(settle, joiner.data)
    database, store = _open(joiner)
    progress = load_progress(store)
    if progress.time_ms >= now_ms - OLD_STORE_MS:
        return database, store
    built = await build_if_far_behind(joiner, progress.height)
    if built is None:
        return database, store
    database.close()
    await asyncio.to_thread(built.take_over)
    joiner.log.info("snapshot_installed", height=built.height)
    return _open(joiner)


def _open(joiner: Joiner) -> tuple[LevelDatabase, Store]:
    database = LevelDatabase(joiner.data)
    try:
        return database, Store.open(database, joiner.genesis_raw, joiner.node_id)
    except (StateCorrupted, WrongStore, CorruptRecord):
        database.close()
        raise


async def build_if_far_behind(joiner: Joiner, executed: int) -> BuiltStore | None:
    """A store of another node's snapshot, if some node is far ahead of `executed`; else None."""
    heights = await ask_heights(joiner.ask, joiner.peers())
    ahead = {peer: height for peer, height in heights.items() if height > executed + FAR_BEHIND_BLOCKS}
    return await build(joiner, ahead, executed)


async def look_out(joiner: Joiner, executed: Callable[[], int], wanted: asyncio.Event) -> BuiltStore:
    """Beside a running node: wait until it needs a snapshot, and build a store of it.

    It needs one when it is far behind, or when a leader has forgotten what it lacks (`wanted` is set).
    """
    while True:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await wanted.wait()
        except TimeoutError:
            built = await build_if_far_behind(joiner, executed())
        else:
            wanted.clear()
            heights = await ask_heights(joiner.ask, joiner.peers())
            built = await build(joiner, heights, executed())
        if built is not None:
            return built


async def build(joiner: Joiner, heights: Mapping[str, int], executed: int) -> BuiltStore | None:
    """A store of a snapshot above `executed` of one of these nodes; None where none gives one that holds."""
    folder = fetched_folder(joiner.data)
    for peer in heights:
        try:
            manifest = await fetch(joiner.ask, peer, joiner.genesis_raw, folder, executed, joiner.log)
            built = await _fill(BuiltStore(joiner, manifest), folder)
            joiner.log.info("snapshot_proved", height=built.height)
            return built
        except PeerFailed as error:
            joiner.log.warning("snapshot_not_fetched", peer=peer, reason=str(error))
        except SnapshotInvalid as error:
            joiner.log.error("snapshot_invalid", peer=peer, reason=str(error))
            remove(folder)
        except OSError as error:
            joiner.log.error("snapshot_not_built", reason=str(error))
            return None
    return None


async def _fill(built: BuiltStore, folder: Path) -> BuiltStore:
    try:
        await asyncio.to_thread(built.fill, folder)
    except asyncio.CancelledError:
        built.cancel()
        raise
    return built
