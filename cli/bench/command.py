"""`nostro bench`: the command; what it does is in the modules beside this one."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.progress import progress

if TYPE_CHECKING:
    from cli.bench.run import Figures, Settings
    from node.local import LocalNetwork

PASSPHRASE = "bench only"
MOST_NODES = 9


@click.command(name="bench")
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1, MOST_NODES))
@click.option("--accounts", default=2_000, show_default=True, type=click.IntRange(2, 100_000))
@click.option("--payments", default=30_000, show_default=True, type=click.IntRange(1), help="At full load.")
@click.option("--latency-payments", default=300, show_default=True, type=click.IntRange(1))
@click.option("--half-load-seconds", default=10, show_default=True, type=click.IntRange(1))
@click.option(
    "--batch", default=250, show_default=True, type=click.IntRange(1, 1_000), help="Payments a request."
)
@click.option(
    "--in-flight", default=12, show_default=True, type=click.IntRange(1, 64), help="Requests at a time."
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Keep the network here. Default: a temporary folder.",
)
@output.json_option
def bench(
    nodes: int,
    accounts: int,
    payments: int,
    latency_payments: int,
    half_load_seconds: int,
    batch: int,
    in_flight: int,
    folder: Path | None,
) -> None:
    """Measure a network of real nodes on this machine.

    Starts it, settles signed payments over TLS with synced writes, and stops it: latency of one payment at a
    time, throughput of the slowest node, latency at half of that, memory and processor time by process, and
    the time to reopen. The load generator shares the machine and is counted.
    """
    from cli.bench.report import to_document, to_lines
    from cli.bench.run import Settings

    settings = Settings(nodes, accounts, payments, latency_payments, half_load_seconds, batch, in_flight)
    if folder is not None:
        figures = _measured(folder, settings)
    else:
        with tempfile.TemporaryDirectory(prefix="nostro-bench-") as temporary:
            figures = _measured(Path(temporary) / "network", settings)
    out, cores = output.current(), len(os.sched_getaffinity(0))
    out.result(to_document(figures, cores), lambda: out.fields(to_lines(figures, cores)))


def _measured(folder: Path, settings: Settings) -> Figures:
    from node.local import LocalNetwork, free_node_ports
    from node.plan import plan_network
    from node.provision import create_network

    plan = plan_network(nodes=settings.nodes, ports=free_node_ports(settings.nodes))
    out = output.current()
    with progress("keystores written") as tell:
        network = create_network(plan, folder, PASSPHRASE, progress=tell)
    out.say(f"starting {settings.nodes} nodes")
    with LocalNetwork(network) as local:
        local.start()
        return asyncio.run(_run(local, settings))


async def _run(local: LocalNetwork, settings: Settings) -> Figures:
    from cli.bench.run import Bench

    await local.ready()
    async with AsyncExitStack() as stack:
        return await Bench(local, settings, stack, output.current().say).run(PASSPHRASE)
