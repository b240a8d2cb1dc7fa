"""A simulated cluster under one seed: virtual time, clients, faults, then healing and a check of liveness.

It must not know what a Raft core must guarantee (oracle.py) nor how a process works (node.py).
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from random import Random

from consensus.errors import InvariantBroken
from consensus.messages import (
    Entry,
    Membership,
    Message,
    NodeId,
    ReadState,
    SnapshotMeta,
    encode_message,
)
from consensus.raft import Role
from tests.simulation.core.churn import propose_step
from tests.simulation.core.network import Network
from tests.simulation.core.node import Crashed, SimulatedNode
from tests.simulation.core.oracle import Oracle
from tests.simulation.core.profile import HARSH, Profile, draw_rates
from tests.simulation.report import Report, SimulationFailure, Violation

SIMULATOR = "tests.simulation.core"
"""The module whose command replays a seed."""


class Cluster:
    """Everything of one run. Events happen in order of virtual time; the seed decides all else."""

    def __init__(self, seed: int, profile: Profile, trace: bool = False) -> None:
        """A cluster whose nodes haven't started."""
        self.random = Random(seed)
        self.profile = profile
        self.rates = draw_rates(profile, self.random)
        self.counts: Counter[str] = Counter()
        self.now_ms = 0.0
        self.steps = 0
        self._seed = seed
        self._trace = trace
        self._digest = hashlib.sha256()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._healed = False
        size = self.random.choice(profile.cluster_sizes)
        ids = [f"n{number}" for number in range(size + profile.spare_nodes)]
        first = Membership(tuple(ids[:size]))
        self.nodes = {node: SimulatedNode(self, node, first) for node in ids}
        self.oracle = Oracle({node: process.disk for node, process in self.nodes.items()}, self.counts)
        self._network = Network(
            self.random, self.rates, profile.late_ms, self.counts, self.schedule, self._deliver
        )
        self._proposed: dict[bytes, tuple[NodeId, int, int]] = {}
        self._acknowledged: dict[bytes, int] = {}
        self._reads: dict[bytes, int] = {}
        self._read_floor = 0

    def run(self) -> Report:
        """Chaos, healing, liveness; the report of a run that kept every invariant."""
        try:
            for node in self.nodes.values():
                node.start()
            self._start_chaos()
            self._run_until(lambda: self.now_ms >= self.profile.chaos_ms)
            self._heal()
            self._check_liveness()
        except (Violation, InvariantBroken) as error:
            raise SimulationFailure(
                SIMULATOR, self._seed, self.profile.name, self.now_ms, str(error)
            ) from error
        self.counts["acknowledged"] = len(self._acknowledged)
        return Report(
            self._seed,
            self.profile.name,
            len(self.nodes),
            self.steps,
            self.counts,
            self._digest.hexdigest(),
            self.now_ms,
        )

    def schedule(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Let something happen after a delay; what is scheduled first goes first at the same time."""
        self._scheduled += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._scheduled, action))

    def send(self, message: Message) -> None:
        """A node sends."""
        data = encode_message(message)
        self._digest.update(data)
        if self._trace:
            self._note(f"{message}")
        self._network.send(message, data)

    def crashes_here(self) -> bool:
        """Whether the process that asks ends at this point."""
        return not self._healed and self.random.random() < self.rates.crash_at_point

    def crashed(self, node: NodeId) -> None:
        """A process has ended: it starts again after a while."""
        self._note(f"{node} crashed")
        self.schedule(self.random.uniform(1, 300), lambda: self._restart(node))

    def applied(self, node: NodeId, entry: Entry) -> None:
        """A node has applied an entry: if it proposed that, its client hears of the success."""
        self._note(f"{node} applied {entry.index} {entry.term}")
        if self._proposed.get(entry.data) == (node, entry.index, entry.term):
            self._acknowledged[entry.data] = entry.index
            self._read_floor = max(self._read_floor, entry.index)

    def read_done(self, state: ReadState) -> None:
        """A read got its index: it must cover all that was acknowledged or read before the read began."""
        floor = self._reads.pop(state.context, None)
        if floor is None:
            return  # A repeated reply to a read that was answered.
        self.counts["reads"] += 1
        if state.index < floor:
            raise Violation(f"read {state.context!r} may be served at {state.index}, below its floor {floor}")
        self._read_floor = max(self._read_floor, state.index)

    def snapshot_of(self, node: NodeId) -> SnapshotMeta | None:
        """Where the newest snapshot of that node stands, if it runs."""
        return self.nodes[node].snapshot()

    def fetched(self, node: NodeId, of: NodeId, ok: bool) -> None:
        """A transfer has ended: the sender is told now and then, and not always rightly."""
        if self.random.random() < 0.5:
            self.nodes[of].report_snapshot(node, ok and self.random.random() < 0.9)

    def _deliver(self, message: Message) -> None:
        self.nodes[message.to].receive(message)

    def _restart(self, node: NodeId) -> None:
        if self.nodes[node].raft is None:
            self.nodes[node].start()

    def _start_chaos(self) -> None:
        self._repeat(self.profile.propose_every_ms, self._propose)
        self._repeat(self.profile.read_every_ms, self._read)
        self._repeat(self.rates.transfer_every_ms, self._transfer)
        self._repeat(self.rates.compact_every_ms, lambda: self._some_node().compact())
        self._repeat(self.rates.partition_every_ms, self._partition)
        self._repeat(self.rates.churn_every_ms, self._churn)
        self._repeat(self.rates.pause_every_ms, lambda: self._some_node().pause())

    def _repeat(self, every_ms: int | None, action: Callable[[], None]) -> None:
        """Do something at random intervals until the cluster heals."""
        if every_ms is None:
            return

        def again() -> None:
            if not self._healed:
                action()
                self.schedule(self.random.random() * 2 * every_ms, again)

        self.schedule(self.random.random() * 2 * every_ms, again)

    def _some_node(self) -> SimulatedNode:
        return self.nodes[self.random.choice(list(self.nodes))]

    def _propose(self) -> None:
        """Clients propose, now and then several at once, to whichever nodes believe they lead."""
        for _ in range(self.random.choice((1, 1, 1, 4))):
            for node in self.nodes.values():
                self.counts["proposals"] += 1
                data = b"p%d" % self.counts["proposals"]
                if (place := node.propose(data)) is not None:
                    self._proposed[data] = (node.id, *place)

    def _read(self) -> None:
        """Clients read at any node, and at every node that believes it leads, where a stale answer is
        likeliest.
        """
        self._read_at(self._some_node())
        for node in self.nodes.values():
            if node.raft is not None and node.raft.role is Role.LEADER:
                self._read_at(node)

    def _read_at(self, node: SimulatedNode) -> None:
        self.counts["reads asked"] += 1
        context = b"r%d" % self.counts["reads asked"]
        self._reads[context] = self._read_floor
        node.read(context)

    def _transfer(self) -> None:
        to = self._some_node().id
        for node in self.nodes.values():
            node.transfer(to)

    def _churn(self) -> None:
        """An operator asks every node that believes it leads for some next membership."""
        for node in self.nodes.values():
            if node.raft is not None and node.raft.role is Role.LEADER:
                node.change_membership(propose_step(self.random, node.raft.membership, list(self.nodes)))

    def _partition(self) -> None:
        if self.random.random() < 0.5:
            self._network.partition(list(self.nodes))
            node, other = self._some_node(), self._some_node()
            node.report_unreachable(other.id)
        else:
            self._network.join()

    def _heal(self) -> None:
        """No more faults: everybody starts again, and everything arrives."""
        self._healed = True
        self._network.heal()
        for node in self.nodes:
            self._restart(node)

    def _check_liveness(self) -> None:
        """A healed cluster elects a leader, commits a new proposal, answers a read, and all nodes catch
        up.
        """
        limit_ms = self.now_ms + self.profile.healing_limit_ms
        last = b"the last proposal"
        self._retry(
            lambda: last in self._acknowledged,
            lambda: self._propose_last(last),
            limit_ms,
            "no proposal commits",
        )
        index = self._acknowledged[last]
        self._retry(lambda: self._all_have_applied(index), self._do_nothing, limit_ms, "a member lags")
        for node in self._members():
            self._check_read(node, limit_ms)
        lost = [data for data, at in self._acknowledged.items() if self.oracle.data.get(at) != data]
        if lost:
            raise Violation(f"acknowledged proposals were lost: {lost}")

    def _members(self) -> list[SimulatedNode]:
        """Those in the last membership, once it isn't joint any more; else nobody."""
        membership = self.oracle.membership
        return [] if membership.outgoing else [self.nodes[node] for node in membership.all_nodes()]

    def _all_have_applied(self, index: int) -> bool:
        members = self._members()
        return bool(members) and all(node.applied >= index for node in members)

    def _check_read(self, node: SimulatedNode, limit_ms: float) -> None:
        before = self.counts["reads"]
        for context in list(self._reads):
            del self._reads[context]

        def ask() -> None:
            self._reads[b"last %s %d" % (node.id.encode(), self.steps)] = self._read_floor
            node.read(next(reversed(self._reads)))

        self._retry(lambda: self.counts["reads"] > before, ask, limit_ms, f"{node.id} answers no read")

    def _propose_last(self, data: bytes) -> None:
        for node in self.nodes.values():
            if (
                node.raft is not None
                and node.raft.role is Role.LEADER
                and (place := node.propose(data)) is not None
            ):
                self._proposed[data] = (node.id, *place)

    def _do_nothing(self) -> None:
        """Only wait."""

    def _retry(
        self, done: Callable[[], bool], attempt: Callable[[], None], limit_ms: float, failure: str
    ) -> None:
        """Attempt something ten ticks apart until it's done."""
        while not done():
            if self.now_ms >= limit_ms:
                raise Violation(f"liveness: {failure}; {self._describe()}")
            attempt()
            until_ms = self.now_ms + 10 * self.profile.tick_ms
            self._run_until(lambda until_ms=until_ms: done() or self.now_ms >= until_ms)  # type: ignore[misc]

    def _describe(self) -> str:
        return "; ".join(str(node.raft.status()) for node in self.nodes.values() if node.raft is not None)

    def _run_until(self, stop: Callable[[], bool]) -> None:
        while not stop():
            self.now_ms, _, action = heapq.heappop(self._events)
            self.steps += 1
            try:
                action()
            except Crashed:
                continue

    def _note(self, what: str) -> None:
        line = f"{self.now_ms:.3f} {what}"
        self._digest.update(line.encode())
        if self._trace:
            print(line)  # noqa: T201 - what --trace is for


def run(seed: int, profile: Profile = HARSH, trace: bool = False) -> Report:
    """Simulate one seed; raises SimulationFailure, which says how to replay it."""
    return Cluster(seed, profile, trace).run()
