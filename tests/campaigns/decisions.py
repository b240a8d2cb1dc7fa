"""What the members decide on the cluster of a real network: a node comes or goes, and when that is so.

`asked` are the nodes that answer for the network. It must not know what else happens to the network
meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from node.further_node import add_node
from node.local import LocalNetwork, LocalNetworkError, free_node_ports, wait_until
from node.plan import PlannedNode
from node.provision import load_network
from tests.integration.harness import Bank, Members
from wallet.client import Client, Freshness
from wallet.errors import WalletError

DECIDED_WITHIN_S = 60.0
STRONG = Freshness(strong=True)


async def registered(local: LocalNetwork, asked: Sequence[str], node: str, member: str) -> None:
    """Give `member` a further node, in the network's folder and on the chain. It doesn't run yet."""
    made = add_node(local.network, PlannedNode(node, "127.0.0.1", *free_node_ports(1)), member)
    async with Bank(local.network).client(*asked) as client:
        await executed(client, Members(local.network).register(made))
    local.network = load_network(local.network.directory)


async def decided(
    local: LocalNetwork, asked: Sequence[str], add: str | None = None, remove: str | None = None
) -> None:
    """Have the members decide that a node comes to vote, or goes; it isn't carried out yet."""
    async with Bank(local.network).client(*asked) as client:
        version = (await client.membership(STRONG)).decision.version
        await executed(client, Members(local.network).change(version, add, remove))


async def carried_out(
    local: LocalNetwork,
    asked: Sequence[str],
    timeout_s: float,
    add: str | None = None,
    remove: str | None = None,
) -> None:
    """Wait until that is so: one votes, the other has no part, and nothing of the change is left to do."""
    async with Bank(local.network).client(*asked) as client:

        async def is_so() -> bool:
            try:
                found = await client.membership(STRONG)
            except WalletError:
                return False
            at_rest = not found.outgoing and not found.decision.pending
            gone = remove not in {*found.voters, *found.learners}
            return at_rest and gone and (add is None or add in found.voters)

        await wait_until(is_so, timeout_s, f"the members' decision is so: add {add}, remove {remove}")


async def executed(client: Client, raw: bytes) -> None:
    """Submit until it is executed; raises LocalNetworkError where the chain decides otherwise."""
    async with asyncio.timeout(DECIDED_WITHIN_S):
        while (answer := await client.submit(raw)).outcome is None:
            pass
    if answer.outcome.name != "executed":
        raise LocalNetworkError(f"the members' decision was not executed: {answer}")
