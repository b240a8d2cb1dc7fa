"""What is done to the nodes. Each nemesis strikes on entering, says whom it struck, and mends on leaving.

Which nodes it takes, and how hard, it draws from the generator that it is given. It must not know the load,
nor judge what comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeAlias

from node.local import LocalNetworkError, wait_until
from tests.torture.damage import flipped_bits
from tests.torture.links import FAIR, Pair, Passage, Weather
from tests.torture.membership import add_node, give_up_joiner, remove_leader, remove_node, replace_node
from tests.torture.snapshots import forgotten, kill_giver, kill_in_snapshot, prune
from tests.torture.stage import Stage

Strike: TypeAlias = Callable[[Stage, Random], AbstractAsyncContextManager[str]]

FLAP_S = 0.4
FULL_WITHIN_BYTES = 200_000
STOP_WITHIN_S = 5.0


class Kind(Enum):
    """What a nemesis has its hands on. Two of one kind would mend what the other does."""

    PROCESSES = "processes"
    LINKS = "links"
    BELOW = "below"
    """Disk and clock, by faults below the processes (tests/torture/shim.py)."""


@dataclass(frozen=True, slots=True)
class Nemesis:
    """A way to torture. A mild one leaves a leader and a majority, so it may accompany another."""

    name: str
    strike: Strike
    kind: Kind
    mild: bool = False


# Processes.


@asynccontextmanager
async def _killed(stage: Stage, victims: Sequence[str]) -> AsyncIterator[str]:
    stage.kill(victims)
    try:
        yield f"kill -9 {', '.join(victims)}"
    finally:
        stage.revive(victims)


@asynccontextmanager
async def _paused(stage: Stage, victims: Sequence[str]) -> AsyncIterator[str]:
    stage.pause(victims)
    try:
        yield f"SIGSTOP {', '.join(victims)}"
    finally:
        stage.resume(victims)


@asynccontextmanager
async def kill_leader(stage: Stage, random: Random) -> AsyncIterator[str]:
    """kill -9 of the leader."""
    async with _killed(stage, [await stage.leader()]) as what:
        yield what


@asynccontextmanager
async def kill_follower(stage: Stage, random: Random) -> AsyncIterator[str]:
    """kill -9 of one follower."""
    async with _killed(stage, (await stage.followers(random))[:1]) as what:
        yield what


@asynccontextmanager
async def kill_majority(stage: Stage, random: Random) -> AsyncIterator[str]:
    """kill -9 of a majority, or of all, at once."""
    victims = random.sample(stage.nodes, random.randint(stage.majority, len(stage.nodes)))
    async with _killed(stage, victims) as what:
        yield what


@asynccontextmanager
async def pause_leader(stage: Stage, random: Random) -> AsyncIterator[str]:
    """SIGSTOP of the leader: it wakes up believing that it leads."""
    async with _paused(stage, [await stage.leader()]) as what:
        yield what


@asynccontextmanager
async def pause_majority(stage: Stage, random: Random) -> AsyncIterator[str]:
    """SIGSTOP of a majority."""
    async with _paused(stage, random.sample(stage.nodes, stage.majority)) as what:
        yield what


# The network.


@asynccontextmanager
async def _weather(stage: Stage, weather: Weather, pairs: Iterable[Pair]) -> AsyncIterator[None]:
    stage.links.apply(weather, pairs)
    try:
        yield
    finally:
        stage.links.apply(FAIR)


def _closed(random: Random) -> Weather:
    """A way that is shut: told to both ends, or silently."""
    return Weather(random.choice((Passage.CUT, Passage.HOLE)))


@asynccontextmanager
async def split_leader_off(stage: Stage, random: Random) -> AsyncIterator[str]:
    """The leader and less than half of the others on one side, a majority on the other."""
    leader, followers = await stage.leader(), await stage.followers(random)
    minority = [leader, *followers[: random.randrange(len(stage.nodes) - stage.majority)]]
    weather = _closed(random)
    others = [node for node in stage.nodes if node not in minority]
    async with _weather(stage, weather, stage.links.between(minority, others)):
        yield f"{weather.passage.value}: {', '.join(minority)} | {', '.join(others)}"


@asynccontextmanager
async def split_followers_off(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A minority of followers on one side, the leader with a majority on the other."""
    minority = (await stage.followers(random))[: random.randint(1, len(stage.nodes) - stage.majority)]
    weather = _closed(random)
    others = [node for node in stage.nodes if node not in minority]
    async with _weather(stage, weather, stage.links.between(minority, others)):
        yield f"{weather.passage.value}: {', '.join(minority)} | {', '.join(others)}"


@asynccontextmanager
async def split_all(stage: Stage, random: Random) -> AsyncIterator[str]:
    """No node reaches another: no majority anywhere."""
    weather = _closed(random)
    async with _weather(stage, weather, stage.links.between(stage.nodes, stage.nodes)):
        yield f"{weather.passage.value}: all from all"


@asynccontextmanager
async def bridge(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Two halves that don't see each other, and one node that sees both."""
    middle, *others = random.sample(stage.nodes, len(stage.nodes))
    half = len(others) // 2
    weather = _closed(random)
    left, right = others[:half], others[half:]
    async with _weather(stage, weather, stage.links.between(left, right)):
        yield f"{weather.passage.value}: {', '.join(left)} | {', '.join(right)}; {middle} sees both"


@asynccontextmanager
async def one_way(stage: Stage, random: Random) -> AsyncIterator[str]:
    """The leader is heard by nobody, or hears nobody, while the other direction works."""
    leader, followers = await stage.leader(), await stage.followers(random)
    weather = _closed(random)
    if random.random() < 0.5:
        said, pairs = f"{leader} is not heard", stage.links.one_way([leader], followers)
    else:
        said, pairs = f"{leader} hears nobody", stage.links.one_way(followers, [leader])
    async with _weather(stage, weather, pairs):
        yield f"{weather.passage.value}: {said}"


@asynccontextmanager
async def latency(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Every link is slow, each as slow as it happens to be."""
    delays = {pair: random.choice((5, 20, 60, 120)) for pair in stage.links.between(stage.nodes, stage.nodes)}
    stage.links.vary(lambda pair: Weather(delay_ms=delays[pair], jitter_ms=delays[pair] / 2))
    try:
        yield "5 to 120 ms a direction, and half of it as jitter"
    finally:
        stage.links.apply(FAIR)


@asynccontextmanager
async def loss(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Packets are lost, which TCP shows as stalls."""
    share = random.choice((0.01, 0.03, 0.1))
    async with _weather(stage, Weather(stalls=share), stage.links.between(stage.nodes, stage.nodes)):
        yield f"{share:.0%} of all chunks stall for 200 ms or more"


@asynccontextmanager
async def flapping(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Links break and mend at random, again and again."""

    async def flap() -> None:
        while True:
            stage.links.vary(lambda _: _closed(random) if random.random() < 0.4 else FAIR)
            await asyncio.sleep(FLAP_S)

    task = asyncio.create_task(flap())
    try:
        yield f"40 % of all links cut or held, others every {FLAP_S} s"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        stage.links.apply(FAIR)


# Below the processes.


@asynccontextmanager
async def full_disk(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A node's disk fills up: it must stop by itself, and come back once there is room."""
    victim = random.choice((await stage.leader(), (await stage.followers(random))[0]))
    room = random.randrange(FULL_WITHIN_BYTES)
    stage.down.add(victim)
    stage.faults[victim].set(free_bytes=room)
    try:
        yield f"{victim} has {room:,} bytes left"
    finally:
        full = stage.faults[victim].free_bytes == 0
        stage.faults[victim].set()
        if full:
            # A write that failed is for the node to end by; it may just be about to.
            await _end_of(stage, victim)
        stage.revive([victim])


async def _end_of(stage: Stage, node: str) -> None:
    async def ended() -> bool:
        return not stage.local.is_running(node)

    try:
        await wait_until(ended, STOP_WITHIN_S, f"{node} ends")
    except LocalNetworkError:
        stage.kill([node])


@asynccontextmanager
async def slow_sync(stage: Stage, random: Random) -> AsyncIterator[str]:
    """Syncs are slow at the leader, or at a majority."""
    leader = await stage.leader()
    majority = [leader, *(await stage.followers(random))[: stage.majority - 1]]
    victims = random.choice(([leader], majority))
    delay_ms = random.choice((30, 100, 400))
    for victim in victims:
        stage.faults[victim].set(sync_delay_ms=delay_ms)
    try:
        yield f"{delay_ms} ms a sync at {', '.join(victims)}"
    finally:
        for victim in victims:
            stage.faults[victim].set()


@asynccontextmanager
async def clock_skew(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A minority's clocks are wrong, each by as much as it happens to be; sometimes the leader's."""
    victims = random.sample(stage.nodes, len(stage.nodes) - stage.majority)
    offsets = {victim: random.choice((-60_000, -3_000, -800, 800, 3_000, 60_000)) for victim in victims}
    for victim, offset_ms in offsets.items():
        stage.faults[victim].set(clock_offset_ms=offset_ms)
    try:
        yield ", ".join(f"{victim} by {offset_ms:+,} ms" for victim, offset_ms in offsets.items())
    finally:
        for victim in victims:
            stage.faults[victim].set()


NEMESES = (
    Nemesis("kill-leader", kill_leader, Kind.PROCESSES),
    Nemesis("kill-follower", kill_follower, Kind.PROCESSES, mild=True),
    Nemesis("kill-majority", kill_majority, Kind.PROCESSES),
    Nemesis("pause-leader", pause_leader, Kind.PROCESSES),
    Nemesis("pause-majority", pause_majority, Kind.PROCESSES),
    Nemesis("split-leader-off", split_leader_off, Kind.LINKS),
    Nemesis("split-followers-off", split_followers_off, Kind.LINKS),
    Nemesis("split-all", split_all, Kind.LINKS),
    Nemesis("bridge", bridge, Kind.LINKS),
    Nemesis("one-way", one_way, Kind.LINKS),
    Nemesis("latency", latency, Kind.LINKS, mild=True),
    Nemesis("loss", loss, Kind.LINKS, mild=True),
    Nemesis("flapping", flapping, Kind.LINKS),
    Nemesis("full-disk", full_disk, Kind.BELOW),
    Nemesis("slow-sync", slow_sync, Kind.BELOW, mild=True),
    Nemesis("clock-skew", clock_skew, Kind.BELOW, mild=True),
    Nemesis("flipped-bits", flipped_bits, Kind.LINKS),
    Nemesis("add-node", add_node, Kind.PROCESSES),
    Nemesis("remove-node", remove_node, Kind.PROCESSES),
    Nemesis("remove-leader", remove_leader, Kind.PROCESSES),
    Nemesis("replace-node", replace_node, Kind.PROCESSES),
    Nemesis("give-up-joiner", give_up_joiner, Kind.PROCESSES),
    Nemesis("forgotten", forgotten, Kind.PROCESSES),
    Nemesis("kill-in-snapshot", kill_in_snapshot, Kind.PROCESSES),
    Nemesis("kill-giver", kill_giver, Kind.PROCESSES),
    Nemesis("prune", prune, Kind.PROCESSES),
)
