"""Nodes whose peers have forgotten what they lack: they must come back by a snapshot, whatever ends then.

The first node never forgets a block, so that one store can be replayed from genesis in the end; it doesn't
lead while it could give what the others have forgotten. It must not know the load.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from random import Random

import msgspec

from node import operators
from node.data_switch import fetched_folder, new_folder, old_folder, served_folder
from node.disk import LevelDatabase
from node.local import wait_until
from node.pruning import LEAST_KEPT_BLOCKS
from node.store import Store
from tests.torture.stage import Stage

LAG_BLOCKS = 40
LAGS_WITHIN_S = 60.0
READY_WITHIN_S = 60.0
SNAPSHOT_WITHIN_S = 60.0
KILL_WITHIN_S = 0.3
"""A moment named in the log is followed by the kill within this time: in the middle of what comes next."""
FETCHING, PROVED, INSTALLED = "snapshot_fetching", "snapshot_proved", "snapshot_installed"


@asynccontextmanager
async def forgotten(stage: Stage, random: Random) -> AsyncIterator[str]:
    """The others forget what a follower lacks: it comes back by a snapshot."""
    victim, height = await _left_behind(stage, random)
    stage.revive([victim])
    how = await _came_back(stage, victim, height)
    yield f"{victim} came back by {how}, its peers had forgotten blocks up to {height:,}"
    _clear_kept(stage, victim)


@asynccontextmanager
async def kill_in_snapshot(stage: Stage, random: Random) -> AsyncIterator[str]:
    """So it does though it is killed while it fetches, builds and switches, again and again."""
    victim, height = await _left_behind(stage, random)
    killed = []
    for moment in (FETCHING, PROVED, INSTALLED):
        stage.revive([victim])
        if await _says(stage, victim, moment, height) is not None:
            killed.append(moment)
        await asyncio.sleep(random.uniform(0, KILL_WITHIN_S))
        stage.kill([victim])
    yield f"{victim} killed after {', '.join(killed)}; forgotten up to {height:,}"
    stage.revive([victim])
    await _came_back(stage, victim, height)
    _clear_kept(stage, victim)


@asynccontextmanager
async def kill_giver(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Who gives the snapshot is killed while it gives; where it isn't caught at it, nobody is."""
    victim, height = await _left_behind(stage, random)
    stage.revive([victim])
    said = await _says(stage, victim, FETCHING, height)
    giver = [] if said is None else [str(said["peer"])]
    stage.kill(giver)
    killed = ", ".join(giver) or "nobody"
    yield f"kill -9 {killed}, which gave {victim} a snapshot; forgotten up to {height:,}"
    stage.revive(giver)
    await _came_back(stage, victim, height)
    _clear_kept(stage, victim)


@asynccontextmanager
async def prune(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Running nodes forget old blocks while a follower lags."""
    victim = next(node for node in await stage.followers(random) if node != stage.archive)
    stage.kill([victim])
    height = await forget_old(stage)
    yield f"blocks up to {height:,} forgotten while {victim} was down"
    stage.revive([victim])


async def forget_old(stage: Stage) -> int:
    """Have all running nodes but the archive forget what they may; up to which height at least one did."""
    nodes = [node for node in stage.transient if node not in stage.down]
    return max(await asyncio.gather(*(_prune_running(stage, node) for node in nodes)))


async def _prune_running(stage: Stage, node: str) -> int:
    try:
        return await operators.prune(operators.admin_port(stage.local.network, node), LEAST_KEPT_BLOCKS)
    except (operators.AdminRefused, operators.AdminUnreachable):
        # Whatever else strikes may keep it from answering; then it forgets nothing.
        return 0


async def _left_behind(stage: Stage, random: Random) -> tuple[str, int]:
    """A killed follower, and the height up to which all others but the archive have forgotten the blocks.

    They run, and one of them leads.
    """
    victim = next(node for node in await stage.followers(random) if node != stage.archive)
    view = await stage.view(victim)
    stage.kill([victim])
    others = [node for node in stage.nodes if node != victim]
    await _ahead(stage, others, LAG_BLOCKS + (0 if view is None else view.executed_height))
    stage.kill(others)
    heights = await asyncio.to_thread(_forget, stage, [node for node in others if node != stage.archive])
    for node in others:
        # A running node keeps more blocks than the oldest snapshot that it gives is behind.
        shutil.rmtree(served_folder(stage.store(node)), ignore_errors=True)
    stage.revive(others)
    await stage.local.ready(others, READY_WITHIN_S)
    await stage.transient_leader()
    return victim, min(heights)


async def _ahead(stage: Stage, nodes: Iterable[str], height: int) -> None:
    async def ahead() -> bool:
        views = [await stage.view(node) for node in nodes]
        return all(view is not None and view.certified_height >= height for view in views)

    await wait_until(ahead, LAGS_WITHIN_S, f"{', '.join(nodes)} certify {height:,}")


def _forget(stage: Stage, nodes: Sequence[str]) -> list[int]:
    """Let stopped nodes' stores forget all that is certified; up to which heights."""
    return [_forget_certified(stage, node) for node in nodes]


def _forget_certified(stage: Stage, node: str) -> int:
    genesis = stage.local.network.genesis.read_bytes()
    with closing(LevelDatabase(stage.store(node), create=False)) as database:
        store = Store.open(database, genesis, node)
        store.prune(max(store.pruned, store.last_certified()))
        return store.pruned


async def _says(stage: Stage, node: str, event: str, height: int) -> dict[str, object] | None:
    """The line of the node's newest process that tells of it; None if that gets past `height` without."""
    found: list[str] = []

    async def said() -> bool:
        view = await stage.view(node)
        found[:] = [line for line in stage.log(node) if f'"{event}"' in line]
        return bool(found) or (view is not None and view.executed_height > height)

    await wait_until(said, SNAPSHOT_WITHIN_S, f"{node} says {event}")
    return msgspec.json.decode(found[0], type=dict[str, object]) if found else None


async def _came_back(stage: Stage, node: str, height: int) -> str:
    """Wait until the node takes part; by what means. What a switch leaves beside its store is a violation."""
    by_snapshot = await _says(stage, node, INSTALLED, height)
    await stage.local.ready([node], READY_WITHIN_S)
    if by_snapshot is None:
        return "its log"
    data = stage.store(node)
    left = [
        folder.name
        for folder in (fetched_folder(data), new_folder(data), old_folder(data))
        if folder.exists()
    ]
    if left:
        stage.history.violated("nothing left over", f"{node} leaves {', '.join(left)}", time.monotonic())
    return "a snapshot"


def _clear_kept(stage: Stage, node: str) -> None:
    """Remove what an archive keeps of its earlier stores: the run has a better one."""
    store = stage.store(node)
    for kept in store.parent.glob(f"{store.name}.kept-*"):
        shutil.rmtree(kept)
