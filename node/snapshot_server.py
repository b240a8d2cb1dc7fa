"""Snapshots given to other nodes over the peers' port: made when one is asked for, kept for those who go on.

It must not know who may ask (the peers' port does) nor what a snapshot holds. A snapshot is made by a thread
of its own from one view of the rows, so that the node goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ledger.handovers import HandoverMissing
from ledger.registry import Registry
from ledger.snapshot import SECTIONS, Manifest, SnapshotInvalid
from node.disk import LevelDatabase, StoreError
from node.ports import Log
from node.records import CorruptRecord
from node.snapshot_export import Exported, check_provable, export_items, prove_exported
from node.snapshot_folder import MANIFEST, make_empty, read_manifest, remove, write_manifest
from node.store import Store

HEIGHT_PATH = "/snapshot/v1/height"
"""The executed height of the node that is asked, as decimal text."""
MANIFEST_PATH = "/snapshot/v1"
"""The manifest of a recent snapshot; 202 and Retry-After while one is made, 503 where none can be."""
CHUNK_PATH = "/snapshot/v1/{height}/{chunk}"
"""One chunk of the snapshot of a height."""
RECENT_BLOCKS = 1_000
"""A snapshot that is no older than so many blocks is given; an older one is made anew."""
KEPT_SNAPSHOTS = 2
"""The newest, and the one before it: whoever fetches that one can end."""
RETRY_AFTER_S = 1
CERTIFICATE_POLL_S = 0.2
CERTIFICATE_TIMEOUT_S = 60.0
"""A height that has no certificate so long after its execution isn't waited for."""

_MAKING = "making"
_CHUNK_NAME = re.compile(rf"(?:{'|'.join(SECTIONS)})-[0-9]{{6}}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SnapshotServer:
    """The snapshots of one running node."""

    def __init__(
        self,
        folder: Path,
        database: LevelDatabase,
        store: Store,
        executed: Callable[[], int],
        registry: Callable[[], Registry],
        log: Log,
    ) -> None:
        """Snapshots stand in `folder`, which outlives the process.

        `executed` and `registry` give the executed height, and the registry after it.
        """
        self._folder = folder
        self._database = database
        self._store = store
        self._executed = executed
        self._registry = registry
        self._log = log
        self._making: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> dict[str, Handler]:
        """What is to be answered at which path."""
        return {HEIGHT_PATH: self._height, MANIFEST_PATH: self._manifest, CHUNK_PATH: self._chunk}

    async def close(self) -> None:
        """Let go of a snapshot that is being made; the part that a thread is in ends first."""
        if self._making is not None:
            self._making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._making

    async def make(self, recent: int | None = None) -> Path | None:
        """The folder of a snapshot, made if there is none of the newest `recent` blocks (else RECENT_BLOCKS).

        None where its height isn't certified in time. Raises StoreError, CorruptRecord or HandoverMissing
        where rows are damaged or missing.
        """
        async with self._one_at_a_time:
            height = self._newest()
            if height is None or height < self._executed() - (RECENT_BLOCKS if recent is None else recent):
                height = await self._export()
            return None if height is None else self._folder / str(height)

    async def _height(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=str(self._executed()))

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        executed = self._executed()
        if not executed:
            return web.Response(status=404, text="Nothing is executed here yet.\n")
        height = self._newest()
        if height is not None and height >= executed - RECENT_BLOCKS:
            return web.Response(
                body=await asyncio.to_thread((self._folder / str(height) / MANIFEST).read_bytes)
            )
        try:
            await asyncio.to_thread(check_provable, self._store, self._registry())
        except (StoreError, CorruptRecord, HandoverMissing) as error:
            self._log.error("snapshot_failed", reason=str(error))
            return web.Response(status=503, text=f"No snapshot can be made here: {error}.\n")
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make())
        return web.Response(
            status=202, headers={"Retry-After": str(RETRY_AFTER_S)}, text="A snapshot is being made.\n"
        )

    async def _chunk(self, request: web.Request) -> web.StreamResponse:
        height, name = request.match_info["height"], request.match_info["chunk"]
        if not height.isascii() or not height.isdigit() or not _CHUNK_NAME.fullmatch(name):
            return web.Response(status=404, text="There is no such chunk.\n")
        path = self._folder / str(int(height)) / name
        try:
            return web.Response(body=await asyncio.to_thread(path.read_bytes))
        except OSError:
            return web.Response(status=404, text="There is no such chunk any more.\n")

    async def _make(self) -> None:
        """In the background: whoever asked comes again, so what goes wrong is said in the log."""
        try:
            await self.make()
        except (StoreError, CorruptRecord, HandoverMissing, OSError) as error:
            self._log.error("snapshot_failed", reason=str(error))
            # What is half made would fill a disk that is full already.
            await asyncio.to_thread(remove, self._folder / _MAKING)

    async def _export(self) -> int | None:
        await asyncio.to_thread(check_provable, self._store, self._registry())
        making = self._folder / _MAKING
        exported = await asyncio.to_thread(self._write_items, making)
        manifest = await self._proved(exported)
        if manifest is None:
            self._log.warning("snapshot_not_certified", height=exported.height)
            return None
        await asyncio.to_thread(self._put_in_place, making, manifest)
        self._log.info("snapshot_made", height=manifest.height, bytes=manifest.size_bytes)
        return manifest.height

    def _write_items(self, making: Path) -> Exported:
        make_empty(making)
        view = self._database.view()
        try:
            return export_items(view, making)
        finally:
            view.close()

    async def _proved(self, exported: Exported) -> Manifest | None:
        """The manifest, once a certificate covers the height that was exported."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CERTIFICATE_TIMEOUT_S):
                while True:
                    manifest = await asyncio.to_thread(prove_exported, self._store, exported)
                    if manifest is not None:
                        return manifest
                    await asyncio.sleep(CERTIFICATE_POLL_S)
        return None

    def _put_in_place(self, making: Path, manifest: Manifest) -> None:
        write_manifest(making, manifest)
        place = self._folder / str(manifest.height)
        remove(place)
        making.rename(place)
        for height in self._heights()[:-KEPT_SNAPSHOTS]:
            remove(self._folder / str(height))

    def _newest(self) -> int | None:
        """The height of the newest whole snapshot that is here."""
        for height in reversed(self._heights()):
            with contextlib.suppress(SnapshotInvalid):
                read_manifest(self._folder / str(height))
                return height
        return None

    def _heights(self) -> list[int]:
        if not self._folder.exists():
            return []
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())
