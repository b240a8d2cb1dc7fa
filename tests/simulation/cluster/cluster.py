"""Whole nodes under one seed: setup in calm, chaos, healing, and a check that all that was asked for
came about.

It must not know what nodes must guarantee (oracle.py) nor what one machine is (node.py).
"""

from collections.abc import Callable
from typing import Any

from node.messages import NodeMessage
from node.results import StopReason, SubmitResult
from tests.simulation.cluster.bank import Bank, genesis_of, key_of
from tests.simulation.cluster.clients import Clients
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.oracle import Oracle
from tests.simulation.cluster.profile import HARSH, Profile, draw_rates
from tests.simulation.cluster.world import World
from tests.simulation.report import Report, SimulationFailure, Violation

SIMULATOR = "tests.simulation.cluster"
"""The module whose command replays a seed."""


class Cluster:
    """Everything of one run."""

    def __init__(self, seed: int, profile: Profile, trace: bool = False) -> None:
        """Machines that are switched off."""
        self._seed = seed
        self._profile = profile
        self.world = World(seed, trace)
        self._rates = draw_rates(profile, self.world.random)
        size = self.world.random.choice(profile.cluster_sizes)
        genesis_raw = genesis_of(size)
        self.nodes = {
            id_: SimulatedNode(self, self.world, profile, self._rates, (id_, key_of(id_)), genesis_raw)
            for id_ in (f"n{number}" for number in range(size))
        }
        self._network = Network(self.world, self._rates, self._deliver)
        disks = {id_: node.disk for id_, node in self.nodes.items()}
        self._oracle = Oracle(disks, self.world.counts)
        self.clients = Clients(self.world, Bank(genesis_raw), list(self.nodes), self._submit)
        self._chaos = False

    def run(self) -> Report:
        """All of it; the report of a run that kept every promise."""
        world = self.world
        try:
            for node in self.nodes.values():
                node.start()
            self._set_up()
            self._start_chaos()
            self._run_until(lambda: world.now_ms >= self._chaos_end_ms)
            self._heal()
            self._come_to_rest()
            stores = {id_: node.store for id_, node in self.nodes.items() if node.store is not None}
            self._oracle.check_end(stores, self.clients.orders)
        except Violation as error:
            raise SimulationFailure(
                SIMULATOR, self._seed, self._profile.name, world.now_ms, str(error)
            ) from error
        return Report(
            self._seed, self._profile.name, len(self.nodes), world.steps, world.counts, world.fingerprint
        )

    # What the nodes tell.

    def send(self, sender: str, to: str, message: NodeMessage) -> None:
        """A message leaves."""
        self._oracle.sent(sender, message)
        self._network.send(sender, to, message)

    def reachable(self, node: str) -> frozenset[str]:
        """Links stand to every machine; whether anything comes through is another matter."""
        return frozenset(id_ for id_ in self.nodes if id_ != node)

    def crashes_here(self) -> bool:
        """Whether the process that asks ends now."""
        return self._chaos and self.world.random.random() < self._rates.crash_at_point

    def crashed(self, node: str) -> None:
        """A process has ended: it starts again after a while."""
        self.world.note(f"{node} crashed")
        self.world.counts["crashes"] += 1
        self.world.schedule(self.world.random.uniform(5, 1_500), self.nodes[node].start)

    def stopped(self, node: str, reason: StopReason) -> None:
        """No node has a reason to stop itself here."""
        raise Violation(f"{node} stopped itself: {reason.word}: {reason.what}")

    def logged(self, node: str, event: str, fields: dict[str, Any]) -> None:
        """A line of the log; elections are known from it."""
        self.world.note(f"{node} {event} {fields}")
        self.world.counts[f"log {event}"] += 1
        if event == "leader_changed" and fields["role"] == "leader":
            self.world.counts["elections"] += 1
            self._oracle.leads(node, fields["term"])

    def executed(self, node: str, height: int) -> None:
        """A node has executed a block."""
        store = self.nodes[node].store
        if store is not None:
            self._oracle.executed(node, store, height)
        self.world.note(f"{node} executed {height}")

    # The course of a run.

    def _set_up(self) -> None:
        self.clients.open_accounts()
        self._settle("the accounts to be opened", self._profile.setup_limit_ms)
        self.clients.fund_accounts()
        self._settle("the accounts to be funded", self._profile.setup_limit_ms)

    def _start_chaos(self) -> None:
        self._chaos = True
        self._network.healed = False
        self._chaos_end_ms = self.world.now_ms + self._profile.chaos_ms
        self._repeat(self._profile.submit_every_ms, self.clients.act)
        if self._rates.partition_every_ms is not None:
            self._repeat(self._rates.partition_every_ms, self._partition)

    def _partition(self) -> None:
        self._network.join()
        if self.world.random.random() < 0.6:
            self._network.partition(list(self.nodes))
        else:
            self._greet()

    def _heal(self) -> None:
        self._chaos = False
        self._network.heal()
        self._greet()

    def _come_to_rest(self) -> None:
        """Liveness: once nothing fails, everything asked for is answered, and all nodes get to the same
        place.
        """
        self._settle("what was submitted to be answered", self._profile.healing_limit_ms)
        limit_ms = self.world.now_ms + self._profile.healing_limit_ms
        self._run_until(lambda: self._is_at_rest() or self.world.now_ms > limit_ms)
        if not self._is_at_rest():
            raise Violation(f"the nodes don't come to rest: {self._positions()}")
        for order in self.clients.orders:
            self.clients.ask_again(order, self.world.random.choice(list(self.nodes)))
        self._run_until(lambda: self.world.now_ms > limit_ms or self._is_at_rest())
        self._settle("certificates of all that was executed", self._profile.healing_limit_ms)
        if self.clients.uncertified():
            raise Violation(f"{len(self.clients.uncertified())} executed transactions were never certified")

    def _settle(self, what: str, limit_ms: int) -> None:
        until_ms = self.world.now_ms + limit_ms
        self._run_until(lambda: not self.clients.unsettled() or self.world.now_ms > until_ms)
        left = self.clients.unsettled()
        if left:
            raise Violation(
                f"waited {limit_ms} ms for {what}, {len(left)} are left ({left[0].refused}): "
                f"{self._positions()}"
            )

    def _is_at_rest(self) -> bool:
        statuses = [node.driver.status() for node in self.nodes.values() if node.driver is not None]
        heights = {status.executed_height for status in statuses}
        return (
            len(statuses) == len(self.nodes)
            and len(heights) == 1
            and all(
                s.pending == 0 and s.certified_height == s.last_height == s.executed_height for s in statuses
            )
        )

    def _positions(self) -> list[str]:
        return [
            f"{s.node_id} {s.role} term {s.term} log {s.last_height} committed {s.committed_height} executed "
            f"{s.executed_height} certified {s.certified_height} pending {s.pending}"
            for s in (node.driver.status() for node in self.nodes.values() if node.driver is not None)
        ]

    def _run_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.world.step()

    def _repeat(self, every_ms: int, action: Callable[[], None]) -> None:
        def once() -> None:
            if self._chaos:
                action()
                self.world.schedule(every_ms * self.world.random.uniform(0.2, 1.8), once)

        self.world.schedule(every_ms, once)

    # What comes to the nodes.

    def _deliver(self, to: str, sender: str, message: NodeMessage) -> None:
        self.nodes[to].current(lambda driver: driver.on_message(sender, message))

    def _submit(self, node: str, raw: bytes, report: Callable[[SubmitResult], None]) -> None:
        if not self.nodes[node].current(lambda driver: driver.submit(raw, report)):
            self.world.counts["submitted to a node that was down"] += 1

    def _greet(self) -> None:
        """Links come up again: everybody says Hello to everybody."""
        for id_, node in self.nodes.items():
            for other in self.nodes:
                if other != id_:
                    node.current(lambda driver, peer=other: driver.on_connected(peer))  # type: ignore[misc]


def run(seed: int, profile: Profile = HARSH, trace: bool = False) -> Report:
    """One seed; raises SimulationFailure with the command that replays it."""
    return Cluster(seed, profile, trace).run()
