"""A few cores whose messages and disks are moved by hand, one step at a time, for scenarios.

It must not know the text form of scenarios (runner.py). Each node's caller keeps the Ready contract; a disk
that stalls keeps its writes, and with them the durable messages, until it syncs or the node crashes.
"""

from collections import deque
from dataclasses import dataclass, field

from consensus.log import MemoryStorage
from consensus.membership import decode_membership
from consensus.messages import (
    Entry,
    EntryType,
    HardState,
    Membership,
    Message,
    NodeId,
    ReadState,
    decode_message,
    encode_message,
)
from consensus.raft import Config, Raft, Ready

SETTLE_LIMIT = 2_000


class NoJitter:
    """Election timeouts at their shortest, so that a scenario's ticks mean something."""

    def randrange(self, stop: int, /) -> int:
        """Always 0."""
        return 0


@dataclass(slots=True)
class Player:
    """One node of a scenario."""

    disk: MemoryStorage
    raft: Raft | None = None
    stalled: bool = False
    queues: bool = False
    queue: list[Message] = field(default_factory=list)
    in_flight: deque[Ready] = field(default_factory=deque)
    applied: list[Entry] = field(default_factory=list)
    reads: list[ReadState] = field(default_factory=list)
    must_open: int | None = None


@dataclass(slots=True)
class Options:
    """How the scenario's nodes are configured; `opening` says whether leaders open their terms by
    themselves.
    """

    pre_vote: bool = True
    check_quorum: bool = True
    opening: bool = True
    max_inflight: int = 64
    max_append_bytes: int = 1 << 20
    max_uncommitted_bytes: int = 1 << 20


class Board:
    """The nodes, and the messages between them that are on their way."""

    def __init__(self, names: tuple[NodeId, ...], options: Options) -> None:
        """Nodes with empty disks, not started."""
        self.options = options
        self.players = {name: Player(MemoryStorage(Membership(names))) for name in names}
        self.pool: list[bytes] = []
        self.kept: list[bytes] = []
        self.cut: set[NodeId] = set()

    def add(self, name: NodeId) -> None:
        """A further node with an empty disk, whose genesis is that of the others: it isn't in it."""
        genesis = next(iter(self.players.values())).disk.memberships()[0].membership
        self.players[name] = Player(MemoryStorage(genesis))

    def load(self, name: NodeId, entries: tuple[Entry, ...], hard_state: HardState) -> None:
        """Give a node that hasn't started a past."""
        self.players[name].disk.append(entries)
        self.players[name].disk.set_hard_state(hard_state)

    def start(self, name: NodeId) -> None:
        """Start a node from its disk; what it applied before is remembered as its state."""
        player, options = self.players[name], self.options
        player.raft = Raft(
            Config(
                id=name,
                applied=max(player.disk.first_index() - 1, _applied(player)),
                random=NoJitter(),
                membership_in=decode_membership,
                pre_vote=options.pre_vote,
                check_quorum=options.check_quorum,
                max_inflight=options.max_inflight,
                max_append_bytes=options.max_append_bytes,
                max_uncommitted_bytes=options.max_uncommitted_bytes,
            ),
            player.disk,
        )

    def crash(self, name: NodeId) -> None:
        """End a node; what its disk hasn't synced is lost."""
        player = self.players[name]
        player.raft = None
        player.in_flight.clear()
        player.queue.clear()
        player.stalled = player.queues = False
        player.must_open = None

    def node(self, name: NodeId) -> Raft:
        """A node that runs."""
        raft = self.players[name].raft
        if raft is None:
            raise AssertionError(f"{name} isn't running")
        return raft

    def work(self) -> None:
        """Let every running node do the work it has, until only messages or stalled disks remain."""
        for name, player in self.players.items():
            while player.raft is not None and player.raft.has_ready():
                self._take(name)

    def settle(self) -> None:
        """Deliver everything that isn't cut off until nothing is on its way."""
        for _ in range(SETTLE_LIMIT):
            self.work()
            if not self.pool:
                return
            self._arrive(self.pool.pop(0))
        raise AssertionError(f"still not quiet after {SETTLE_LIMIT} messages: {self.on_their_way()}")

    def on_their_way(self) -> list[Message]:
        """The messages that haven't arrived, oldest first."""
        return [decode_message(data) for data in self.pool]

    def take_messages(self, sender: NodeId, to: NodeId, kind: type[Message] | None) -> list[bytes]:
        """Take the messages on their way from one node to another, perhaps of one kind only, off the
        board.
        """
        found = [data for data in self.pool if _is(decode_message(data), sender, to, kind)]
        self.pool = [data for data in self.pool if data not in found]
        return found

    def deliver(self, messages: list[bytes]) -> None:
        """Let these arrive now."""
        for data in messages:
            self._arrive(data)
            self.work()

    def inject(self, message: Message) -> None:
        """A message arrives that was made by hand, over all cuts."""
        self.node(message.to).step(decode_message(encode_message(message)))
        self.work()

    def sync(self, name: NodeId) -> None:
        """The disk syncs what it holds, and works normally from now on."""
        self.players[name].stalled = False
        while self.players[name].in_flight:
            self.sync_one(name)

    def sync_one(self, name: NodeId) -> None:
        """The disk syncs its oldest write, and with it go the promises that waited for it."""
        player = self.players[name]
        ready = player.in_flight.popleft()
        if ready.snapshot is not None:
            player.disk.install(ready.snapshot)
        if ready.hard_state is not None:
            player.disk.set_hard_state(ready.hard_state)
        player.disk.append(ready.entries)
        self.pool.extend(encode_message(message) for message in ready.durable_messages)
        self.node(name).advance(ready.number)

    def send(self, name: NodeId) -> None:
        """What the node's caller has in its hands leaves, as it is by now, and so does all that follows."""
        player = self.players[name]
        player.queues = False
        self.pool.extend(encode_message(message) for message in player.queue)
        player.queue.clear()

    def open_term(self, name: NodeId) -> None:
        """The leader's caller proposes the opening entry."""
        raft = self.node(name)
        raft.propose(b"open", EntryType.OPENING)
        self.players[name].must_open = None

    def _take(self, name: NodeId) -> None:
        player = self.players[name]
        ready = self.node(name).ready()
        if ready is None:
            return
        player.queue.extend(ready.messages)
        if not player.queues:
            self.send(name)
        player.reads.extend(ready.read_states)
        player.applied.extend(ready.committed)
        player.in_flight.append(ready)
        player.must_open = ready.must_open
        if ready.must_open is not None and self.options.opening:
            self.open_term(name)
        if not player.stalled:
            self.sync_one(name)

    def _arrive(self, data: bytes) -> None:
        message = decode_message(data)
        raft = self.players[message.to].raft
        if raft is not None and not {message.sender, message.to} & self.cut:
            raft.step(message)


def _applied(player: Player) -> int:
    return player.applied[-1].index if player.applied else 0


def _is(message: Message, sender: NodeId, to: NodeId, kind: type[Message] | None) -> bool:
    return message.sender == sender and message.to == to and (kind is None or isinstance(message, kind))
