"""Adds a node to a network with a long chain behind it, and restarts nodes, with the time that each takes.

python -m tests.campaigns.joiner --accounts 100000 --payments 1000000

The chain is made offline (tests/campaigns/chain.py) for the three nodes of genesis, which then run. A fourth
bank's node is added as an operator adds one: its folder written, registered, decided on by the members, and
started. It has joined once it votes, nobody is outgoing and nothing of the change is left to do. Then it and
a node of genesis are killed and started again. Prints a JSON report, which says whether the node began with a
snapshot (it does from 1,000 blocks on); exit code 1 where it took longer than the targets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from node.config import Timing
from node.local import LocalNetwork
from tests.campaigns.chain import TRANSACTIONS_A_BLOCK, write_chain
from tests.campaigns.decisions import carried_out, decided, registered
from tests.integration.harness import Bank, provision

NODES, BANKS = 3, 4
JOINER, JOINING_BANK = "delta-1", "delta"
JOIN_TARGET_S = 60.0
RESTART_TARGET_S = 5.0
TIMEOUT_S = 900.0


class Joined(NamedTuple):
    """How long a node took to vote, in seconds, and whether it began with a snapshot."""

    from_decision_s: float
    from_start_s: float
    by_snapshot: bool


async def join(local: LocalNetwork, running: Sequence[str]) -> Joined:
    """Register a node, have the members decide on it, start it, and wait until it votes."""
    await registered(local, running, JOINER, JOINING_BANK)
    begun = time.monotonic()
    await decided(local, running, add=JOINER)
    started = time.monotonic()
    local.start([JOINER])
    await carried_out(local, running, TIMEOUT_S, add=JOINER)
    end = time.monotonic()
    by_snapshot = '"snapshot_installed"' in local.log_file(JOINER).read_text()
    return Joined(end - begun, end - started, by_snapshot)


async def seconds_to_restart(local: LocalNetwork, node: str) -> float:
    """From the start of its process after a kill until it is ready."""
    local.kill(node)
    start = time.monotonic()
    local.start([node])
    await local.ready([node], timeout_s=TIMEOUT_S)
    return time.monotonic() - start


def measure(local: LocalNetwork, running: Sequence[str]) -> dict[str, object]:
    """All times, on a network whose nodes have a chain and don't run yet."""
    local.start(running)
    asyncio.run(local.ready(running, timeout_s=TIMEOUT_S))
    joined = asyncio.run(join(local, running))
    print(f"votes {joined.from_decision_s:.1f} s after the members began to decide", flush=True)
    restarts_s = {node: asyncio.run(seconds_to_restart(local, node)) for node in (JOINER, running[0])}
    within = joined.from_decision_s <= JOIN_TARGET_S and max(restarts_s.values()) <= RESTART_TARGET_S
    return {
        "by_snapshot": joined.by_snapshot,
        "votes_after_decision_s": round(joined.from_decision_s, 1),
        "votes_after_start_s": round(joined.from_start_s, 1),
        "ready_after_restart_s": {node: round(seconds, 1) for node, seconds in restarts_s.items()},
        "within_targets": within,
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Add a node to a network with a long chain behind it.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--block-size", type=int, default=TRANSACTIONS_A_BLOCK)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nostro-joiner-") as folder:
        network = provision(Path(folder) / "net", nodes=NODES, banks=BANKS, timing=Timing())
        running = [node.id for node in network.nodes]
        start = time.monotonic()
        blocks = write_chain(
            Bank(network), running, options.accounts, options.payments, block_size=options.block_size
        )
        made_s = time.monotonic() - start
        print(f"made {blocks:,} blocks in {made_s:.0f} s", flush=True)
        with LocalNetwork(network) as local:
            measured = measure(local, running)
    size = {"accounts": options.accounts, "payments": options.payments, "blocks": blocks}
    print(json.dumps({**size, "made_s": round(made_s, 1), **measured}, indent=2))
    raise SystemExit(0 if measured["within_targets"] else 1)


if __name__ == "__main__":
    main()
