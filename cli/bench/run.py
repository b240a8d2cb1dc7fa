"""The phases of a benchmark on a running local network, and the figures they give.

It must not know the command line, nor how the network was made.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from cli.bench.load import Load, open_load
from cli.bench.measure import Latency, VerifyCost, cpu_seconds, latency, rss_bytes
from cli.bench.pace import open_loop
from cli.errors import CommandError
from cli.exits import Exit
from cli.progress import progress
from node.local import LocalNetwork
from wallet.answers import Answer
from wallet.client import Client

SUBMIT_TIMEOUT_MS = 60_000
SCHEDULED_GROUP = 25
"""Payments a request in the half-load phase."""
CATCH_UP_TIMEOUT_S = 60.0
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made of."""

    nodes: int
    accounts: int
    payments: int
    latency_payments: int
    half_load_seconds: int
    batch: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """How many payments a second each node executed and had certified, and what processors did meanwhile.

    `cpu` is in cores by process: the nodes by id, and `load`, this process.
    """

    payments_per_second: dict[str, float]
    seconds: float
    cpu: dict[str, float]

    @property
    def slowest(self) -> float:
        """Payments a second at the slowest node."""
        return min(self.payments_per_second.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a run found."""

    settings: Settings
    verify_us: tuple[float, ...]
    one_at_a_time: Latency
    throughput: Throughput
    half_load_rate: float
    half_load: Latency
    rss: dict[str, int]
    reopen_seconds: dict[str, float]


class Bench:
    """One run: clients of every node, the load, and the clock."""

    def __init__(
        self, local: LocalNetwork, settings: Settings, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> None:
        """`stack` closes the clients."""
        self._local = local
        self._settings = settings
        self._stack = stack
        self._say = say
        self._next = 1

    async def run(self, passphrase: str) -> Figures:
        """All phases, one after the other."""
        settings, network = self._settings, self._local.network
        clients = {place.id: await self._client(place.api_url) for place in network.nodes}
        leader = await _leader(clients)
        cost = VerifyCost(settings.accounts)
        verify_us = [cost.sample_us()]
        self._say(f"opening and funding {settings.accounts:,} accounts")
        with progress("accounts opened, then funded") as tell:
            load = await open_load(network, passphrase, settings.accounts, clients[leader], tell)
        self._say(f"one payment at a time, {settings.latency_payments:,} times")
        one = await self._one_at_a_time(load, clients[leader])
        verify_us.append(cost.sample_us())
        self._say(f"signing {settings.payments:,} payments, then submitting them as fast as they are taken")
        throughput = await self._throughput(load, clients)
        verify_us.append(cost.sample_us())
        rate = throughput.slowest / 2
        self._say(f"half of that load, {rate:,.0f} payments a second, for {settings.half_load_seconds} s")
        half = await self._half_load(load, list(clients.values()), rate)
        verify_us.append(cost.sample_us())
        rss = {node: rss_bytes(self._local.pid(node)) for node in clients}
        reopened = await self._reopen(list(clients))
        return Figures(settings, tuple(verify_us), one, throughput, rate, half, rss, reopened)

    async def _client(self, url: str) -> Client:
        client = Client([url], ca_file=self._local.network.ca)
        return await self._stack.enter_async_context(client)

    def _signed(self, load: Load, count: int, group: int) -> list[list[bytes]]:
        """The next `count` payments, in groups of so many."""
        groups = []
        with progress("payments signed") as tell:
            for done in range(0, count, group):
                size = min(group, count - done)
                groups.append(load.envelopes(self._next, size))
                self._next += size
                tell(done + size, count)
        return groups

    async def _one_at_a_time(self, load: Load, client: Client) -> Latency:
        samples = []
        groups = self._signed(load, self._settings.latency_payments, 1)
        with progress("payments one at a time") as tell:
            for (envelope,) in groups:
                start = time.perf_counter()
                answer = await client.submit(envelope, "executed", SUBMIT_TIMEOUT_MS)
                samples.append((time.perf_counter() - start) * 1e3)
                _check(answer)
                tell(len(samples), len(groups))
        return latency(samples)

    async def _throughput(self, load: Load, clients: dict[str, Client]) -> Throughput:
        """A closed loop: `in_flight` requests of `batch` payments each, shared out among the nodes."""
        count = self._settings.payments
        batches = iter(self._signed(load, count, self._settings.batch))
        highest = executed = 0

        async def sender(client: Client, tell: Callable[[int, int], None]) -> None:
            nonlocal highest, executed
            for batch in batches:
                for answer in await client.submit_batch(batch, "executed", SUBMIT_TIMEOUT_MS):
                    highest = max(highest, _check(answer))
                executed += len(batch)
                tell(executed, count)

        cpu = self._cpu()
        start = time.perf_counter()
        order = list(clients.values())
        with progress("payments at full load") as tell:
            senders = range(self._settings.in_flight)
            await asyncio.gather(*(sender(order[number % len(order)], tell) for number in senders))
        ends = await asyncio.gather(*(_certified(client, highest) for client in order))
        seconds = max(ends) - start
        used = {name: round((now - cpu[name]) / seconds, 3) for name, now in self._cpu().items()}
        rates = {node: count / (end - start) for node, end in zip(clients, ends, strict=True)}
        return Throughput(rates, seconds, used)

    async def _half_load(self, load: Load, clients: Sequence[Client], rate: float) -> Latency:
        """An open loop: latency counts from the moment the schedule meant to send."""
        count = max(1, int(rate * self._settings.half_load_seconds) // SCHEDULED_GROUP)
        groups = self._signed(load, count * SCHEDULED_GROUP, SCHEDULED_GROUP)
        samples: list[float] = []

        async def signed() -> AsyncIterator[list[bytes]]:
            for group in groups:
                yield group

        async def send(number: int, group: list[bytes], due: float) -> None:
            client = clients[number % len(clients)]
            for answer in await client.submit_batch(group, "executed", SUBMIT_TIMEOUT_MS):
                _check(answer)
            samples.extend([(time.perf_counter() - due) * 1e3] * len(group))
            tell(len(samples), count * SCHEDULED_GROUP)

        with progress("payments at half load") as tell:
            await open_loop(signed(), SCHEDULED_GROUP / rate, send, time.perf_counter())
        return latency(samples)

    async def _reopen(self, nodes: Sequence[str]) -> dict[str, float]:
        """Each node in turn: stopped, started, and the seconds from the start to ready."""
        seconds = {}
        for node in nodes:
            self._say(f"stopping {node} and starting it again")
            self._local.signal(node, signal.SIGTERM)
            self._local.wait(node)
            start = time.perf_counter()
            self._local.start([node])
            await self._local.ready([node])
            seconds[node] = time.perf_counter() - start
        return seconds

    def _cpu(self) -> dict[str, float]:
        seconds = {node: cpu_seconds(self._local.pid(node)) for node in self._local.node_ids}
        return {**seconds, "load": cpu_seconds(os.getpid())}


async def _leader(clients: dict[str, Client]) -> str:
    cluster = await next(iter(clients.values())).cluster()
    if cluster.leader is None:
        raise CommandError("The network has no leader.", "Look at the nodes' logs.", Exit.UNREACHABLE)
    return cluster.leader


async def _certified(client: Client, height: int) -> float:
    """The moment at which this node has executed `height` and holds its certificate."""
    deadline = time.perf_counter() + CATCH_UP_TIMEOUT_S
    while (await client.cluster()).certified_height < height:
        if time.perf_counter() > deadline:
            raise CommandError(
                f"A node did not certify height {height:,} within {CATCH_UP_TIMEOUT_S:.0f} s.",
                "Look at its log.",
                Exit.UNREACHABLE,
            )
        await asyncio.sleep(POLL_S)
    return time.perf_counter()


def _check(answer: Answer) -> int:
    """The height that a payment was executed at. Every payment of a benchmark must settle."""
    if answer.outcome is None or answer.outcome.name != "executed" or answer.height is None:
        word = answer.status if answer.outcome is None else answer.outcome.sentence
        raise CommandError(f"Payment {answer.tx_id} did not settle: {word}", "Look at the nodes' logs.")
    return answer.height
