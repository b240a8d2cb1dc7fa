"""Bits flipped in a stopped node's store: the node must refuse by name, or be right.

The node is started again behind cut links, so that whatever its damaged memory might promise reaches nobody;
afterwards it gets its own store back, which is safe because it has said nothing in between. It must not know
the formats of the store's files.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from node.local import LocalNetworkError, wait_until
from node.run import EXIT_CANNOT_START, EXIT_STOPPED_ITSELF
from tests.torture.history import Fate, Paid
from tests.torture.links import FAIR, Passage, Weather
from tests.torture.stage import Stage
from wallet.errors import WalletError
from wallet.replies import NotFound

MOST_BITS = 3
DECIDED_WITHIN_S = 20.0
QUESTIONS = 100
"""How many acknowledged payments a node is asked for that starts in spite of its damage."""
NOT_DATA = ("LOG", "LOG.old", "LOCK")
"""LevelDB's own diary and lock: nothing is read from them."""


@asynccontextmanager
async def flipped_bits(stage: Stage, random: Random) -> AsyncIterator[str]:
    """One to three bits of a killed node's store are flipped before it starts again."""
    victim = random.choice(stage.nodes)
    view = await stage.view(victim)
    height = 0 if view is None else view.executed_height
    stage.kill([victim])
    store = stage.store(victim)
    sound = store.with_name("sound")
    await asyncio.to_thread(shutil.copytree, store, sound)
    acknowledged = [
        paid for paid in stage.history.with_fate(Fate.EXECUTED) if paid.place and paid.place[0] <= height
    ]
    where = flip(store, random)
    stage.links.apply(Weather(Passage.CUT), stage.links.between([victim], stage.nodes))
    try:
        stage.local.start([victim])
        yield f"{victim}: {where}: {await _judged(stage, victim, acknowledged, random)}"
    finally:
        stage.kill([victim])
        shutil.rmtree(store)
        sound.rename(store)
        stage.links.apply(FAIR)
        stage.revive([victim])


def flip(store: Path, random: Random) -> str:
    """Flip one to three bits of one of the store's files; which and where."""
    files = [path for path in sorted(store.iterdir()) if path.name not in NOT_DATA and path.stat().st_size]
    path = random.choice(files)
    data = bytearray(path.read_bytes())
    places = sorted(random.sample(range(len(data) * 8), random.randint(1, MOST_BITS)))
    for place in places:
        data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)
    return f"{path.name} bit {', '.join(map(str, places))}"


async def _judged(stage: Stage, node: str, acknowledged: list[Paid], random: Random) -> str:
    """What the damaged node did. What it says wrongly, or how else it fails, is a violation."""

    async def decided() -> bool:
        return not stage.local.is_running(node) or await stage.view(node) is not None

    try:
        await wait_until(decided, DECIDED_WITHIN_S, f"{node} starts or refuses")
    except LocalNetworkError:
        stage.history.violated(
            "named damage", f"{node} neither started nor refused: {stage.last_words(node)}"
        )
        return "hung"
    asked = random.sample(acknowledged, min(QUESTIONS, len(acknowledged)))
    answered = [await _asked(stage, node, paid) for paid in asked]
    if stage.local.is_running(node):
        return f"it started, and {sum(answered)} of {len(answered)} answers are right"
    return _refusal(stage, node)


async def _asked(stage: Stage, node: str, paid: Paid) -> bool:
    """Whether the node tells a payment as it was; it may fail to, but not say otherwise."""
    try:
        found = await stage.clients[node].payment(paid.tx_id)
    except NotFound as error:
        stage.history.violated("named damage", f"{node} with flipped bits knows no {paid}: {error}")
        return False
    except WalletError:
        return False
    if (found.height, found.index) != paid.place:
        stage.history.violated("named damage", f"{node} with flipped bits says {found} of {paid}")
        return False
    return True


def _refusal(stage: Stage, node: str) -> str:
    """The reason that the node gave for not starting, or for stopping."""
    code, words = stage.local.wait(node), stage.last_words(node)
    try:
        said = msgspec.json.decode(words, type=dict[str, object])
    except msgspec.DecodeError:
        said = {}
    if code not in (EXIT_CANNOT_START, EXIT_STOPPED_ITSELF) or not {"reason", "what"} & said.keys():
        stage.history.violated(
            "named damage", f"{node} ended with {code} and without a reason: {words}", time.monotonic()
        )
    return f"exit {code}: {said.get('reason', said.get('what', words))}"
