"""Forgetting the bodies of old blocks, by request or all the while, a few at a time on the disk worker.

It must not know who asks. Headers, seals, rows and certificates stay for ever; a node that lacks a forgotten
block takes a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from node.ports import Log, Worker
from node.store import PRUNED_AT_ONCE, Store

LEAST_KEPT_BLOCKS = 1_024
"""So many of the newest certified blocks are always kept: who fetches a snapshot goes on from there."""
PRUNE_EVERY_S = 60.0
"""How often a node that is to keep only its newest blocks looks for older ones."""


class Pruner:
    """What forgets blocks in one running node."""

    def __init__(self, store: Store, disk: Worker, certified: Callable[[], int], log: Log) -> None:
        """`certified` gives the certified height as it is now."""
        self._store = store
        self._disk = disk
        self._certified = certified
        self._log = log

    async def prune(self, keep: int) -> int:
        """Forget all but the newest `keep` certified blocks; up to which height they are forgotten then.

        Raises ValueError where too few would be kept.
        """
        if keep < LEAST_KEPT_BLOCKS:
            raise ValueError(f"at least {LEAST_KEPT_BLOCKS} blocks must be kept, not {keep}")
        target, before = self._certified() - keep, self._store.pruned
        while self._store.pruned < target:
            await self._step(min(target, self._store.pruned + PRUNED_AT_ONCE))
        if self._store.pruned > before:
            self._log.info("blocks_pruned", height=self._store.pruned)
        return self._store.pruned

    async def keep_pruned(self, keep: int) -> None:
        """Go on forgetting for as long as the node runs."""
        while True:
            await self.prune(keep)
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _step(self, height: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        self._store.forget(height)
        self._disk.submit(lambda: self._store.prune(height), lambda _: settle(None), settle)
        await done
