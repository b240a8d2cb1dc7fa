"""One simulated machine: the real driver and store on simulated ports, which ends and starts again.

It must not know what the other machines do, nor what must hold (oracle.py).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from node.driver import Driver, DriverConfig, Ports
from node.messages import NodeMessage
from node.ports import TimerHandle
from node.records import block_key, meta_key, unpack_record
from node.repair import Helpers, open_repaired
from node.results import StopReason
from node.store import PRUNED, Store
from tests.simulation.cluster.chain import holds_block
from tests.simulation.cluster.database import SimulatedDatabase, SimulatedDisk
from tests.simulation.cluster.profile import Rates
from tests.simulation.cluster.repairs import Running, ask_running
from tests.simulation.cluster.threads import Crashed, SimulatedTimer, SimulatedWorker
from tests.simulation.cluster.world import World

START_MS = 1_790_000_000_000
"""The wall clock at virtual time zero."""


RETRY_MS = 200
"""After which time a node whose store is still damaged asks again."""


class NotYet(Exception):
    """The others can't put right yet what is damaged."""


class Surroundings(Protocol):
    """What a node tells the cluster around it."""

    def send(self, sender: str, to: str, message: NodeMessage) -> None:
        """A message leaves."""
        ...

    def reachable(self, node: str) -> frozenset[str]:
        """The nodes that this one has links to."""
        ...

    def crashes_here(self, where: str) -> bool:
        """Whether the process that asks ends now, at a kind of place."""
        ...

    def crashed(self, node: str) -> None:
        """A process has ended, and not in good order."""
        ...

    def restarts(self, node: str) -> None:
        """A process has ended in good order."""
        ...

    def started(self, node: str) -> None:
        """A process has begun."""
        ...

    def helpers(self, node: str) -> Running:
        """The other nodes that run, for one that mends its store."""
        ...

    def needs_snapshot(self, node: str) -> None:
        """The leader doesn't hold any more what a node lacks."""
        ...

    def stopped(self, node: str, reason: StopReason) -> None:
        """A node has stopped itself."""
        ...

    def logged(self, node: str, event: str, fields: dict[str, Any]) -> None:
        """A line of the log."""
        ...

    def executed(self, node: str, height: int) -> None:
        """A node has executed a block."""
        ...


class SimulatedNode:
    """The machine: its disk and clock stay, processes come and go."""

    def __init__(
        self,
        around: Surroundings,
        world: World,
        rates: Rates,
        identity: tuple[str, ec.EllipticCurvePrivateKey],
        genesis_raw: bytes,
    ) -> None:
        """A machine that is switched off."""
        self.id, self._key = identity
        self.is_damaged = self.is_lost = False
        self.driver: Driver | None = None
        self.store: Store | None = None
        self._around = around
        self._world = world
        self._rates = rates
        self._genesis_raw = genesis_raw
        self.disk = self.new_disk()
        self._offset_ms = world.random.randint(-rates.clock_offset_ms, rates.clock_offset_ms)
        self._wrong_ms = 0
        self._stands_until_ms = 0.0
        self._absence_ms = 0.0
        self._pace = 1.0 + world.random.uniform(-rates.clock_drift, rates.clock_drift)
        self._process = 0

    def start(self) -> None:
        """Start a process on what the disk holds, if the machine is there."""
        if self.is_lost:
            return
        self._process += 1
        process = self._process
        self.run(process, lambda: self._boot(process))

    def run(self, process: int, action: Callable[[], None]) -> None:
        """Do something in this process, if it still runs, and once it no longer stands still; it may crash
        meanwhile.
        """
        if process != self._process:
            return
        if self._world.now_ms < self._stands_until_ms:
            wait_ms = self._stands_until_ms - self._world.now_ms
            self._world.schedule(wait_ms, lambda: self.run(process, action))
            return
        try:
            action()
        except Crashed:
            self.crash()

    def current(self, action: Callable[[Driver], None]) -> bool:
        """Do something with the running driver; whether there is one."""
        driver = self.driver
        if driver is None:
            return False
        self.run(self._process, lambda: action(driver))
        return True

    def crash(self) -> None:
        """End the process, and lose what it hadn't synced."""
        self._end()
        self.disk.crash()
        self._around.crashed(self.id)

    def leave(self, absence_ms: float) -> None:
        """End the process, and start none for so long."""
        self._absence_ms = absence_ms
        self.crash()

    def absence_ms(self) -> float:
        """How much longer than usual this machine stays away, this once."""
        absence_ms, self._absence_ms = self._absence_ms, 0.0
        return absence_ms

    def lose(self) -> None:
        """The machine and its disk are gone for good."""
        self._end()
        self.is_lost = True

    @property
    def pruned(self) -> int:
        """Up to which height this machine's blocks are forgotten, whether or not a process runs."""
        if self.store is not None:
            return self.store.pruned
        raw = self.disk.durable.get(meta_key(PRUNED))
        return 0 if raw is None else int.from_bytes(unpack_record(meta_key(PRUNED), raw).payload, "big")

    def holds(self, height: int) -> bool:
        """Whether all up to this height is on the disk, or was and is forgotten."""
        return height == 0 or holds_block(self.disk.durable, height)

    def damage(self, above: int) -> None:
        """End the process, and flip a bit of one of its newest blocks, if one is above this height."""
        self.crash()
        self.is_damaged = self.disk.flip_bit(block_key(above))

    def restart(self) -> None:
        """Ask the process to stop in good order; it has written what it has, and starts again."""
        process = self._process

        def ended() -> None:
            self._end()
            self.disk.sync()
            self._around.restarts(self.id)

        # The driver says so in the midst of a turn, which it ends first.
        self.current(lambda driver: driver.stop(lambda: self._world.schedule(0, self._once(process, ended))))

    def pause(self, pause_ms: float) -> None:
        """Let the process stand still: all it would do is done after that, in order."""
        self._stands_until_ms = max(self._stands_until_ms, self._world.now_ms + pause_ms)

    def set_clock_wrong(self, by_ms: int) -> int:
        """Set the wall clock to be wrong by so much; how far it jumped, ahead or back."""
        jump_ms = by_ms - self._wrong_ms
        self._wrong_ms = by_ms
        return jump_ms

    def set_clock_right(self) -> None:
        """Take a wrong setting back."""
        self._wrong_ms = 0

    def go_on_with(self, disk: SimulatedDisk, finish: Callable[[Store], None]) -> None:
        """Stop in good order, let `finish` take over what the store promised, and go on with another disk.

        A crash before that is done leaves the old one.
        """
        process = self._process

        def ended() -> None:
            self._end()
            self.disk.sync()
            self.run(self._process, lambda: self._switch(disk, finish))

        self.current(lambda driver: driver.stop(lambda: self._world.schedule(0, self._once(process, ended))))

    def _switch(self, disk: SimulatedDisk, finish: Callable[[Store], None]) -> None:
        finish(self._open_store())
        self.disk = disk
        self._around.restarts(self.id)

    def new_disk(self) -> SimulatedDisk:
        """Another disk of this machine, empty."""
        return SimulatedDisk(self._world.random, self._world.counts, keeps_any=self._rates.keeps_any_write)

    def prune(self, below_certified: int) -> None:
        """Forget the bodies of blocks this far below what is certified, on the disk's thread."""
        driver, store = self.driver, self.store
        if driver is None or store is None:
            return
        height = min(driver.certified_height - below_certified, driver.executed_height)
        if height > store.pruned:
            self._world.counts["stores pruned"] += 1
            store.forget(height)
            self._disk_worker.submit(partial(store.prune, height), lambda _: None, _raise)

    def _open_store(self) -> Store:
        return Store.open(SimulatedDatabase(self.disk, self.point), self._genesis_raw, self.id)

    def _mended(self) -> Store | None:
        """The open store, whose damage is put right; None where the others can't help yet."""
        running = self._around.helpers(self.id)
        opened = partial(Store.open, SimulatedDatabase(self.disk, self.point), self._genesis_raw, self.id)
        helpers = Helpers(ask_running(running), sorted(running), self)
        try:
            store = asyncio.run(open_repaired(opened, helpers, whole=False, sleep=_not_now))
        except NotYet:
            self._world.counts["repairs put off"] += 1
            return None
        self.is_damaged = False
        return store

    def _once(self, process: int, action: Callable[[], None]) -> Callable[[], None]:
        return lambda: action() if process == self._process else None

    def _end(self) -> None:
        self._process += 1
        self.driver = self.store = None
        self._stands_until_ms = 0.0

    def later(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Something this process does later, if it still runs then."""
        process = self._process
        self._world.schedule(delay_ms, lambda: self.run(process, action))

    def heard(self, action: Callable[[], None]) -> None:
        """The loop hears of something that another thread did, a moment later."""
        self.later(0.01 + self._world.random.random(), action)

    def point(self, where: str) -> None:
        """A place where processes end."""
        if self._around.crashes_here(where):
            self._world.counts[f"crashes {where}"] += 1
            raise Crashed(where)

    # The ports: Clock, Timers, Peers, Random, Log.

    def now_ms(self) -> int:
        """This machine's wall clock."""
        return START_MS + self._offset_ms + self._wrong_ms + int(self._world.now_ms * self._pace)

    def monotonic_ms(self) -> int:
        """This machine's other clock."""
        return int(self._world.now_ms * self._pace)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> TimerHandle:
        """See node.ports.Timers."""
        timer = SimulatedTimer(callback)
        self.later(delay_ms / self._pace, timer.fire)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """See node.ports.Timers."""
        self.later(0, callback)

    def send(self, to: str, message: NodeMessage) -> None:
        """See node.ports.Peers."""
        self.point("before a message leaves")
        self._around.send(self.id, to, message)

    def connected(self) -> frozenset[str]:
        """See node.ports.Peers."""
        return self._around.reachable(self.id)

    def randrange(self, stop: int, /) -> int:
        """See node.ports.Random."""
        return self._world.random.randrange(stop)

    def bytes(self, count: int, /) -> bytes:
        """See node.ports.Random."""
        return self._world.random.randbytes(count)

    def info(self, event: str, **fields: Any) -> None:
        """See node.ports.Log."""
        self._around.logged(self.id, event, fields)

    warning = error = info

    def _boot(self, process: int) -> None:
        self._world.note(f"{self.id} starts")
        store = self._mended() if self.is_damaged else self._open_store()
        if store is None:
            self.later(RETRY_MS, lambda: self._boot(process))
            return
        self._disk_worker = SimulatedWorker(self, self._write_takes)
        ports = Ports(
            clock=self,
            timers=self,
            peers=self,
            verify=SimulatedWorker(self, lambda: self._takes(3)),
            disk=self._disk_worker,
            execute=SimulatedWorker(self, self._write_takes),
            random=self,
            log=self,
            need_snapshot=lambda: self._around.needs_snapshot(self.id),
        )
        timing, boot = self._rates.timing, self._world.random.randbytes(16)
        ticks = (timing.tick_ms, timing.election_ticks, timing.heartbeat_ticks)
        config = DriverConfig(self.id, boot, self._key, *ticks)
        driver = Driver(config, store, ports, lambda reason: self._around.stopped(self.id, reason))
        driver.on_block(lambda height: self._around.executed(self.id, height))
        self.driver, self.store = driver, store
        self._tick(driver)
        self._around.started(self.id)
        for peer in sorted(self.connected()):
            driver.on_connected(peer)

    def _takes(self, slowest_ms: int) -> float:
        return self._world.random.random() ** 2 * slowest_ms

    def _write_takes(self) -> float:
        """How long a disk takes for a job: now and then it stands still."""
        takes_ms = self._takes(self._rates.sync_ms)
        if self._rates.stall and self._world.random.random() < self._rates.stall:
            self._world.counts["disk stalls"] += 1
            takes_ms += self._takes(self._rates.stall_ms)
        return takes_ms

    def _tick(self, driver: Driver) -> None:
        driver.tick()
        self.later(
            self._rates.timing.tick_ms * self._world.random.uniform(0.9, 1.1) / self._pace,
            lambda: self._tick(driver),
        )


async def _not_now(seconds: float) -> None:
    raise NotYet


def _raise(error: BaseException) -> None:
    raise error
