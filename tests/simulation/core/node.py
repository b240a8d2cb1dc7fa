"""One simulated process: a core, its disk, and the smallest caller that keeps the Ready contract.

It must not check anything: it tells the oracle what happens. It can crash at every point between the steps
that its caller takes (CRASH_POINTS), and then loses all but what its disk has synced.
"""

from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from consensus.errors import (
    IllegalMembership,
    MembershipUncommitted,
    NoLeader,
    NotLeader,
    TermAlreadyOpened,
    TermNotOpened,
    TermUncommitted,
    TransferInProgress,
    TransferRefused,
)
from consensus.membership import decode_membership, encode_membership
from consensus.messages import (
    Entry,
    EntryType,
    InstallSnapshot,
    Membership,
    Message,
    NodeId,
    ReadState,
    SnapshotMeta,
)
from consensus.raft import Config, Raft, Ready
from tests.simulation.core.churn import leave
from tests.simulation.core.disk import SimulatedDisk
from tests.simulation.core.oracle import Oracle
from tests.simulation.core.profile import Profile, Rates

CRASH_POINTS = (
    "before sending and writing",
    "after sending, before writing",
    "after writing, before the sync",
    "after the sync, before its messages",
    "after the messages, before advance",
    "after advance, before applying",
    "after applying",
)


class Crashed(Exception):
    """The process has ended here; what it was about to do doesn't happen."""


class World(Protocol):
    """What a node may ask of the simulation around it."""

    random: Random
    rates: Rates
    profile: Profile
    counts: Counter[str]
    oracle: Oracle
    now_ms: float

    def schedule(self, delay_ms: float, action: Callable[[], None], /) -> None:
        """Let something happen after a delay."""

    def send(self, message: Message, /) -> None:
        """Give a message to the network."""

    def crashes_here(self) -> bool:
        """Whether the process ends at this point."""
        ...

    def crashed(self, node: NodeId, /) -> None:
        """The process has ended."""

    def applied(self, node: NodeId, entry: Entry, /) -> None:
        """An entry was applied."""

    def read_done(self, state: ReadState, /) -> None:
        """A read got its index."""

    def snapshot_of(self, node: NodeId, /) -> SnapshotMeta | None:
        """Where the newest snapshot of that node stands, if it runs."""
        ...

    def fetched(self, node: NodeId, of: NodeId, ok: bool, /) -> None:
        """A node has got a snapshot of another, or hasn't."""


class SimulatedNode:
    """A process that may crash and start again; its disk stays."""

    def __init__(self, world: World, node: NodeId, membership: Membership) -> None:
        """Not started yet, with an empty disk."""
        self.id = node
        self.disk = SimulatedDisk(membership)
        self.raft: Raft | None = None
        self.applied = 0
        self._world = world
        self._durable_applied = 0
        self._incarnation = 0
        self._resumes_ms = 0.0
        self._taking = False
        self._syncing = False
        self._fetching = False
        self._in_flight: deque[Ready] = deque()

    def start(self) -> None:
        """Start from the disk, with a clock of its own speed."""
        world = self._world
        self.applied = max(self._durable_applied, self.disk.snapshot_index)
        self.raft = Raft(self._config(), self.disk)
        self._taking = self._syncing = self._fetching = False
        self._in_flight.clear()
        world.oracle.started(self.id)
        tick_ms = world.profile.tick_ms * world.random.uniform(1.0, world.rates.clock_skew)
        self._later(world.random.random() * tick_ms, lambda: self._tick(tick_ms))

    def crash(self) -> None:
        """End the process."""
        self.raft = None
        self._incarnation += 1
        self._world.counts["crashes"] += 1
        if self.disk.crash(self._world.random):
            self._world.counts["crashes with lost writes"] += 1
        self._world.crashed(self.id)

    def pause(self) -> None:
        """The process stands still for a while, and then goes on as if nothing had been."""
        self._world.counts["pauses"] += 1
        self._resumes_ms = self._world.now_ms + self._world.random.random() * self._world.profile.pause_ms

    def receive(self, message: Message) -> None:
        """A message arrives; an offered snapshot is fetched before it is stepped."""
        if self.raft is None:
            return
        if self._world.now_ms < self._resumes_ms:
            self._later(0.0, lambda: self.receive(message))
            return
        if isinstance(message, InstallSnapshot):
            self._world.counts["snapshots offered"] += 1
            if self._world.profile.fetch_ms and message.meta.index > self.raft.commit:
                self._fetch(message)
                return
        self.raft.step(message)
        self.work_soon()

    def snapshot(self) -> SnapshotMeta | None:
        """Where a snapshot of this node's durable state stands, while it runs."""
        if self.raft is None:
            return None
        index = max(self._durable_applied, self.disk.snapshot_index)
        held = [known.membership for known in self.disk.memberships() if known.index <= index]
        return SnapshotMeta(index, self.disk.term(index), held[-1])

    def report_snapshot(self, node: NodeId, ok: bool) -> None:
        """The transport noticed how a transfer ended."""
        if self.raft is not None:
            self.raft.report_snapshot(node, ok)
            self.work_soon()

    def propose(self, data: bytes) -> tuple[int, int] | None:
        """Propose as leader: (index, term), or None if this node takes no proposals now."""
        if self.raft is None:
            return None
        try:
            index = self.raft.propose(data)
        except (NotLeader, TermNotOpened, TransferInProgress):
            return None
        self.work_soon()
        return index, self.raft.term

    def change_membership(self, membership: Membership) -> None:
        """Propose the next membership, if this node leads and it may be that one."""
        if self.raft is None:
            return
        counts = self._world.counts
        try:
            self.raft.propose(encode_membership(membership), EntryType.MEMBERSHIP)
        except (NotLeader, TermNotOpened, TransferInProgress):
            return
        except (TermUncommitted, MembershipUncommitted, IllegalMembership) as refusal:
            counts[f"memberships refused: {type(refusal).__name__}"] += 1
            return
        counts["memberships proposed"] += 1
        self.work_soon()

    def read(self, context: bytes) -> None:
        """Ask for a linearizable read, if a leader is known."""
        if self.raft is None:
            return
        try:
            self.raft.read_index(context)
        except NoLeader:
            return
        self.work_soon()

    def transfer(self, to: NodeId) -> None:
        """Hand over leadership, if this node leads."""
        if self.raft is None or to == self.id:
            return
        try:
            self.raft.transfer_leadership(to)
        except (NotLeader, TransferInProgress, TransferRefused):
            return
        self._world.counts["transfers"] += 1
        self.work_soon()

    def report_unreachable(self, node: NodeId) -> None:
        """The transport noticed lost messages."""
        if self.raft is not None:
            self.raft.report_unreachable(node)
            self.work_soon()

    def compact(self) -> None:
        """Forget the log that is safely applied."""
        if self.raft is not None and self._durable_applied > self.disk.first_index():
            self.disk.compact(min(self._durable_applied, self.raft.status().stable))
            self._world.counts["compactions"] += 1

    def work_soon(self) -> None:
        """Take the next Ready in a moment, so that what comes meanwhile is part of it."""
        if not self._taking and self.raft is not None and self.raft.has_ready():
            self._taking = True
            self._later(self._world.random.random() * 0.3, self._take)

    def _config(self) -> Config:
        profile, rates = self._world.profile, self._world.rates
        return Config(
            id=self.id,
            applied=self.applied,
            random=self._world.random,
            membership_in=decode_membership,
            election_ticks=profile.election_ticks,
            heartbeat_ticks=profile.heartbeat_ticks,
            max_inflight=rates.max_inflight,
            max_append_bytes=rates.max_append_bytes,
            lease_reads=rates.lease_reads,
        )

    def _tick(self, tick_ms: float) -> None:
        if self.raft is not None:
            self.raft.tick()
            self.work_soon()
            self._later(tick_ms, lambda: self._tick(tick_ms))

    def _take(self) -> None:
        """Take a Ready: send what may leave at once, and hand the rest to the disk."""
        self._taking = False
        ready = self.raft.ready() if self.raft is not None else None
        if self.raft is None or ready is None:
            return
        self._world.oracle.took_ready(self.id, self.raft, ready)
        self._crash_point(0)
        self._send(ready.messages)
        self._crash_point(1)
        for state in ready.read_states:
            self._world.read_done(state)
        self.disk.write(ready)
        self._in_flight.append(ready)
        if len(self._in_flight) > 1:
            self._world.counts["Readys taken while others are in flight"] += 1
        self._open(ready)
        self._leave_joint(ready)
        self._sync_soon(ready)
        self.work_soon()

    def _open(self, ready: Ready) -> None:
        """Propose the opening entry; now and then a caller can't yet, and is reminded."""
        if self.raft is None or ready.must_open is None:
            return
        if self._world.random.random() < self._world.profile.skip_opening:
            self._world.counts["openings put off"] += 1
            return
        try:
            self.raft.propose(b"open", EntryType.OPENING)
        except (NotLeader, TermAlreadyOpened, TransferInProgress):
            return

    def _leave_joint(self, ready: Ready) -> None:
        """Leave a joint membership when asked to, or let oneself be reminded."""
        if self.raft is None or not ready.must_leave_joint:
            return
        if self._world.random.random() < self._world.profile.skip_opening:
            self._world.counts["ends of joint memberships put off"] += 1
            return
        self.change_membership(leave(self.raft.membership))

    def _fetch(self, offer: InstallSnapshot) -> None:
        """Get the newest snapshot of the sender, one at a time; it may take long, and fail."""
        if self._fetching:
            return
        self._fetching = True
        world = self._world
        fails = world.random.random() < world.profile.fetch_fails
        self._later(world.random.random() * world.profile.fetch_ms, lambda: self._fetched(offer, fails))

    def _fetched(self, offer: InstallSnapshot, fails: bool) -> None:
        """Step the offer with what was fetched in its place, which is mostly newer."""
        self._fetching = False
        meta = None if fails else self._world.snapshot_of(offer.sender)
        ok = meta is not None and meta.index >= offer.meta.index
        self._world.counts["snapshots fetched" if ok else "fetches failed"] += 1
        if self.raft is not None and meta is not None and ok:
            self.raft.step(InstallSnapshot(offer.sender, self.id, offer.term, meta))
            self.work_soon()
        self._world.fetched(self.id, offer.sender, ok)

    def _sync_soon(self, ready: Ready) -> None:
        if self._syncing:
            return
        self._syncing = True
        needs_disk = ready.must_sync or len(self._in_flight) > 1
        delay_ms = self._world.random.random() * self._world.rates.sync_ms if needs_disk else 0.01
        self._later(delay_ms, self._sync)

    def _sync(self) -> None:
        """The disk has synced all that was written: only now may promises leave."""
        self._syncing = False
        self._crash_point(2)
        while self.disk.has_unsynced():
            self._world.oracle.synced(self.id, self.disk.sync_one())
        synced, self._in_flight = self._in_flight, deque()
        self._crash_point(3)
        for ready in synced:
            self._send(ready.durable_messages)
        self._crash_point(4)
        for ready in synced:
            self._advance(ready)
        self.work_soon()

    def _advance(self, ready: Ready) -> None:
        if self.raft is None:
            return
        self.raft.advance(ready.number)
        self._crash_point(5)
        if ready.snapshot is not None:
            self._world.counts["snapshots installed"] += 1
            self.applied = max(self.applied, ready.snapshot.index)
        for entry in ready.committed:
            self._apply(entry)
        if self._world.random.random() < 0.5:
            self._durable_applied = self.applied
        self._crash_point(6)

    def _apply(self, entry: Entry) -> None:
        self._world.oracle.applies(self.id, entry)
        self._world.applied(self.id, entry)
        self.applied = entry.index

    def _send(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            self._world.send(message)

    def _crash_point(self, point: int) -> None:
        if self._world.crashes_here():
            self._world.counts[f"crash {CRASH_POINTS[point]}"] += 1
            self.crash()
            raise Crashed

    def _later(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Do something later, unless the process has ended by then."""
        incarnation = self._incarnation

        def act() -> None:
            if self._world.now_ms < self._resumes_ms:
                self._world.schedule(self._resumes_ms - self._world.now_ms, act)
            elif self._incarnation == incarnation:
                action()

        self._world.schedule(delay_ms, act)
