"""Which reads wait for which heartbeat round, and when a round confirms them (thesis 6.4).

It must not know messages or the log: it is given the commit index, the acknowledgements and the clock of
ticks.

A round is started after the reads it confirms have arrived, and its number travels in heartbeats and comes
back in their replies. A reply of an older round proves nothing for newer reads; a reply of a newer round
covers the older ones, because it was sent later still.
"""

from collections import deque
from dataclasses import dataclass

from consensus.errors import TooManyReads
from consensus.messages import Membership, NodeId
from consensus.quorum import committed_index

MAX_WAITING_READS = 4096


@dataclass(frozen=True, slots=True)
class Read:
    """A read that waits: who asked for it, and the context by which the asker knows it."""

    requester: NodeId
    context: bytes


@dataclass(frozen=True, slots=True)
class Round:
    """Reads that one heartbeat round confirms, as of the commit index when it started."""

    number: int
    index: int
    started_tick: int
    reads: tuple[Read, ...]


class ReadRounds:
    """The reads of one leadership; a change of role or term drops them all."""

    def __init__(self) -> None:
        """No reads, and nothing acknowledged."""
        self.number = 0
        self.confirmed_tick: int | None = None
        self.lease_lost = False
        self._new: list[Read] = []
        self._rounds: deque[Round] = deque()
        self._acknowledged: dict[NodeId, int] = {}
        self._waiting = 0

    def add(self, read: Read) -> None:
        """Let a read wait for the next round; raises TooManyReads at the limit."""
        if self._waiting >= MAX_WAITING_READS:
            raise TooManyReads(MAX_WAITING_READS)
        self._waiting += 1
        self._new.append(read)

    def has_new(self) -> bool:
        """Whether reads wait that no round covers yet."""
        return bool(self._new)

    def start_round(self, commit: int, tick: int) -> int:
        """Begin a round for the new reads; the number to send in heartbeats."""
        self.number += 1
        self._rounds.append(Round(self.number, commit, tick, tuple(self._new)))
        self._new = []
        return self.number

    def take_new(self) -> tuple[Read, ...]:
        """The reads that no round covers yet, to be answered without one."""
        reads, self._new = tuple(self._new), []
        self._waiting -= len(reads)
        return reads

    def acknowledge(self, node: NodeId, number: int) -> None:
        """`node` answered the heartbeat of this round; rounds never started are ignored."""
        if number <= self.number:
            self._acknowledged[node] = max(number, self._acknowledged.get(node, 0))

    def release(self, membership: Membership) -> list[Round]:
        """The rounds that a quorum has confirmed, oldest first, once each."""
        confirmed = committed_index(membership, lambda node: self._acknowledged.get(node, 0))
        released = []
        while self._rounds and self._rounds[0].number <= confirmed:
            released.append(self._rounds.popleft())
            self._waiting -= len(released[-1].reads)
            self.confirmed_tick = released[-1].started_tick
        return released

    def holds_lease(self, tick: int, lease_ticks: int) -> bool:
        """Whether a round that a quorum confirmed began less than `lease_ticks` ago, and no transfer broke
        the lease.
        """
        return (
            not self.lease_lost
            and self.confirmed_tick is not None
            and tick - self.confirmed_tick < lease_ticks
        )
