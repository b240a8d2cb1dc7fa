"""Hands the leadership of a real network around under load, and measures how long no payment is executed.

python -m tests.campaigns.transfers --transfers 50

Payers pay without pause through a client of all nodes. Each transfer is asked of the leader's admin port, as
`nostro leader transfer` asks. The longest gap between two answers around it is compared with the longest one
in as long a time before it, in which nothing happened: that is what the machine itself does. At the end every
node must give every payment the very answer that its submitter was given. Prints a JSON report; exit code 1
on a violation, or where a gap is longer than the target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from node import operators
from node.config import Timing
from node.local import LocalNetwork
from tests.campaigns.load import PAYERS, Load, paying, percentiles, violations
from tests.integration.harness import Bank, leader_of, provision

MOST_WITHOUT_A_PAYMENT_MS = 100
"""The target, for each transfer."""
CALM_S = 1.0
"""Before and after each transfer: its gap is looked for within this time."""


class Transfer(NamedTuple):
    """The longest times without an answer, in seconds: around the transfer, and before it."""

    gap_s: float
    calm_gap_s: float


async def transfer(local: LocalNetwork, load: Load) -> Transfer:
    """One transfer to whoever is furthest along."""
    begun = time.monotonic()
    await asyncio.sleep(CALM_S)
    leader = await leader_of(load.bank)
    asked = time.monotonic()
    successor = await operators.hand_over(operators.admin_port(local.network, leader), None)
    await asyncio.sleep(CALM_S)
    if await leader_of(load.bank, successor) != successor:
        raise SystemExit(f"{successor} did not take over from {leader}: nothing was measured")
    history = load.history
    return Transfer(history.longest_gap_s(asked, asked + CALM_S), history.longest_gap_s(begun, asked))


async def campaign(local: LocalNetwork, transfers: int, payers: int) -> dict[str, object]:
    """All of it, on a network that runs."""
    found = []
    async with paying(Bank(local.network), payers) as load:
        for number in range(1, transfers + 1):
            found.append(await transfer(local, load))
            gap_ms, calm_ms = (round(value * 1_000) for value in found[-1])
            print(f"transfer {number}: {gap_ms} ms without a payment, {calm_ms} ms before", flush=True)
    gaps_ms = percentiles([each.gap_s for each in found])
    return {
        "transfers": transfers,
        "payers": payers,
        "payments": len(load.history.answered),
        "attempts": sum(answer.attempts for _, answer in load.history.answered),
        "ms_without_a_payment": gaps_ms,
        "ms_without_a_payment_before": percentiles([each.calm_gap_s for each in found]),
        "within_target": gaps_ms["max"] <= MOST_WITHOUT_A_PAYMENT_MS,
        "violations": await violations(load, local.node_ids),
    }


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description="Hand leadership around under load, again and again.")
    parser.add_argument("--transfers", type=int, default=50)
    parser.add_argument("--payers", type=int, default=PAYERS, help="how many pay at the same time")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nostro-transfers-") as folder,
        LocalNetwork(provision(Path(folder) / "net", timing=Timing())) as local,
    ):
        local.start()
        asyncio.run(local.ready())
        report = asyncio.run(campaign(local, options.transfers, options.payers))
    print(json.dumps(report, indent=2))
    raise SystemExit(1 if report["violations"] or not report["within_target"] else 0)


if __name__ == "__main__":
    main()
