"""Lets a node join a network with a long chain behind it, and restarts one, with the time that each takes.

python -m tests.campaigns.joiner --accounts 100000 --payments 1000000

The chain is made offline (tests/campaigns/chain.py) for three of four nodes, which then run. The fourth
starts with an empty store; it has joined once it is ready and has executed what they have. Then it is killed
and started again. Prints a JSON report; exit code 1 where it took longer than the targets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import msgspec

from node.admin import REPORT_PATH
from node.config import Timing
from node.local import LocalNetwork, wait_until
from node.report import NodeReport
from tests.campaigns.chain import TRANSACTIONS_A_BLOCK, write_chain
from tests.integration.harness import Bank, provision

NODES = 4
JOIN_TARGET_S = 60.0
RESTART_TARGET_S = 5.0
TIMEOUT_S = 900.0


async def executed_height(local: LocalNetwork, node: str) -> int:
    """What a node has executed."""
    _, text = await local.ask_admin(node, REPORT_PATH)
    return msgspec.json.decode(text, type=NodeReport).executed_height


async def seconds_to_join(local: LocalNetwork, joiner: str, other: str) -> float:
    """From the start of its process until it is ready and has executed what the other has."""
    start = time.monotonic()
    local.start([joiner])
    await local.ready([joiner], timeout_s=TIMEOUT_S)

    async def caught_up() -> bool:
        try:
            return await executed_height(local, joiner) >= await executed_height(local, other)
        except OSError:
            return False

    await wait_until(caught_up, TIMEOUT_S, f"{joiner} has caught up")
    return time.monotonic() - start


async def seconds_to_restart(local: LocalNetwork, node: str) -> float:
    """From the start of its process after a kill until it is ready."""
    local.kill(node)
    start = time.monotonic()
    local.start([node])
    await local.ready([node], timeout_s=TIMEOUT_S)
    return time.monotonic() - start


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Join a network with a long chain behind it.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--block-size", type=int, default=TRANSACTIONS_A_BLOCK)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nostro-joiner-") as folder:
        network = provision(Path(folder) / "net", nodes=NODES, timing=Timing())
        *running, joiner = (node.id for node in network.nodes)
        start = time.monotonic()
        height = write_chain(
            Bank(network), running, options.accounts, options.payments, block_size=options.block_size
        )
        made_s = time.monotonic() - start
        print(f"made {height:,} blocks in {made_s:.0f} s", flush=True)
        with LocalNetwork(network) as local:
            local.start(running)
            asyncio.run(local.ready(running, timeout_s=TIMEOUT_S))
            joined_s = asyncio.run(seconds_to_join(local, joiner, running[0]))
            print(f"joined after {joined_s:.1f} s", flush=True)
            by_snapshot = "snapshot_installed" in local.log_file(joiner).read_text()
            restarts_s = [asyncio.run(seconds_to_restart(local, node)) for node in (joiner, running[1])]
    report = {
        "accounts": options.accounts,
        "payments": options.payments,
        "blocks": height,
        "made_s": round(made_s, 1),
        "by_snapshot": by_snapshot,
        "joined_s": round(joined_s, 1),
        "restarts_s": [round(seconds, 1) for seconds in restarts_s],
    }
    print(json.dumps(report, indent=2))
    raise SystemExit(joined_s > JOIN_TARGET_S or max(restarts_s) > RESTART_TARGET_S)


if __name__ == "__main__":
    main()
