"""A run from its first node to its last check: nemesis after nemesis under load, each followed by healing.

It decides the schedule and what is checked when. It must not know how nemeses work, nor print anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import msgspec

from node.local import LocalNetworkError
from node.run import EXIT_OK
from tests.torture.checks import not_linearizable, out_of_order, places_given_twice
from tests.torture.history import Fate, History, Paid, settled
from tests.torture.load import ACCOUNTS, FUNDING, PAYERS, Load, open_accounts
from tests.torture.nemeses import Kind, Nemesis
from tests.torture.stage import Stage, staged
from tests.torture.stores import contradictions, inspect
from wallet.client import Freshness
from wallet.errors import WalletError

LIVE_WITHIN_S = 60.0
"""How long after healing every node must be ready, and a payment executed at each: a machine that is short of
processor time needs most of it to start the nodes."""
PROBE_MS = 5_000
HOLD_S = (4.0, 10.0)
MOST_TOLD = 20
"""Of violations of one kind found at the end, so many are told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: nemeses for so many `seconds`, or so many rounds if that is sooner.

    A strike lasts between the two holds (seconds), and after healing there is a calm. `accompanied` is the
    share of strikes in which a mild nemesis of another kind joins; `payers` is how many pay at once.
    """

    seed: int
    nodes: int
    seconds: float
    nemeses: Sequence[Nemesis]
    rounds: int | None = None
    hold_s: tuple[float, float] = HOLD_S
    calm_s: float = 2.0
    accompanied: float = 0.25
    payers: int = PAYERS


class Round(msgspec.Struct, frozen=True):
    """One nemesis: what it did, and how the payers fared until all was live again."""

    nemesis: str
    what: str
    started_s: float
    ended_s: float
    payments: int
    silence_s: float
    """The longest time without an acknowledged payment, from the strike until all was live again."""
    live_after_s: float | None
    """From healing until every node was ready and had a new payment; None: not within LIVE_WITHIN_S."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole run. `below` says whether the faults below the processes could be used."""

    plan: Plan
    below: bool
    rounds: Sequence[Round]
    history: History
    rejected_reads: int
    snapshots: int


async def run(plan: Plan, folder: Path, tell: Callable[[Round], None]) -> Outcome:
    """Torture a new network in an empty folder, and check everything; `tell` hears of each round."""
    rounds: list[Round] = []
    with History(folder / "history.jsonl") as history:
        async with staged(folder, plan.nodes, Random(plan.seed), history) as stage:
            accounts = await open_accounts(stage.bank)
            load = Load(stage.bank, accounts, history, plan.seed, lambda: stage.nodes, plan.payers)
            async with load.running():
                async for result in _rounds(plan, stage, load):
                    rounds.append(result)
                    tell(result)
            await _check_nodes(stage, load)
        await asyncio.to_thread(_check_stores, stage, history)
        await asyncio.to_thread(_check_history, history)
        return Outcome(plan, bool(stage.faults), rounds, history, load.rejected, load.snapshots)


def schedule(plan: Plan, below: bool) -> Iterator[tuple[Sequence[Nemesis], float, Random]]:
    """Who strikes together, for how long and with which luck, from the seed alone; each leads once a bag.

    A mild nemesis that accompanies another strikes first, while there is surely a leader to be struck.
    """
    possible = [nemesis for nemesis in plan.nemeses if below or nemesis.kind is not Kind.BELOW]
    random, number = Random(f"{plan.seed}/schedule"), 0
    while True:
        for nemesis in random.sample(possible, len(possible)):
            number += 1
            mild = [other for other in possible if other.mild and other.kind is not nemesis.kind]
            accompanied = random.random() < plan.accompanied and mild
            strikers = [random.choice(mild), nemesis] if accompanied else [nemesis]
            yield strikers, random.uniform(*plan.hold_s), Random(f"{plan.seed}/{number}")


async def _rounds(plan: Plan, stage: Stage, load: Load) -> AsyncIterator[Round]:
    """Until the time is over, or the network doesn't come back."""
    end_s = time.monotonic() + plan.seconds
    for strikers, hold_s, random in islice(schedule(plan, bool(stage.faults)), plan.rounds):
        if time.monotonic() >= end_s:
            return
        result = await _round(stage, load, strikers, hold_s, random)
        yield result
        if result.live_after_s is None:
            return
        await asyncio.sleep(plan.calm_s)


async def _round(
    stage: Stage, load: Load, strikers: Sequence[Nemesis], hold_s: float, random: Random
) -> Round:
    name = " + ".join(nemesis.name for nemesis in strikers)
    said: list[str] = []
    started_s, live_after_s = time.monotonic(), None
    try:
        async with AsyncExitStack() as struck:
            for nemesis in strikers:
                said.append(await struck.enter_async_context(nemesis.strike(stage, random)))
            await asyncio.sleep(hold_s)
        healed_s = time.monotonic()
        _check_ended(stage)
        await asyncio.wait_for(_live(stage, load, random), LIVE_WITHIN_S)
        live_after_s = time.monotonic() - healed_s
    except (LocalNetworkError, TimeoutError, WalletError) as error:
        what = f"after {name} ({'; '.join(said)}): {error!r}"
        stage.history.violated("liveness", what, time.monotonic())
    ended_s = time.monotonic()
    return Round(
        nemesis=name,
        what="; ".join(said),
        started_s=started_s,
        ended_s=ended_s,
        payments=load.history.executed_between(started_s, ended_s),
        silence_s=load.history.longest_silence_s(started_s, ended_s),
        live_after_s=live_after_s,
    )


def _check_ended(stage: Stage) -> None:
    """A node that ended though nobody made it is a violation; it is started again, for the run to go on."""
    for node, words in stage.ended().items():
        what = f"{node} ended with {stage.local.wait(node)}: {words}"
        stage.history.violated("nodes keep running", what, time.monotonic())
        stage.revive([node])


async def _live(stage: Stage, load: Load, random: Random) -> None:
    """Return once every node is ready and has executed a new payment, and ask for what is still open."""
    await stage.local.ready(stage.nodes, LIVE_WITHIN_S)
    async with stage.bank.client(*stage.nodes) as client:
        paid = await load.pay(client, "probe", random, PROBE_MS)
        while paid.place is None:
            paid = await load.pay(client, "probe", random, PROBE_MS)
        for node in stage.nodes:
            async with stage.bank.client(node) as its:
                await its.payment(paid.tx_id, fresh=Freshness(min_height=paid.place[0]))
        await load.ask_again(client)


async def _check_nodes(stage: Stage, load: Load) -> None:
    """At rest all nodes tell the same balances, whose sum is what it was; and all of them stop well."""
    told: dict[tuple[int, ...], list[str]] = {}
    for node in stage.nodes:
        try:
            reads = await load.read_all(node)
        except WalletError as error:
            stage.history.violated("liveness", f"at the end {node} tells no balances: {error}")
        else:
            told.setdefault(tuple(read.balance for read in reads), []).append(node)
    for balances in told:
        if len(told) > 1 or sum(balances) != ACCOUNTS * FUNDING:
            stage.history.violated("same state", f"at the end the balances are {told}")
    for node, code in (await asyncio.to_thread(stage.local.stop)).items():
        if code != EXIT_OK:
            stage.history.violated("nodes stop well", f"{node} ended with {code}: {stage.last_words(node)}")


def _check_stores(stage: Stage, history: History) -> None:
    """Every store passes its audit and has every payment where its payer was told, once."""
    genesis = stage.local.network.genesis.read_bytes()
    stores = [inspect(stage.store(node), genesis, node) for node in stage.nodes]
    former = [inspect(stage.store(node), genesis, node) for node in stage.retired]
    told = max((paid.place[0] for paid in _payments(history) if paid.place is not None), default=0)
    common = min(store.tip for store in stores)
    for store in (*stores, *former):
        _tell(history, "clean audits", store.findings)
        _tell(history, "nothing lost, nothing twice", contradictions(store, _payments(history)))
        height = min(common, store.tip)
        if store.until(height) != stores[0].until(height):
            history.violated("same chain", f"{store.node} and {stores[0].node} differ up to height {height}")
    for store in stores:
        if store.tip < told:
            what = f"{store.node}'s store ends at {store.tip}, and payers were told of {told}"
            history.violated("all catch up", what)
    longest = max(stores, key=lambda store: store.tip)
    for paid in history.with_fate(Fate.UNKNOWN):
        for place, fate in longest.happened.get(paid.tx_id, ()):
            history.paid(settled(paid, fate, place))


def _check_history(history: History) -> None:
    """What clients saw can have happened in one order: that of the chain, and on each account."""
    payments = _payments(history)
    _tell(history, "one place", places_given_twice(payments))
    _tell(history, "strict serializability", out_of_order(payments, history.reads))
    found = not_linearizable(range(ACCOUNTS), FUNDING, payments, history.reads)
    _tell(history, "linearizability", found)


def _payments(history: History) -> list[Paid]:
    return list(history.payments.values())


def _tell(history: History, promise: str, found: Iterable[str]) -> None:
    sentences = list(found)
    for what in sentences[:MOST_TOLD]:
        history.violated(promise, what)
    if len(sentences) > MOST_TOLD:
        history.violated(promise, f"and {len(sentences) - MOST_TOLD} more")
