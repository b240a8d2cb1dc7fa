"""Where the torture takes place: real node processes, a cutting proxy between them, and faults below them.

It gives nemeses the means and keeps account of who is down by their doing, so that a node which ends by
itself is noticed. It must not know when which fault is wanted, nor the load.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random

from node import operators
from node.config import load_config
from node.further_node import FurtherNode, add_node
from node.local import LocalNetwork, free_node_ports, wait_until
from node.plan import PlannedNode
from node.provision import ProvisionedNetwork, load_network
from node.run import EXIT_OK
from tests.integration.harness import Bank, Members, provision
from tests.torture.history import History
from tests.torture.links import Links, Pair
from tests.torture.shim import Faults, compile_shim
from wallet.client import Client
from wallet.errors import WalletError
from wallet.network_answers import Cluster

LEADER_WITHIN_S = 30.0
ASKED_MS = 1_000
PEER_ADDRESSES = "[peer_addresses]"
RETIRED_STORES = 2
"""Of nodes that were let go, the stores of so many are kept to the end: each is as large as the chain."""


class Stage:
    """One network under torture."""

    def __init__(
        self,
        local: LocalNetwork,
        links: Links,
        shim: Path | None,
        stack: AsyncExitStack,
        history: History,
    ) -> None:
        """See `staged`, which makes one. The `stack` closes the clients that it makes."""
        self.local = local
        self.history = history
        self.bank = Bank(local.network)
        self.members = Members(local.network)
        self.links = links
        self.clients: dict[str, Client] = {}
        """They ask one node each, and don't wait long."""
        self.faults: dict[str, Faults] = {}
        self.nodes: tuple[str, ...] = ()
        """All nodes that make up the cluster, running or not."""
        self.retired: tuple[str, ...] = ()
        """Nodes that were let go and whose stores are still here."""
        self.down: set[str] = set()
        """Nodes that a nemesis has ended, or may make end."""
        self._log_starts: dict[str, int] = {}
        self._shim = shim
        self._stack = stack

    @property
    def archive(self) -> str:
        """The node that always stays and never forgets a block: its store can be replayed from genesis."""
        return self.nodes[0]

    @property
    def transient(self) -> tuple[str, ...]:
        """The nodes that may go, and forget: all but the archive."""
        return self.nodes[1:]

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
                self.start(node)
            self.down.discard(node)

    def start(self, node: str) -> None:
        """Start a node that doesn't run; `log` begins anew."""
        log = self.local.log_file(node)
        self._log_starts[node] = log.stat().st_size if log.exists() else 0
        self.local.start([node])

    def log(self, node: str) -> list[str]:
        """The lines that a node has written since it was last started here."""
        with self.local.log_file(node).open("rb") as file:
            file.seek(self._log_starts.get(node, 0))
            return file.read().decode(errors="replace").splitlines()

    def ended(self) -> dict[str, str]:
        """Nodes that have ended by themselves, and their last words."""
        return {
            node: self.last_words(node)
            for node in self.nodes
            if node not in self.down and not self.local.is_running(node)
        }

    async def equip(self, node: str) -> None:
        """Means to ask a node, and to let its disk and its clock go wrong."""
        place = self.local.place(node)
        self.clients[node] = await self._stack.enter_async_context(
            Client(
                [place.api_url],
                ca_file=self.local.network.ca,
                timeout_ms=ASKED_MS,
                attempt_timeout_ms=ASKED_MS,
            )
        )
        if self._shim is not None:
            self.faults[node] = Faults(self._shim, self.local.network.directory.with_name(f"{node}.faults"))

    def variables(self, node: str) -> Mapping[str, str]:
        """The environment of a node's process."""
        return self.faults[node].variables if node in self.faults else {}

    async def further_node(self, member: str) -> tuple[FurtherNode, str]:
        """Write a node for a member; it, and the address to register. It isn't started, nor in `nodes`."""
        network = self.local.network
        number = 1 + sum(place.member == member for place in network.nodes)
        planned = PlannedNode(f"{member}-{number}", "127.0.0.1", *free_node_ports(1))
        made = add_node(network, planned, member)
        ports, common = await self.links.add(made.place.id, (planned.host, planned.peer_port))
        self.local.network = self.bank.network = load_network(network.directory)
        for by in {by for by, _ in ports}:
            _dial_through(self.local.network, by, ports)
        await self.equip(made.place.id)
        return made, f"127.0.0.1:{common}"

    def take_in(self, node: str) -> None:
        """This node belongs to the cluster now."""
        self.nodes = (*self.nodes, node)

    async def let_go(self, node: str) -> None:
        """This node doesn't belong to the cluster any more; if it runs, it must stop well."""
        self.nodes = tuple(other for other in self.nodes if other != node)
        await self.links.remove(node)
        if self.local.is_running(node):
            self.local.signal(node, signal.SIGTERM)
            code = await asyncio.to_thread(self.local.wait, node)
            if code != EXIT_OK:
                self.history.violated(
                    "nodes stop well", f"{node}, let go, ended with {code}: {self.last_words(node)}"
                )
        if self.store(node).exists():
            self.retired = (*self.retired, node)
        for old in self.retired[:-RETIRED_STORES]:
            shutil.rmtree(self.store(old))
        self.retired = self.retired[-RETIRED_STORES:]

    async def transient_leader(self) -> str:
        """Who leads; where that is the archive, it hands over first."""
        port = operators.admin_port(self.local.network, self.archive)

        async def moved() -> bool:
            if await self.leader() != self.archive:
                return True
            with suppress(operators.AdminRefused, operators.AdminUnreachable):
                await operators.hand_over(port, None)
            return False

        await wait_until(moved, LEADER_WITHIN_S, f"{self.archive} hands over")
        return await self.leader()

    def last_words(self, node: str) -> str:
        """The last line of a node's log: why it ended, if it did."""
        return self.local.last_lines(node).rpartition("\n")[2]


@asynccontextmanager
async def staged(folder: Path, nodes: int, random: Random, history: History) -> AsyncIterator[Stage]:
    """A network of that many nodes in `folder`, running and ready; stopped in the end.

    It has a bank more than nodes, so that there is always one which can bring a node.
    """
    network = provision(folder / "net", nodes, banks=nodes + 1)
    ids = [node.id for node in network.nodes]
    peers = {node: load_config(network.config(node)).peer for node in ids}
    links = Links({node: (listen.host, listen.port) for node, listen in peers.items()}, random)
    async with AsyncExitStack() as stack:
        ports = await links.start()
        stack.push_async_callback(links.close)
        for node in ids:
            _dial_through(network, node, ports)
        local = stack.enter_context(LocalNetwork(network, lambda node: stage.variables(node)))
        stage = Stage(local, links, compile_shim(folder), stack, history)
        for node in ids:
            await stage.equip(node)
            stage.take_in(node)
        local.start()
        await local.ready()
        yield stage


def _dial_through(network: ProvisionedNetwork, node: str, ports: Mapping[Pair, int]) -> None:
    """Have a node, once it starts again, dial others through its own forwarders."""
    config = network.config(node)
    text = config.read_text(encoding="utf-8")
    added = {
        to: f"{to} = {json.dumps(f'127.0.0.1:{port}')}" for (by, to), port in ports.items() if by == node
    }
    head, _, tail = text.partition(PEER_ADDRESSES)
    kept = [line for line in tail.splitlines() if line.partition(" = ")[0] not in added]
    config.write_text("\n".join([head + PEER_ADDRESSES, *added.values(), *kept, ""]), encoding="utf-8")
