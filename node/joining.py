"""Taking another node's snapshot in place of the own store, where that is far behind.

First the chunks are fetched, then a store is built of them beside the old one, which stays in use; at last,
with the node at rest, the old one's promises are taken over and the two are switched. It must not know the
driver. Whatever is interrupted is begun again, with the chunks that have come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ledger.records import REGISTRY_PREFIX
from ledger.registry import Registry, RegistryIncomplete, load_registry
from ledger.snapshot import Manifest, SnapshotInvalid
from ledger.state import State, load_progress
from ledger.view import StateCorrupted
from node.data_switch import Step, fetched_folder, keep, new_folder, settle, suspect_file, switch
from node.disk import LevelDatabase, StoreError
from node.ports import Log
from node.records import CorruptRecord
from node.repair import Helpers, NotRepaired, open_repaired
from node.snapshot_fetch import MANIFEST_PATIENCE_S, Ask, PeerFailed, ask_heights, fetch
from node.snapshot_folder import chunks_of, make_empty, read_chunk, remove
from node.snapshot_install import SnapshotInstaller, SnapshotOvertaken
from node.store import Store, WrongStore

FAR_BEHIND_BLOCKS = 1_000
"""A node that is so many blocks behind another takes its snapshot, if it has one above its own height."""
OLD_STORE_MS = 60_000
"""A node whose newest block is older than this asks the others how far they are before it starts."""
START_PATIENCE_S = 10.0
"""How long a start waits for one node to make a snapshot. Where certification stands still none is ever made,
and the seals of the node that waits may be what is missing: it goes on waiting beside its driver."""
LOOK_EVERY_S = 10.0
"""How often a running node asks the others how far they are."""
BUILD_BUFFER_BYTES = 64 * 1024 * 1024
"""A store that is built holds more in memory before it writes: fewer files, merged less often."""

_AFTER_REGISTRY = bytes([REGISTRY_PREFIX[0] + 1])


class BuildCancelled(Exception):
    """The node stops: the store isn't wanted any more."""


@dataclass(frozen=True, slots=True)
class Joiner:
    """Who takes a snapshot: the node, its network, where its store is, and how it asks the others.

    `peers` gives the ids of the other nodes as far as they are known now; `follow` is told the registry that
    the store holds before anybody is asked. An `archive` gives up no block: once it has some it takes a
    snapshot only where it can't go on without, and keeps the store it had. A `complete` one does so from the
    first block on.
    """

    genesis_raw: bytes
    node_id: str
    data: Path
    ask: Ask
    peers: Callable[[], frozenset[str]]
    log: Log
    follow: Callable[[Registry], object]
    archive: bool = False
    complete: bool = False


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
        """Prove and write every chunk; raises SnapshotInvalid, StoreError, or BuildCancelled."""
        try:
            for chunk in chunks_of(self._manifest):
                if self._cancelled:
                    raise BuildCancelled
                self._installer.take(chunk, read_chunk(folder, chunk))
            self._installer.prove()
        except (SnapshotInvalid, BuildCancelled, StoreError):
            self._database.close()
            raise

    def cancel(self) -> None:
        """Let `fill`, which another thread runs, end soon."""
        self._cancelled = True

    def take_over(self, step: Step = lambda done: None, *, damaged: bool = False) -> None:
        """With nobody using the old store any more: end the new one and put it in its place.

        Raises SnapshotOvertaken, unless its state is `damaged`, where the old one has come as far meanwhile;
        CorruptRecord or StoreError. The old store then stays.
        """
        joiner = self._joiner
        try:
            if joiner.data.exists():
                self._finish_from_old(damaged)
            else:
                self._installer.finish(None)
        finally:
            self._database.close()
        switch(joiner.data, step)
        remove(fetched_folder(joiner.data))

    def _finish_from_old(self, damaged: bool) -> None:
        joiner = self._joiner
        database = LevelDatabase(joiner.data)
        try:
            # What its log holds is checked when the new store is opened.
            old = Store.open(database, joiner.genesis_raw, joiner.node_id, check_log=False)
            if not damaged and (executed := load_progress(old).height) >= self.height:
                raise SnapshotOvertaken(
                    f"the snapshot is of height {self.height}, but block {executed} is executed here"
                )
            self._installer.finish(old)
            has_blocks = old.log_end > old.pruned
        finally:
            database.close()
        if joiner.archive and has_blocks:
            keep(joiner.data)


async def install(built: BuiltStore, log: Log) -> None:
    """Put it in the old store's place, unless that has come as far meanwhile; raises as `take_over` else."""
    try:
        await asyncio.to_thread(built.take_over)
    except SnapshotOvertaken as error:
        log.warning("snapshot_not_installed", reason=str(error))
    else:
        log.info("snapshot_installed", height=built.height)


async def open_store(joiner: Joiner, now_ms: int) -> tuple[LevelDatabase, Store]:
    """The node's store; first another node's snapshot in its place, where it is old and far behind.

    Raises StoreError, WrongStore or CorruptRecord.
    """
    await asyncio.to_thread(settle, joiner.data)
    database, store = await _open_repaired(joiner)
    progress = load_progress(store)
    if progress.time_ms >= now_ms - OLD_STORE_MS or _keeps_to_its_log(joiner, progress.height):
        return database, store
    built = await build_if_far_behind(joiner, progress.height, START_PATIENCE_S)
    if built is None:
        return database, store
    database.close()
    await install(built, joiner.log)
    return _open(joiner)


async def _open_repaired(joiner: Joiner) -> tuple[LevelDatabase, Store]:
    """The store, put right with what the other nodes give where that is needed and can be done."""
    suspect = suspect_file(joiner.data)
    damaged = await asyncio.to_thread(_damaged_state, joiner) if suspect.exists() else None
    if damaged is not None:
        await _replace_state(joiner, *damaged)
    database = LevelDatabase(joiner.data)
    try:
        _follow_registry(joiner, database)
        store = await open_repaired(
            partial(Store.open, database, joiner.genesis_raw, joiner.node_id),
            Helpers(joiner.ask, sorted(joiner.peers()), joiner.log),
            whole=suspect.exists(),
        )
    except (StateCorrupted, WrongStore, CorruptRecord, StoreError):
        database.close()
        raise
    suspect.unlink(missing_ok=True)
    return database, store


def _follow_registry(joiner: Joiner, database: LevelDatabase) -> None:
    """Know the nodes that the chain named last; a store that doesn't tell leaves them as genesis has them."""
    with contextlib.suppress(RegistryIncomplete):
        joiner.follow(load_registry(database.scan(REGISTRY_PREFIX, _AFTER_REGISTRY)))


def _damaged_state(joiner: Joiner) -> tuple[StateCorrupted, int] | None:
    """What is wrong, where the rows of the state don't lead to the roots that were last written with them;
    and up to which height the store has forgotten its blocks.
    """
    database = LevelDatabase(joiner.data)
    try:
        _follow_registry(joiner, database)
        store = Store.open(database, joiner.genesis_raw, joiner.node_id, check_log=False)
        try:
            State.open(store)
        except StateCorrupted as error:
            return error, store.pruned
    finally:
        database.close()
    return None


async def _replace_state(joiner: Joiner, damaged: StateCorrupted, pruned: int) -> None:
    """Take another node's snapshot for the damaged state; the log, the vote and the seals stay.

    Its height may be below the executed one: the log's blocks above it are executed again, to the same seals.
    It is never below `pruned`, as those blocks were not there any more.
    Raises NotRepaired where nobody gives one, and CorruptRecord.
    """
    joiner.log.error("state_damaged", what=str(damaged))
    built = await build(joiner, await ask_heights(joiner.ask, joiner.peers()), max(pruned - 1, 0))
    if built is None:
        raise NotRepaired(
            f"the state in the store at {joiner.data} is damaged: {damaged}; and no other node gives a "
            "snapshot to replace it: start this node again when a majority of the others runs"
        )
    await asyncio.to_thread(partial(built.take_over, damaged=True))
    joiner.log.warning("state_replaced", height=built.height)


def _open(joiner: Joiner) -> tuple[LevelDatabase, Store]:
    database = LevelDatabase(joiner.data)
    try:
        return database, Store.open(database, joiner.genesis_raw, joiner.node_id)
    except (StateCorrupted, WrongStore, CorruptRecord):
        database.close()
        raise


def _keeps_to_its_log(joiner: Joiner, executed: int) -> bool:
    """An archive that has blocks would lose what a snapshot leaves out, perhaps the last copy of it; one that
    is to be complete would never get it.
    """
    return joiner.complete or (joiner.archive and executed > 0)


async def build_if_far_behind(
    joiner: Joiner, executed: int, patience_s: float = MANIFEST_PATIENCE_S
) -> BuiltStore | None:
    """A store of another node's snapshot, if some node is far ahead of `executed`; else None.

    Each node may take `patience_s` to make one.
    """
    heights = await ask_heights(joiner.ask, joiner.peers())
    ahead = {peer: height for peer, height in heights.items() if height > executed + FAR_BEHIND_BLOCKS}
    # What is said is believed by nobody: the certified height must be as far ahead.
    return await build(joiner, ahead, executed + FAR_BEHIND_BLOCKS, patience_s)


async def look_out(joiner: Joiner, executed: Callable[[], int], wanted: asyncio.Event) -> BuiltStore:
    """Beside a running node: wait until it needs a snapshot, and build a store of it.

    It needs one when it is far behind, or when a leader has forgotten what it lacks (`wanted` is set).
    """
    while True:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await wanted.wait()
        except TimeoutError:
            if _keeps_to_its_log(joiner, executed()):
                continue
            built = await build_if_far_behind(joiner, executed())
        else:
            wanted.clear()
            heights = await ask_heights(joiner.ask, joiner.peers())
            built = await build(joiner, heights, executed())
        if built is not None:
            return built


async def build(
    joiner: Joiner, heights: Mapping[str, int], executed: int, patience_s: float = MANIFEST_PATIENCE_S
) -> BuiltStore | None:
    """A store of a snapshot above `executed` of one of these nodes; None where none gives one that holds."""
    folder = fetched_folder(joiner.data)
    for peer in heights:
        try:
            manifest = await fetch(
                joiner.ask, peer, joiner.genesis_raw, folder, executed, joiner.log, patience_s=patience_s
            )
            built = await _fill(await asyncio.to_thread(BuiltStore, joiner, manifest), folder)
            joiner.log.info("snapshot_proved", height=built.height)
            return built
        except PeerFailed as error:
            joiner.log.warning("snapshot_not_fetched", peer=peer, reason=str(error))
        except SnapshotInvalid as error:
            joiner.log.error("snapshot_invalid", peer=peer, reason=str(error))
            remove(folder)
        except (OSError, StoreError) as error:
            joiner.log.error("snapshot_not_built", reason=str(error))
            # The disk is full, perhaps with what a liar sent: a start must find room.
            remove(folder)
            remove(new_folder(joiner.data))
            return None
    return None


async def _fill(built: BuiltStore, folder: Path) -> BuiltStore:
    try:
        await asyncio.to_thread(built.fill, folder)
    except asyncio.CancelledError:
        built.cancel()
        raise
    return built
