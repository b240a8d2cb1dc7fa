"""Where the torture takes place: real node processes, a cutting proxy between them, and faults below them.

It gives nemeses the means and keeps account of who is down by their doing, so that a node which ends by
itself is noticed. It must not know when which fault is wanted, nor the load.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

from node.config import load_config
from node.local import LocalNetwork, wait_until
from tests.integration.harness import Bank, provision
from tests.torture.history import History
from tests.torture.links import Links
from tests.torture.shim import Faults, compile_shim
from wallet.answers import Cluster
from wallet.client import Client
from wallet.errors import WalletError

LEADER_WITHIN_S = 30.0
ASKED_MS = 1_000


class Stage:
    """One network under torture."""

    def __init__(
        self,
        local: LocalNetwork,
        links: Links,
        faults: Mapping[str, Faults],
        clients: Mapping[str, Client],
        history: History,
    ) -> None:
        """See `staged`, which makes one. `clients` ask one node each, and don't wait long."""
        self.local = local
        self.clients = clients
        self.history = history
        self.bank = Bank(local.network)
        self.links = links
        self.faults = faults
        self.down: set[str] = set()
        """Nodes that a nemesis has ended, or may make end."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes, running or not."""
        return self.local.node_ids

    @property
    def majority(self) -> int:
        """How many nodes a quorum has."""
        return len(self.nodes) // 2 + 1

    def store(self, node: str) -> Path:
        """Where a node's store is."""
        return load_config(self.local.network.config(node)).data

    async def leader(self) -> str:
        """Who leads, in the newest term that anybody knows; raises LocalNetworkError when nobody does."""
        found: list[str] = []

        async def known() -> bool:
            views = [view for view in await self.views() if view is not None and view.role == "leader"]
            newest = max(views, key=lambda view: view.term, default=None)
            found[:] = [] if newest is None else [newest.node]
            return newest is not None

        await wait_until(known, LEADER_WITHIN_S, "a node leads")
        return found[0]

    async def followers(self, random: Random) -> list[str]:
        """All nodes but the leader, in random order."""
        leader = await self.leader()
        others = [node for node in self.nodes if node != leader]
        random.shuffle(others)
        return others

    async def views(self) -> list[Cluster | None]:
        """What each node says of the cluster; None for one that says nothing."""
        return list(await asyncio.gather(*(self.view(node) for node in self.nodes)))

    async def view(self, node: str) -> Cluster | None:
        """What one node says of the cluster; None if it says nothing."""
        try:
            return await self.clients[node].cluster()
        except WalletError:
            return None

    def kill(self, nodes: Iterable[str]) -> None:
        """End nodes at once."""
        for node in nodes:
            self.down.add(node)
            if self.local.is_running(node):
                self.local.kill(node)

    def pause(self, nodes: Iterable[str]) -> None:
        """Stop nodes where they stand."""
        for node in nodes:
            self.local.signal(node, signal.SIGSTOP)

    def resume(self, nodes: Iterable[str]) -> None:
        """Let them go on."""
        for node in nodes:
            self.local.signal(node, signal.SIGCONT)

    def revive(self, nodes: Iterable[str]) -> None:
        """Start those of these nodes again that don't run; a later end is their own."""
        for node in nodes:
            if not self.local.is_running(node):
                self.local.wait(node)
                self.local.start([node])
            self.down.discard(node)

    def ended(self) -> dict[str, str]:
        """Nodes that have ended by themselves, and their last words."""
        return {
            node: self.last_words(node)
            for node in self.nodes
            if node not in self.down and not self.local.is_running(node)
        }

    def last_words(self, node: str) -> str:
        """The last line of a node's log: why it ended, if it did."""
        return self.local.last_lines(node).rpartition("\n")[2]


@asynccontextmanager
async def staged(folder: Path, nodes: int, random: Random, history: History) -> AsyncIterator[Stage]:
    """A network of that many nodes in `folder`, running and ready; stopped in the end."""
    network = provision(folder / "net", nodes)
    ids = [node.id for node in network.nodes]
    peers = {node: load_config(network.config(node)).peer for node in ids}
    links = Links({node: (listen.host, listen.port) for node, listen in peers.items()}, random)
    library = compile_shim(folder)
    faults = {} if library is None else {node: Faults(library, folder / f"{node}.faults") for node in ids}
    async with AsyncExitStack() as stack:
        ports = await links.start()
        stack.push_async_callback(links.close)
        for node in ids:
            table = [
                f"{to} = {json.dumps(f'127.0.0.1:{port}')}" for (by, to), port in ports.items() if by == node
            ]
            with network.config(node).open("a", encoding="utf-8") as config:
                config.write("\n".join(["", "[peer_addresses]", *table, ""]))
        local = stack.enter_context(
            LocalNetwork(network, lambda node: faults[node].variables if node in faults else {})
        )
        local.start()
        await local.ready()
        clients = {
            node.id: await stack.enter_async_context(
                Client([node.api_url], ca_file=network.ca, timeout_ms=ASKED_MS, attempt_timeout_ms=ASKED_MS)
            )
            for node in network.nodes
        }
        yield Stage(local, links, faults, clients, history)
