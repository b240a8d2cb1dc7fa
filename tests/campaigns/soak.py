"""Lets three real nodes settle payments at half of the load that they are meant for, for half an hour.

python -m tests.campaigns.soak --minutes 30

The target is 3,000 payments a second, so half of it is 1,500; --rate gives another load, which must be one
that this machine bears: where half of what `nostro bench` measures is less, take that. Requests leave in an
open loop, and their latency counts from the moment when each was due. The accounts pay each other in a ring,
so nothing is left to chance, and there is no seed.

Every minute a line tells the latencies of the payments that were due in it, the most that the load itself
was late, and the memory and store of each node; `load` is this process, so that it can be seen not to grow
either. What must hold at the end:

- memory of each node: the mean of the last two minutes is less than 2 % above the mean of the two minutes
  that ended ten minutes before them (a minute is the mean of samples five seconds apart);
- p99 of all payments in the last third of the minutes is at most 1.5 times that in the third before it;
- half of the last minute's payments waited less than a second, so the nodes kept up with the load;
- every payment was executed, and none refused or left unknown;
- at rest all nodes have executed and certified the same height, and stop with 0; their stores have the same
  chain and state, in which every acknowledged payment stands once, where its payer was told;
- all balances add up to zero, and the issuer's to what it funded the ring with.

The exit code is 1 where any of it doesn't hold. What needs more minutes than there were is not judged (memory
takes 12, p99 takes 3); then the verdict says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, nullcontext, suppress
from pathlib import Path
from statistics import mean

from cli.bench.load import FUNDING, Load, open_load
from cli.bench.measure import anonymous_bytes, rss_bytes
from cli.bench.pace import open_loop
from node.config import Timing, load_config
from node.local import LocalNetwork, LocalNetworkError, wait_until
from tests.campaigns.signed_ahead import Group, SignedAhead, signing_process
from tests.campaigns.soak_book import Book, Ending, Minute, Shape, judge, verdict
from tests.campaigns.soak_report import heading, to_document, to_line, to_lines
from tests.campaigns.soak_stores import read_store
from tests.integration.harness import PASSPHRASE, provision
from wallet.client import MOST_BATCH_ENVELOPES, Client

TARGET = 3_000
"""Payments a second that three nodes are meant for."""
MINUTE_S = 60
SAMPLE_S = 5.0
SUBMIT_TIMEOUT_MS = 60_000
AT_REST_TIMEOUT_S = 60.0
MOST_MINUTES = 1_380
"""Payments are valid for 24 hours from the start."""
MOST_PAYMENTS = 50_000_000
"""So that the book stays below 0.5 GB."""


class Soak:
    """One run on a network that is ready: clients of every node, the load, and its book."""

    def __init__(self, local: LocalNetwork, clients: Mapping[str, Client], load: Load, shape: Shape) -> None:
        """Nothing is sent yet."""
        self.book = Book(shape)
        self.minutes: list[Minute] = []
        self._local = local
        self._clients = clients
        self._load = load

    @property
    def _first(self) -> int:
        """The number of the first payment: above those of the fundings, so that its id's time is its own."""
        return len(self._load.customers)

    async def run(self, pool: Executor) -> None:
        """Send everything, and tell each minute."""
        shape, clients = self.book.shape, list(self._clients.values())
        ahead = SignedAhead(pool, self._first, shape.minutes * shape.requests, shape.batch)
        await ahead.filled()

        async def send(number: int, group: Group, due_s: float) -> None:
            left_s = time.perf_counter()
            client = clients[number % len(clients)]
            answers = await client.submit_batch(group, "executed", SUBMIT_TIMEOUT_MS)
            waited_s = time.perf_counter() - due_s
            self.book.answered(number, (left_s - due_s) * 1e3, waited_s * 1e3, answers)

        start_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(open_loop(ahead, MINUTE_S / shape.requests, send, start_s))
            group.create_task(self._watch(start_s))

    async def at_rest(self) -> dict[str, int]:
        """The height that each node has executed, once all have executed and certified the same; or as they
        are when that takes too long.
        """
        heights: dict[str, int] = {}

        async def equal() -> bool:
            told = {node: await client.cluster() for node, client in self._clients.items()}
            heights.update({node: cluster.executed_height for node, cluster in told.items()})
            certified = {cluster.certified_height for cluster in told.values()}
            return {*heights.values()} == certified and len(certified) == 1

        with suppress(LocalNetworkError):
            await wait_until(equal, AT_REST_TIMEOUT_S, "all nodes are at one height")
        return heights

    def ending(self, heights: Mapping[str, int]) -> Ending:
        """Stop the nodes and read their stores."""
        codes, network = self._local.stop(), self._local.network
        first_ms, issuance = self._load.start_ms + self._first, self._load.desk.issuance
        height = max(heights.values())
        stores = {
            node: read_store(network, node, height, self.book.places, first_ms, issuance) for node in heights
        }
        return Ending(heights, codes, stores, len(self._load.customers) * FUNDING)

    async def _watch(self, start_s: float) -> None:
        """Sample memory, and tell a minute once all its requests are answered.

        One that is answered late takes samples from the minute after it, but never its last.
        """
        say(heading([*self._clients, "load"]))
        for number in range(self.book.shape.minutes):
            samples = await self._samples(start_s + (number + 1) * MINUTE_S)
            stores = await asyncio.to_thread(self._stores)
            await self.book.complete(number)
            total, anonymous = (
                {name: mean(sample[kind][name] for sample in samples) for name in samples[0][kind]}
                for kind in (0, 1)
            )
            self.minutes.append(
                Minute(
                    number + 1,
                    self.book.executed_in(number),
                    self.book.latency(number),
                    self.book.late_ms(number),
                    total,
                    anonymous,
                    stores,
                )
            )
            say(to_line(self.minutes[-1]))

    async def _samples(self, end_s: float) -> list[tuple[dict[str, int], dict[str, int]]]:
        """Memory of all processes and what of it is their own, every few seconds and at the end."""
        samples = []
        while (left_s := end_s - time.perf_counter()) > 0:
            await asyncio.sleep(min(SAMPLE_S, left_s))
            pids = {**{node: self._pid(node) for node in self._clients}, "load": os.getpid()}
            samples.append(
                (
                    {name: rss_bytes(pid) for name, pid in pids.items()},
                    {name: anonymous_bytes(pid) for name, pid in pids.items()},
                )
            )
        return samples

    def _pid(self, node: str) -> int:
        if not self._local.is_running(node):
            raise LocalNetworkError(f"node {node} ended:\n{self._local.last_lines(node)}")
        return self._local.pid(node)

    def _stores(self) -> dict[str, int]:
        """How large each node's store is on the disk, in bytes."""
        return {
            node: folder_bytes(load_config(self._local.network.config(node)).data) for node in self._clients
        }


def folder_bytes(folder: Path) -> int:
    """The sizes of a folder's files; one that goes meanwhile counts nothing."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


async def soaked(local: LocalNetwork, accounts: int, shape: Shape) -> tuple[Soak, dict[str, int]]:
    """The run, and the heights of the nodes at rest."""
    await local.ready()
    network = local.network
    async with AsyncExitStack() as stack:
        clients = {
            place.id: await stack.enter_async_context(Client([place.api_url], ca_file=network.ca))
            for place in network.nodes
        }
        client = next(iter(clients.values()))
        say(f"opening and funding {accounts:,} accounts")
        load = await open_load(network, PASSPHRASE, accounts, client, lambda _done, _total: None)
        issuer = (await client.assets())[0].issuer
        soak = Soak(local, clients, load, shape)
        with signing_process(load, network, issuer, PASSPHRASE) as pool:
            await soak.run(pool)
        return soak, await soak.at_rest()


def shaped(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Shape:
    """The shape that the options ask for, refused where it can't be carried out."""
    if not 1 <= options.minutes <= MOST_MINUTES:
        parser.error(f"--minutes is 1 to {MOST_MINUTES:,}")
    if not 1 <= options.batch <= MOST_BATCH_ENVELOPES:
        parser.error(f"--batch is 1 to {MOST_BATCH_ENVELOPES:,}")
    if options.accounts < 2:
        parser.error("--accounts is 2 or more")
    shape = Shape(options.minutes, round(options.rate * MINUTE_S / options.batch), options.batch)
    if not 1 <= shape.payments <= MOST_PAYMENTS:
        parser.error(f"that is {shape.payments:,} payments, not 1 to {MOST_PAYMENTS:,}")
    if shape.payments > options.accounts * FUNDING:
        parser.error(f"{options.accounts:,} accounts have money for {options.accounts * FUNDING:,} payments")
    return shape


def main() -> None:
    """Run the soak that the command line asks for."""
    parser = argparse.ArgumentParser(
        description="Settle payments at half load for long, and watch the nodes."
    )
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=int, default=TARGET // 2, help="payments a second")
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=25, help="payments a request")
    parser.add_argument("--dir", type=Path, help="keep the network here; else a temporary folder")
    parser.add_argument("--json", action="store_true", help="print a document in place of the table")
    options = parser.parse_args()
    shape = shaped(parser, options)
    folder = tempfile.TemporaryDirectory(prefix="nostro-soak-") if options.dir is None else None
    with (
        folder or nullcontext(options.dir) as place,
        LocalNetwork(provision(Path(place) / "net", timing=Timing())) as local,
    ):
        local.start()
        soak, heights = asyncio.run(soaked(local, options.accounts, shape))
        checks = judge(soak.book, soak.minutes, soak.ending(heights))
    if options.json:
        settings = {name: getattr(options, name) for name in ("minutes", "rate", "accounts", "batch")}
        print(json.dumps(to_document(settings, soak.minutes, checks), indent=2))
    else:
        print("\n".join(to_lines(soak.minutes, checks)))
    raise SystemExit(verdict(checks) == "failed")


if __name__ == "__main__":
    main()
