"""The cluster changes under load: nodes come and go, leaders too, and who never comes is given up.

Each strike leaves as many voters as it found, for whoever goes makes room for the bank that comes next. The
first node always stays, so that one store can be replayed from genesis in the end. It must not know the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from node.further_node import FurtherNode
from node.local import LocalNetworkError, wait_until
from node.plan import DEFAULT_ISSUER
from tests.torture.links import Passage, Weather
from tests.torture.snapshots import forget_old
from tests.torture.stage import Stage
from wallet.client import Client, Freshness
from wallet.errors import WalletError

DECIDED_WITHIN_S = 60.0
CHANGED_WITHIN_S = 120.0
"""A decision is in force 64 blocks later, and takes three steps, each certified before the next."""
STRONG = Freshness(strong=True)


@asynccontextmanager
async def add_node(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A bank without a node brings one; afterwards another one goes."""
    forgotten = await forget_old(stage) if random.random() < 0.5 else 0
    node = await _grow(stage)
    leaving = random.choice([other for other in stage.transient if other != node])
    yield f"{node} came when blocks up to {forgotten:,} were forgotten; then {leaving} went"
    await _shrink(stage, leaving)


@asynccontextmanager
async def remove_node(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A follower is let go; afterwards its bank brings another node."""
    victim = next(node for node in await stage.followers(random) if node != stage.archive)
    await _shrink(stage, victim)
    yield f"{victim} went"
    await _grow(stage)


@asynccontextmanager
async def remove_leader(stage: Stage, random: Random) -> AsyncIterator[str]:
    """The leader is let go, and hands over first; afterwards its bank brings another node."""
    leader = await stage.transient_leader()
    await _shrink(stage, leader)
    yield f"{leader} went, which led"
    await _grow(stage)


@asynccontextmanager
async def replace_node(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A bank's node gives way to another of that bank, in one decision."""
    victim = random.choice(stage.transient)
    made = await _registered(stage, stage.local.place(victim).member)
    stage.start(made.place.id)
    await _change(stage, add=made.place.id, remove=victim)
    stage.take_in(made.place.id)
    await stage.let_go(victim)
    yield f"{made.place.id} came for {victim}"


@asynccontextmanager
async def give_up_joiner(stage: Stage, random: Random) -> AsyncIterator[str]:
    """A node that was decided on never comes, or reaches nobody; the members give it up."""
    node = (await _registered(stage, _spare(stage))).place.id
    reaches_nobody = random.random() < 0.5
    if reaches_nobody:
        stage.links.apply(Weather(Passage.CUT), stage.links.between([node], stage.nodes))
        stage.start(node)
    await _decide(stage, add=node)
    yield f"{node} {'reached nobody' if reaches_nobody else 'never came'}, and was given up"
    await _change(stage, remove=node)
    await stage.let_go(node)


def _spare(stage: Stage) -> str:
    """A bank that runs no node of the cluster; there is always one."""
    busy = {DEFAULT_ISSUER, *(stage.local.place(node).member for node in stage.nodes)}
    return next(member.id for member in stage.local.network.members if member.id not in busy)


async def _registered(stage: Stage, member: str) -> FurtherNode:
    made, address = await stage.further_node(member)
    async with stage.bank.client(*stage.nodes) as client:
        await _execute(client, stage.members.register(made, address))
    return made


async def _grow(stage: Stage) -> str:
    node = (await _registered(stage, _spare(stage))).place.id
    stage.start(node)
    await _change(stage, add=node)
    stage.take_in(node)
    return node


async def _shrink(stage: Stage, node: str) -> None:
    await _change(stage, remove=node)
    await stage.let_go(node)


async def _change(stage: Stage, add: str | None = None, remove: str | None = None) -> None:
    """Have the members decide, and wait until it is so."""
    await _decide(stage, add, remove)
    async with stage.bank.client(*(node for node in stage.nodes if node != remove)) as client:

        async def is_so() -> bool:
            try:
                found = await client.membership(STRONG)
            except WalletError:
                return False
            present = {*found.voters, *found.learners}
            rest = not found.outgoing and not found.decision.pending
            return rest and remove not in present and (add is None or add in found.voters)

        await wait_until(is_so, CHANGED_WITHIN_S, f"add {add}, remove {remove}")


async def _decide(stage: Stage, add: str | None = None, remove: str | None = None) -> None:
    async with stage.bank.client(*stage.nodes) as client:
        version = (await client.membership(STRONG)).decision.version
        await _execute(client, stage.members.change(version, add, remove))


async def _execute(client: Client, raw: bytes) -> None:
    """Submit until it is executed; raises LocalNetworkError where the chain decides otherwise."""
    async with asyncio.timeout(DECIDED_WITHIN_S):
        while True:
            answer = await client.submit(raw)
            if answer.outcome is not None:
                break
    if answer.outcome.name != "executed":
        raise LocalNetworkError(f"the members' decision was not executed: {answer}")
