"""Whole nodes under one seed: setup in calm, chaos, healing, and a check that all that was asked for
came about.

It must not know what nodes must guarantee (oracle.py) nor what one machine is (node.py).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from ledger.parameters import CertificateRule, quorum
from node.driver import Driver
from node.messages import NodeMessage
from node.results import StopReason, SubmitResult
from node.store import Store
from tests.simulation.cluster.bank import Bank, genesis_of, key_of
from tests.simulation.cluster.clients import Clients
from tests.simulation.cluster.database import IN_SYNC
from tests.simulation.cluster.doors import Doors
from tests.simulation.cluster.governors import SPARE_BANKS, Governors
from tests.simulation.cluster.nemeses import STRIKES
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.oracle import Oracle
from tests.simulation.cluster.profile import BYZANTINE, CHURN, HARSH, Profile, draw_rates, draw_rule
from tests.simulation.cluster.reads import Readers
from tests.simulation.cluster.recoveries import Recoveries
from tests.simulation.cluster.repairs import Running
from tests.simulation.cluster.signatures import checked_once
from tests.simulation.cluster.snapshots import Snapshots
from tests.simulation.cluster.world import World
from tests.simulation.report import Report, SimulationFailure, Violation

SIMULATOR = "tests.simulation.cluster"
"""The module whose command replays a seed."""
EVENTS_A_LOOK = 16
MAX_ALONE_MS = 600
"""How long the others go on without those who are to survive them."""


class Cluster:
    """Everything of one run."""

    def __init__(self, seed: int, profile: Profile, trace: bool = False) -> None:
        """Machines that are switched off."""
        self._seed = seed
        self._profile = profile
        self.world = World(seed, trace)
        self._rates = draw_rates(profile, self.world.random)
        size = self.world.random.choice(profile.cluster_sizes)
        spare = SPARE_BANKS if CHURN in profile.nemeses else 0
        rule = draw_rule(size, self.world.random)
        self.world.counts[BYZANTINE] += rule is CertificateRule.BYZANTINE
        self._genesis_raw = genesis_raw = genesis_of(size, spare, rule)
        self.nodes: dict[str, SimulatedNode] = {}
        for number in range(size):
            self._install(f"n{number}")
        rates = self._rates
        self.network = Network(
            self.world, self._deliver, drop=rates.drop, duplicate=rates.duplicate, delay_ms=rates.delay_ms
        )
        self._doors = Doors(self.world, genesis_raw, self.nodes)
        self._oracle = Oracle(lambda id_: self.nodes[id_].disk, self.world.counts)
        bank = Bank(genesis_raw)
        self.clients = Clients(self.world, bank, self._machines, self._submit)
        banks = [f"bank{number}" for number in range(size + spare)]
        self._snapshots = Snapshots(self.world, genesis_raw, self.nodes)
        self._governors = Governors(self.world, banks, bank, self.clients, self._power_on)
        self._readers = Readers(self.world, self.clients, self.nodes)
        self._recoveries = Recoveries(self.world, (genesis_raw, bank), self.nodes, self.clients)
        self._chaos = False

    def run(self) -> Report:
        """All of it; the report of a run that kept every promise."""
        world, name = self.world, self._profile.name
        try:
            self._live()
        except Violation as error:
            raise SimulationFailure(SIMULATOR, self._seed, name, world.now_ms, str(error)) from error
        return Report(
            self._seed, name, len(self.nodes), world.steps, world.counts, world.fingerprint, world.now_ms
        )

    def _live(self) -> None:
        for node in list(self.nodes.values()):
            node.start()
        self._set_up()
        self._start_chaos()
        self._run_until(lambda: self.world.now_ms >= self._chaos_end_ms)
        self._heal()
        self._come_to_rest()
        self._oracle.check_end(self._stores(), self.clients.orders, self._readers.answers)

    # Machines.

    def _install(self, id_: str) -> None:
        identity = (id_, key_of(id_))
        self.nodes[id_] = SimulatedNode(self, self.world, self._rates, identity, self._genesis_raw)

    def _power_on(self, id_: str) -> None:
        """A machine for a new node; it says Hello, though nobody may listen yet."""
        if id_ not in self.nodes:
            # Whoever wrote its configuration may not have heard of the newest yet.
            self._doors.tell(id_, list(self.nodes)[: max(2, len(self.nodes) - 1)])
            self._install(id_)
            self.nodes[id_].start()

    def _machines(self) -> list[str]:
        """The machines that are there."""
        return [id_ for id_, node in self.nodes.items() if not node.is_lost]

    def _newest(self) -> Driver | None:
        """The node that has executed most."""
        drivers = [node.driver for node in self.nodes.values() if node.driver is not None]
        return max(drivers, key=lambda driver: driver.executed_height, default=None)

    def _members(self) -> tuple[str, ...]:
        """The nodes that make up the cluster, as far as anything is executed."""
        newest = self._newest()
        return () if newest is None else newest.executed.registry.membership.membership.nodes

    def _stores(self) -> dict[str, Store]:
        """Those of the members that run."""
        members = {id_: self.nodes[id_] for id_ in self._members()}
        return {id_: node.store for id_, node in members.items() if node.store is not None}

    def settled_voters(self) -> tuple[str, ...]:
        """The nodes that vote, as far as anything is executed; nobody while that is to change."""
        newest = self._newest()
        if newest is None or newest.executed.registry.membership_pending(newest.executed_height):
            return ()
        return newest.executed.registry.membership.voters

    def seals_needed(self) -> int:
        """How many of those who vote must seal a height, once anything is executed."""
        newest = self._newest()
        assert newest is not None
        certifiers = newest.executed.registry.certifiers_after(newest.executed_height)
        return quorum(certifiers.certificate_rule, len(certifiers.nodes))

    def govern(self) -> None:
        """Let the members decide on who makes up the cluster, unless a voter is damaged: the others might be
        too few without it.
        """
        newest = self._newest()
        if newest is not None and not any(node.is_damaged for node in self.nodes.values()):
            executed = newest.executed
            self._governors.act(executed.registry, executed.progress.height, newest.status().leader_id)

    def lose_quorum(self) -> None:
        """Cut off a few machines, then lose the others for good, and let those few go on."""
        survivors = self._recoveries.choose()
        if survivors:
            self.network.part(survivors, list(self.nodes), out=True, into=True)
            self.world.schedule(self.world.random.uniform(0, MAX_ALONE_MS), partial(self._go_on, survivors))

    def _go_on(self, survivors: tuple[str, ...]) -> None:
        recovered = self._recoveries.lose_quorum(survivors)
        if recovered is not None:
            height = self._oracle.recovered(recovered.blocks, survivors)
            self.clients.recovered(height, recovered.decision)
            self._readers.recovered(height)

    # What the nodes tell.

    def send(self, sender: str, to: str, message: NodeMessage) -> None:
        """A message leaves."""
        self._oracle.sent(sender, message)
        if self._doors.links(sender, to):
            self.network.send(sender, to, message)

    def reachable(self, node: str) -> frozenset[str]:
        """Links stand to every process; whether anything comes through is another matter."""
        return frozenset(id_ for id_, other in self.nodes.items() if id_ != node and other.driver is not None)

    def helpers(self, node: str) -> Running:
        """The other nodes that run, for one that mends its store."""
        return {
            id_: (other.driver, other.store)
            for id_, other in self.nodes.items()
            if id_ != node and other.driver is not None and other.store is not None
        }

    def crashes_here(self, where: str) -> bool:
        """Whether the process that asks ends now, at a kind of place."""
        if not self._chaos:
            return False
        in_sync = self._rates.crash_in_sync if where == IN_SYNC else 0.0
        return self.world.random.random() < self._rates.crash_at_point + in_sync

    def crashed(self, node: str) -> None:
        """A process has ended: it starts again after a while."""
        self.world.note(f"{node} crashed")
        self.world.counts["crashes"] += 1
        self._ended(node)

    def restarts(self, node: str) -> None:
        """A process has ended in good order: so does it start again."""
        self.world.note(f"{node} stopped")
        self.world.counts["orderly restarts"] += 1
        self._ended(node)

    def started(self, node: str) -> None:
        """A process has begun: the others' links to it come up.

        What it executed before it ended it may have told nobody of.
        """
        process = self.nodes[node]
        if process.driver is not None and process.store is not None and process.driver.executed_height:
            self._oracle.executed(node, process.store, process.driver.executed_height)
        self._tell_others(node, lambda driver: driver.on_connected(node))

    def needs_snapshot(self, node: str) -> None:
        """The leader doesn't hold any more what a node lacks."""
        self._snapshots.fetch(node)

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
        driver = self.nodes[node].driver
        if driver is not None:
            self._snapshots.voting(driver.executed.registry.membership.voters)
        self.world.note(f"{node} executed {height}")

    # The course of a run.

    def _set_up(self) -> None:
        self.clients.open_accounts()
        self._settle("the accounts to be opened", self._profile.setup_limit_ms)
        self.clients.fund_accounts()
        self._settle("the accounts to be funded", self._profile.setup_limit_ms)

    def _start_chaos(self) -> None:
        self._chaos = True
        self.network.healed = False
        self._chaos_end_ms = self.world.now_ms + self._profile.chaos_ms
        self._repeat(self._profile.submit_every_ms, self.clients.act)
        self._repeat(self._profile.read_every_ms, self._readers.act)
        for nemesis in self._rates.nemeses:
            self._repeat(nemesis.every_ms, partial(STRIKES[nemesis.name], self))

    def _heal(self) -> None:
        self._chaos = False
        self.network.heal()
        for node in self.nodes.values():
            node.set_clock_right()
        self.greet()

    def _come_to_rest(self) -> None:
        """Liveness: once nothing fails, everything asked for is answered, and all nodes get to the same
        place.
        """
        self._settle("what was submitted to be answered", self._profile.healing_limit_ms)
        limit_ms = self.world.now_ms + self._profile.healing_limit_ms
        self._run_until(lambda: self._is_at_rest() or self.world.now_ms > limit_ms)
        if not self._is_at_rest():
            raise Violation(f"the nodes don't come to rest: {self._positions()}")
        self._oracle.check_refused(self._stores(), self.clients.refused_for_good())
        self.clients.ask_for_all_again(self._members())
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
        members = [self.nodes[id_].driver for id_ in self._members()]
        statuses = [driver.status() for driver in members if driver is not None]
        heights = {status.executed_height for status in statuses}
        return (
            len(statuses) == len(members)
            and not any(s.membership.is_pending for s in statuses)
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
        """Looking costs as much as several events do, so it is done only now and then."""
        while not reached():
            for _ in range(EVENTS_A_LOOK):
                self.world.step()

    def _repeat(self, every_ms: int, action: Callable[[], None]) -> None:
        def once() -> None:
            if self._chaos:
                action()
                self.world.schedule(every_ms * self.world.random.uniform(0.2, 1.8), once)

        self.world.schedule(every_ms, once)

    def _ended(self, node: str) -> None:
        self._tell_others(node, lambda driver: driver.on_disconnected(node))
        away_ms = self.world.random.uniform(5, 1_500) + self.nodes[node].absence_ms()
        self.world.schedule(away_ms, self.nodes[node].start)

    def _tell_others(self, node: str, what: Callable[[Driver], None]) -> None:
        """The others notice a moment later that links to a node came up or went down."""
        for id_, other in self.nodes.items():
            if id_ != node:
                self.world.schedule(self.world.random.uniform(0.1, 50), partial(other.current, what))

    # What comes to the nodes.

    def _deliver(self, to: str, sender: str, message: NodeMessage) -> None:
        if self._doors.opens(to, sender):
            self.nodes[to].current(lambda driver: driver.on_message(sender, message))

    def _submit(self, node: str, submissions: list[tuple[bytes, Callable[[SubmitResult], None]]]) -> bool:
        is_up = self.nodes[node].current(lambda driver: driver.submit_all(submissions))
        if not is_up:
            self.world.counts["submitted to a node that was down"] += 1
        return is_up

    def greet(self) -> None:
        """Links come up again: everybody says Hello to everybody."""
        for id_, node in self.nodes.items():
            for other in self.nodes:
                if other != id_:
                    node.current(lambda driver, peer=other: driver.on_connected(peer))  # type: ignore[misc]


def run(seed: int, profile: Profile = HARSH, trace: bool = False) -> Report:
    """One seed; raises SimulationFailure with the command that replays it."""
    with checked_once():
        return Cluster(seed, profile, trace).run()
