"""A node's core on ports that a test moves by hand: a manual clock, workers that run when told, peers
that record.

It must not know what a test checks. The rows are in memory, everything else is real.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeVar

from ledger.rules import RULES
from ledger.rules.base import RuleSet
from node.driver import Driver, DriverConfig, Ports
from node.mempool import MempoolLimits
from node.messages import NodeMessage
from node.results import StopReason, SubmitResult
from node.store import Store
from tests.simulation.cluster.bank import Bank, genesis_of, key_of
from tests.simulation.cluster.database import SimulatedDatabase, SimulatedDisk

T = TypeVar("T")

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
ALWAYS = (NOW_MS - DAY_MS, NOW_MS + DAY_MS)
TICK_MS = 100
ELECTION_TICKS = 10


class ManualWorker:
    """Jobs wait until `run` is called; each then runs with what follows it, unless it is `paused`."""

    def __init__(self) -> None:
        self.paused = False
        self.jobs: deque[Callable[[], None]] = deque()

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """See node.ports.Worker."""

        def run() -> None:
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - a worker hands over whatever its job raised
                failed(error)
                return
            done(result)

        self.jobs.append(run)

    def run(self) -> bool:
        """Run what waits now; whether there was anything."""
        if self.paused:
            return False
        waiting, self.jobs = self.jobs, deque()
        for job in waiting:
            job()
        return bool(waiting)


class ManualTimer:
    """A call asked for."""

    def __init__(self, due_ms: int, callback: Callable[[], None]) -> None:
        self.due_ms = due_ms
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """See node.ports.TimerHandle."""
        self.callback = None


class ManualPorts:
    """Clock, timers, peers, randomness and log in one."""

    def __init__(self) -> None:
        self.wall_ms = NOW_MS
        self.elapsed_ms = 0
        self.timers: list[ManualTimer] = []
        self.sent: list[tuple[str, NodeMessage]] = []
        self.links: set[str] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.verify, self.disk, self.execute = ManualWorker(), ManualWorker(), ManualWorker()
        self._random = Random(1)

    def now_ms(self) -> int:
        """See node.ports.Clock."""
        return self.wall_ms

    def monotonic_ms(self) -> int:
        """See node.ports.Clock."""
        return self.elapsed_ms

    def advance(self, by_ms: int) -> None:
        """Let both clocks go on, and call what has become due."""
        self.wall_ms += by_ms
        self.elapsed_ms += by_ms
        due = [timer for timer in self.timers if timer.due_ms <= self.elapsed_ms]
        self.timers = [timer for timer in self.timers if timer.due_ms > self.elapsed_ms]
        for timer in due:
            if timer.callback is not None:
                timer.callback()

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> ManualTimer:
        """See node.ports.Timers."""
        timer = ManualTimer(self.elapsed_ms + delay_ms, callback)
        self.timers.append(timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """See node.ports.Timers."""
        self.call_later(0, callback)

    def send(self, to: str, message: NodeMessage) -> None:
        """See node.ports.Peers."""
        self.sent.append((to, message))

    def connected(self) -> frozenset[str]:
        """See node.ports.Peers."""
        return frozenset(self.links)

    def randrange(self, stop: int, /) -> int:
        """See node.ports.Random."""
        return self._random.randrange(stop)

    def bytes(self, count: int, /) -> bytes:
        """See node.ports.Random."""
        return self._random.randbytes(count)

    def info(self, event: str, **fields: Any) -> None:
        """See node.ports.Log."""
        self.events.append((event, fields))

    warning = error = info

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The fields of each such event."""
        return [fields for name, fields in self.events if name == event]

    def settle(self) -> None:
        """Run the workers until none has anything to do."""
        while self.verify.run() or self.disk.run() or self.execute.run():
            pass


class Node:
    """One node under test."""

    def __init__(
        self,
        id_: str = "n0",
        size: int = 1,
        disk: SimulatedDisk | None = None,
        mempool: MempoolLimits | None = None,
        point: Callable[[str], None] = lambda where: None,
        genesis_raw: bytes | None = None,
        rules: Mapping[int, RuleSet] = RULES,
    ) -> None:
        self.id = id_
        self.ports = ManualPorts()
        self.disk = disk or new_disk()
        self.genesis_raw = genesis_raw or genesis_of(size)
        self.bank = Bank(self.genesis_raw)
        self.store = Store.open(SimulatedDatabase(self.disk, point), self.genesis_raw, id_)
        self.stopped: list[StopReason] = []
        ports = self.ports
        self.driver = Driver(
            DriverConfig(
                id_, bytes(16), key_of(id_), TICK_MS, ELECTION_TICKS, 1, mempool or MempoolLimits(), rules
            ),
            self.store,
            Ports(ports, ports, ports, ports.verify, ports.disk, ports.execute, ports, ports),
            self.stopped.append,
        )

    def tick(self, count: int = 1) -> None:
        """Time goes on by so many ticks, and everything is done that they lead to."""
        for _ in range(count):
            self.ports.advance(TICK_MS)
            self.driver.tick()
            self.ports.settle()

    def submit(self, raw: bytes) -> list[SubmitResult]:
        """Submit and settle; the list goes on growing."""
        results: list[SubmitResult] = []
        self.driver.submit(raw, results.append)
        self.ports.settle()
        return results


class Network:
    """Nodes that hear each other at once, unless a link is cut."""

    def __init__(self, size: int, further: int = 0) -> None:
        self.genesis_raw = genesis_of(size, further)
        self.nodes: dict[str, Node] = {}
        self.cut: set[tuple[str, str]] = set()
        for number in range(size):
            self.start(f"n{number}")

    def start(self, id_: str) -> Node:
        """A node with an empty disk, its clock right, linked to all."""
        node = Node(id_, genesis_raw=self.genesis_raw)
        for other in self.nodes.values():
            node.ports.wall_ms = other.ports.wall_ms
        self.nodes[id_] = node
        self.link()
        return node

    def link(self) -> None:
        """Links stand between all that run."""
        for node in self.nodes.values():
            node.ports.links = set(self.nodes) - {node.id}

    def settle(self) -> None:
        """Deliver and work until nothing moves."""
        moved = True
        while moved:
            moved = False
            for node in self.nodes.values():
                node.ports.settle()
                sent, node.ports.sent = node.ports.sent, []
                for to, message in sent:
                    moved = True
                    if (node.id, to) not in self.cut and to in self.nodes:
                        self.nodes[to].driver.on_message(node.id, message)

    def tick(self, count: int = 1) -> None:
        """Time goes on everywhere."""
        for _ in range(count):
            for node in self.nodes.values():
                node.ports.advance(100)
                node.driver.tick()
            self.settle()

    def elect(self) -> Node:
        """Wait for a leader that has opened its term."""
        for _ in range(100):
            self.tick()
            for node in self.nodes.values():
                status = node.driver.status()
                if status.role == "leader" and status.executed_height == status.last_height > 0:
                    return node
        raise AssertionError("no leader within 100 ticks")


def new_disk() -> SimulatedDisk:
    """An empty disk."""
    return SimulatedDisk(Random(1), Counter(), keeps_any=False)


def open_database(disk: SimulatedDisk) -> SimulatedDatabase:
    """The rows of a disk, for a process that doesn't crash by itself."""
    return SimulatedDatabase(disk, lambda where: None)


def reopen(node: Node) -> Node:
    """The same node after its process was killed."""
    node.disk.crash()
    return Node(node.id, disk=node.disk, genesis_raw=node.genesis_raw)
