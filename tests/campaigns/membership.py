"""Lets a real network grow from one node to seven and shrink back to one under load, as its members decide.

python -m tests.campaigns.membership --most 7

Payers pay without pause through a client of all nodes. Banks bring their nodes one after the other:
registered beforehand, decided on, started; each votes before the next one comes. Then they go in the same
order, so that the node of genesis goes first and the last that came stays alone; who was let go is stopped,
and must end with 0. At full size every node, and at the end the last one, must give every payment the very
answer that its submitter was given, and the balances must add up. Prints a JSON report; exit code 1 on a
violation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from node.config import Timing
from node.local import LocalNetwork
from node.plan import DEFAULT_ISSUER
from node.run import EXIT_OK
from tests.campaigns.decisions import carried_out, decided, registered
from tests.campaigns.load import PAYERS, Load, paying, violations
from tests.integration.harness import Bank, provision

MOST_NODES = 7
CHANGED_WITHIN_S = 300.0


class Step(NamedTuple):
    """A change of the cluster: what was decided, how many vote then, and the seconds from the decision on."""

    change: str
    voters: int
    took_s: float
    longest_gap_s: float


async def measured(load: Load, change: str, voters: int, step: Callable[[], Awaitable[None]]) -> Step:
    """Take a step; how long it took, and the longest time without an answer meanwhile."""
    begun = time.monotonic()
    await step()
    end = time.monotonic()
    gap_s = load.history.longest_gap_s(begun, end)
    print(f"{change}: {voters} vote after {end - begun:.1f} s, {gap_s:.2f} s without a payment", flush=True)
    return Step(change, voters, round(end - begun, 1), round(gap_s, 2))


async def come(local: LocalNetwork, asked: Sequence[str], node: str) -> None:
    """A registered node is decided on and started, and votes."""
    await decided(local, asked, add=node)
    local.start([node])
    await carried_out(local, asked, CHANGED_WITHIN_S, add=node)


async def go(local: LocalNetwork, staying: Sequence[str], node: str) -> None:
    """A node is let go by the decision of the members, and has no part any more."""
    await decided(local, staying, remove=node)
    await carried_out(local, staying, CHANGED_WITHIN_S, remove=node)


async def grow(local: LocalNetwork, load: Load) -> list[Step]:
    """From the first node alone to all of them."""
    nodes = local.node_ids
    return [
        await measured(load, f"{node} comes", count + 1, partial(come, local, nodes[:count], node))
        for count, node in enumerate(nodes[1:], 1)
    ]


async def shrink(local: LocalNetwork, load: Load) -> tuple[list[Step], list[str]]:
    """From all nodes to the last one alone; and how those ended that didn't end well."""
    nodes, steps, ended_badly = local.node_ids, [], []
    for gone, node in enumerate(nodes[:-1], 1):
        staying = nodes[gone:]
        steps.append(await measured(load, f"{node} goes", len(staying), partial(go, local, staying, node)))
        local.signal(node, signal.SIGTERM)
        code = await asyncio.to_thread(local.wait, node)
        ended_badly += [f"{node} ended with {code}"] if code != EXIT_OK else []
    return steps, ended_badly


async def campaign(local: LocalNetwork, banks: Sequence[str], payers: int) -> dict[str, object]:
    """All of it, on a network of one node that runs; these banks bring the others."""
    for each in banks:
        await registered(local, local.node_ids[:1], f"{each}-1", each)
    bank = Bank(local.network)
    async with paying(bank, payers) as growing:
        steps = await grow(local, growing)
    found = await violations(growing, local.node_ids)
    async with paying(bank, payers) as shrinking:
        down, ended_badly = await shrink(local, shrinking)
    for load in (growing, shrinking):
        found += await violations(load, local.node_ids[-1:])
    return {
        "payments": sum(len(load.history.answered) for load in (growing, shrinking)),
        "steps": [step._asdict() for step in (*steps, *down)],
        "longest_gap_s": max(step.longest_gap_s for step in (*steps, *down)),
        "violations": found + ended_badly,
    }


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description="Grow a network under load, and shrink it again.")
    parser.add_argument("--most", type=int, default=MOST_NODES, help="how many nodes vote at full size")
    parser.add_argument("--payers", type=int, default=PAYERS, help="how many pay at the same time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nostro-membership-") as folder:
        network = provision(Path(folder) / "net", nodes=1, banks=options.most, timing=Timing())
        first = network.nodes[0].member
        banks = [member.id for member in network.members if member.id not in (first, DEFAULT_ISSUER)]
        with LocalNetwork(network) as local:
            local.start()
            asyncio.run(local.ready())
            report = asyncio.run(campaign(local, banks, options.payers))
    print(json.dumps(report, indent=2))
    raise SystemExit(1 if report["violations"] else 0)


if __name__ == "__main__":
    main()
