"""What a leader knows of one peer, and how much it may send to it now (etcd-io/raft: probe, replicate,
snapshot).

It must not know message formats, the log's contents or the leader's role: it is told what happened.

Each paused state has an exit that doesn't depend on the lost message: a probe is repeated after the next
heartbeat reply, a full window frees its oldest place at a heartbeat reply, a snapshot is offered again
every election timeout.
"""

from collections import deque
from enum import Enum

import msgspec

from consensus.messages import NodeId


class ProgressState(Enum):
    """How the leader sends to a peer."""

    PROBE = "probe"
    """One append at a time, to find where the logs agree."""
    REPLICATE = "replicate"
    """Appends follow each other without waiting."""
    SNAPSHOT = "snapshot"
    """No appends: the peer needs a snapshot first."""


class PeerStatus(msgspec.Struct, frozen=True):
    """A peer's progress, for people and metrics. Indexes of the log; in_flight counts append messages."""

    id: NodeId
    state: ProgressState
    match: int
    next: int
    in_flight: int
    recently_active: bool
    learner: bool


class Progress:
    """One peer's progress. `match` is what it acknowledged as synced, `next` the first index to send."""

    def __init__(self, next_index: int, max_inflight: int, max_inflight_bytes: int) -> None:
        """A peer of which nothing is known: probing begins at `next_index`."""
        self.state = ProgressState.PROBE
        self.match = 0
        self.next = next_index
        self.recently_active = False
        self.sent_commit = 0
        self.pending_snapshot = 0
        self._probe_sent = False
        self._nudge = False
        self._max_inflight = max_inflight
        self._max_inflight_bytes = max_inflight_bytes
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_bytes = 0

    @property
    def in_flight(self) -> int:
        """How many append messages haven't been answered."""
        return len(self._inflight)

    def wants_append(self, last_index: int, commit: int) -> bool:
        """Whether an append should leave now: there is something to say, and the peer's state lets it."""
        if self.state is ProgressState.PROBE:
            return not self._probe_sent
        if self.state is ProgressState.SNAPSHOT or self._is_full():
            return False
        return self._nudge or self.next <= last_index or self.sent_commit < commit

    def sent_append(self, last_index: int, size_bytes: int, commit: int) -> None:
        """An append that ends at `last_index` has left; `size_bytes` is 0 if it carried no entry."""
        self._nudge = False
        self.sent_commit = max(self.sent_commit, commit)
        if self.state is ProgressState.PROBE:
            self._probe_sent = True
        elif size_bytes:
            self.next = last_index + 1
            self._inflight.append((last_index, size_bytes))
            self._inflight_bytes += size_bytes

    def sent_snapshot(self, index: int) -> None:
        """The peer was told to install a snapshot at `index`."""
        self._become(ProgressState.SNAPSHOT, index + 1)
        self.pending_snapshot = index

    def acknowledged(self, index: int, first_index: int) -> bool:
        """The peer's disk holds the leader's log up to `index`; whether that is news.

        A snapshot that was needed isn't any more once the leader's log, which begins at `first_index`,
        continues what the peer has: it may have found an older one than was offered, or a newer.
        """
        moved = index > self.match
        self.match = max(self.match, index)
        self.next = max(self.next, index + 1)
        while self._inflight and self._inflight[0][0] <= index:
            self._free_oldest()
        if self.state is ProgressState.PROBE or (
            self.state is ProgressState.SNAPSHOT and self.match >= first_index - 1
        ):
            self._become(ProgressState.REPLICATE, self.match + 1)
        return moved

    def refused(self, rejected: int, hint: int) -> bool:
        """The append after `rejected` didn't fit; probe again from `hint` at most. False if the refusal is
        stale.
        """
        if self.state is ProgressState.SNAPSHOT or rejected <= self.match:
            return False
        if self.state is ProgressState.PROBE and rejected != self.next - 1:
            return False
        if rejected >= self.next:
            return False
        following = max(min(rejected, hint + 1), self.match + 1)
        self._become(ProgressState.PROBE, following)
        return True

    def heartbeat_answered(self, last_index: int) -> None:
        """The peer is alive: whatever is still unanswered may have been lost, so say something it must
        answer.
        """
        self._probe_sent = False
        if self.state is ProgressState.REPLICATE and self.match < last_index:
            self._nudge = True
            if self._is_full():
                self._free_oldest()

    def unreachable(self) -> None:
        """Something sent to the peer was lost: go back to asking where it stands."""
        if self.state is not ProgressState.PROBE:
            self._become(ProgressState.PROBE, self.match + 1)

    def snapshot_finished(self, ok: bool) -> None:
        """The transfer of the pending snapshot has ended: probe after it, or, if it failed, from where the
        peer was.
        """
        if self.state is ProgressState.SNAPSHOT:
            self._become(ProgressState.PROBE, max(self.match, self.pending_snapshot if ok else 0) + 1)
            self._probe_sent = True

    def offer_snapshot_again(self) -> None:
        """The last offer may have been lost; let it leave once more."""
        if self.state is ProgressState.SNAPSHOT:
            self._nudge = True

    def wants_snapshot_offer(self) -> bool:
        """Whether the pending snapshot should be offered (again) now."""
        return self.state is ProgressState.SNAPSHOT and self._nudge

    def _is_full(self) -> bool:
        return len(self._inflight) >= self._max_inflight or self._inflight_bytes >= self._max_inflight_bytes

    def _free_oldest(self) -> None:
        if self._inflight:
            self._inflight_bytes -= self._inflight.popleft()[1]

    def _become(self, state: ProgressState, following: int) -> None:
        self.state = state
        self.next = following
        self.pending_snapshot = 0
        self._probe_sent = False
        self._nudge = False
        self._inflight.clear()
        self._inflight_bytes = 0
