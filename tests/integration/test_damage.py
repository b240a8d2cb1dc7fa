"""A store that is damaged where nobody looks at the start: the first who reads there makes the node stop."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from node.config import load_config
from node.disk import LevelDatabase
from node.local import LocalNetwork
from node.records import block_key
from node.run import EXIT_STOPPED_ITSELF
from tests.integration.harness import Bank, funded
from wallet.client import Client
from wallet.errors import WalletError

pytestmark = pytest.mark.processes

UNCHECKED_AFTER_BLOCKS = 64
"""What a node checks of its newest blocks when it starts (docs/node.md)."""


async def _grow(bank: Bank, client: Client, blocks: int) -> None:
    """Settle payments until the chain has so many more blocks."""
    debtor, creditor = await funded(bank, client, 10_000), await funded(bank, client, 1)
    start = (await client.cluster()).executed_height
    while (await client.cluster()).executed_height < start + blocks:
        await client.submit(bank.pay(debtor, creditor, 1).raw)


def test_a_reader_who_meets_damage_stops_the_node(shaken: LocalNetwork, bank: Bank) -> None:
    """A flipped bit in an old block: the node starts, says nothing wrong, and ends with the word for it.

    Started again it looks through its whole store, and gets the block from the others.
    """
    node = shaken.node_ids[0]

    async def read_the_first_block() -> None:
        async with bank.client(node, timeout_ms=2_000) as client:
            await client.block(1)

    async def grow() -> None:
        async with bank.client() as client:
            await _grow(bank, client, UNCHECKED_AFTER_BLOCKS + 1)

    asyncio.run(grow())
    shaken.kill(node)
    with contextlib.closing(LevelDatabase(load_config(shaken.network.config(node)).data)) as database:
        row = database.get(block_key(1))
        assert row is not None
        database.write({block_key(1): row[:-1] + bytes([row[-1] ^ 1])}, (), sync=True)
    shaken.start([node])
    asyncio.run(shaken.ready([node]))
    with pytest.raises(WalletError):
        asyncio.run(read_the_first_block())
    assert shaken.wait(node) == EXIT_STOPPED_ITSELF
    assert '"word": "corrupt"' in shaken.last_lines(node)
    shaken.start([node])
    asyncio.run(shaken.ready([node]))
    asyncio.run(read_the_first_block())
    assert '"event": "record_repaired"' in shaken.log_file(node).read_text(encoding="utf-8")
