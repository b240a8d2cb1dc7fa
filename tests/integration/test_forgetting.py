"""Old blocks forgotten by command, at a running node and at a stopped one; who holds them is named."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from node import operators
from node.local import LocalNetwork, wait_until
from node.pruning import LEAST_KEPT_BLOCKS
from tests.campaigns.chain import write_chain
from tests.integration.harness import Bank, provision
from wallet.connections import Connections

pytestmark = pytest.mark.processes

ARCHIVE, RUNNING, STOPPED = "alpha-1", "bravo-1", "charlie-1"
ACCOUNTS, PAYMENTS = 2, LEAST_KEPT_BLOCKS + 100
NAMED_WITHIN_S = 30.0
"""Nodes tell each other now and then which blocks they hold."""


@pytest.fixture
def long_chain(tmp_path: Path) -> Iterator[tuple[LocalNetwork, int]]:
    """Three nodes with a chain, one of them stopped, and the chain's height before they started."""
    network = provision(tmp_path / "net")
    height = write_chain(Bank(network), (ARCHIVE, RUNNING, STOPPED), ACCOUNTS, PAYMENTS, block_size=1)
    with LocalNetwork(network) as local:
        local.start((ARCHIVE, RUNNING))
        asyncio.run(local.ready((ARCHIVE, RUNNING)))
        yield local, height


def prune(local: LocalNetwork, node: str) -> int:
    """`nostro node prune`: the height up to which the node has forgotten its blocks."""
    command = [sys.executable, "-m", "cli", "node", "prune", str(local.network.config(node)), "--json"]
    ended = subprocess.run(
        [*command, "--keep", str(LEAST_KEPT_BLOCKS)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    pruned: int = json.loads(ended.stdout)["pruned_height"]
    return pruned


async def certified_height(local: LocalNetwork, node: str) -> int:
    """Up to which height a running node has certificates."""
    return (await operators.report(operators.admin_port(local.network, node))).certified_height


async def block(local: LocalNetwork, node: str, height: int) -> tuple[int, dict[str, Any]]:
    """What a node answers who asks for the whole block of a height: status, and the problem if it is one."""
    context = ssl.create_default_context(cafile=str(local.network.ca))
    url = f"{local.place(node).api_url}/v1/blocks/{height}/raw"
    async with (
        aiohttp.ClientSession(connector=Connections()) as session,
        session.get(url, ssl=context) as response,
    ):
        problem = await response.json() if response.status != 200 else {}
        return response.status, problem


async def check_forgotten(local: LocalNetwork, node: str, height: int) -> None:
    """The block of that height is gone, and who asks is sent to the archive; the next is there."""

    async def archive_is_named() -> bool:
        status, problem = await block(local, node, height)
        assert (status, problem["type"]) == (410, "urn:nostro:problem:block_pruned")
        return ARCHIVE in problem["detail"]

    await wait_until(archive_is_named, NAMED_WITHIN_S, f"{node} names {ARCHIVE}")
    assert (await block(local, node, height + 1))[0] == 200
    assert (await block(local, ARCHIVE, height))[0] == 200


def test_old_blocks_are_forgotten_and_the_archive_is_named(long_chain: tuple[LocalNetwork, int]) -> None:
    """All but the newest 1,024 certified blocks, whether the node runs or not, and after it has started."""
    local, height = long_chain

    async def scenario() -> None:
        before = await certified_height(local, RUNNING)
        forgotten = await asyncio.to_thread(prune, local, RUNNING)
        after = await certified_height(local, RUNNING)
        assert 0 < before - LEAST_KEPT_BLOCKS <= forgotten <= after - LEAST_KEPT_BLOCKS
        await check_forgotten(local, RUNNING, forgotten)
        assert await asyncio.to_thread(prune, local, STOPPED) == height - LEAST_KEPT_BLOCKS
        local.start([STOPPED])
        await local.ready([STOPPED])
        await check_forgotten(local, STOPPED, height - LEAST_KEPT_BLOCKS)

    asyncio.run(scenario())
