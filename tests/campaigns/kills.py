"""Kills the leader of a real network again and again under load, and checks that nothing acknowledged was
lost.

python -m tests.campaigns.kills --kills 100 --seed 1

Payers pay without pause through a client of all nodes. After a random number of acknowledged payments the
leader gets SIGKILL; once the others lead it is started again. At the end every node must give every payment
the very answer that its submitter was given, and the balances must add up. Prints a JSON report; exit code 1
on a violation, or where payments stood still for longer than the target. The nodes' timers are those that a
new network has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from node.config import Timing
from node.local import LocalNetwork
from tests.campaigns.load import PAYERS, Load, paying, percentiles, violations
from tests.integration.harness import Bank, leader_of, provision

MOST_WITHOUT_A_PAYMENT_MS = 2_000
"""The target, for 99 of 100 kills."""
LEAST_BETWEEN_KILLS, MOST_BETWEEN_KILLS = 20, 200


async def kill_leader(local: LocalNetwork, load: Load) -> float:
    """One kill: the longest time without an answer after it, in seconds. The node runs again afterwards."""
    leader = await leader_of(load.bank)
    local.kill(leader)
    start = time.monotonic()
    await load.history.more(PAYERS + 1)
    moments = [start, *(moment for moment in load.history.moments if moment > start)]
    local.start([leader])
    await local.ready([leader])
    return max(later - earlier for earlier, later in pairwise(moments))


async def campaign(local: LocalNetwork, kills: int, seed: int, timing: Timing) -> dict[str, object]:
    """All of it, on a network that runs."""
    source, gaps_s = random.Random(seed), []
    async with paying(Bank(local.network)) as load:
        for number in range(1, kills + 1):
            await load.history.more(source.randint(LEAST_BETWEEN_KILLS, MOST_BETWEEN_KILLS))
            gaps_s.append(await kill_leader(local, load))
            answered = len(load.history.answered)
            print(f"kill {number}: {answered:,} payments, {gaps_s[-1]:.2f} s without one", flush=True)
    answered, without_ms = len(load.history.answered), percentiles(gaps_s)
    return {
        "kills": kills,
        "seed": seed,
        "election_timeout_ms": [timing.tick_ms * timing.election_ticks * factor for factor in (1, 2)],
        "payments": answered,
        "attempts": sum(answer.attempts for _, answer in load.history.answered),
        "ms_without_a_payment": without_ms,
        "within_target": without_ms["p99"] <= MOST_WITHOUT_A_PAYMENT_MS,
        "violations": await violations(load, local.node_ids),
    }


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description="Kill the leader under load, again and again.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    timing = Timing()
    with (
        tempfile.TemporaryDirectory(prefix="nostro-kills-") as folder,
        LocalNetwork(provision(Path(folder) / "net", timing=timing)) as local,
    ):
        local.start()
        asyncio.run(local.ready())
        report = asyncio.run(campaign(local, options.kills, options.seed, timing))
    print(json.dumps(report, indent=2))
    raise SystemExit(1 if report["violations"] or not report["within_target"] else 0)


if __name__ == "__main__":
    main()
