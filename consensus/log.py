"""The log as the core sees it: what the disk holds, in memory what isn't synced or not yet handed out to
apply, and the memberships in it.

It must not know roles, peers or messages. Committed entries are never cut off: an attempt raises
InvariantBroken.

Four indexes move through it: delivered <= commit; handed (written by a Ready given out) and stable (synced)
<= last_index. A truncation pulls handed and stable back, also inside the writes in flight, so that an
overwritten entry is handed out again and an old write never counts for the new entry (etcd-io/raft calls
these unstable entries). A committed entry is delivered once it is also stable here.
"""

from collections import deque
from collections.abc import Callable

from consensus.errors import InvariantBroken
from consensus.membership import MembershipAt, Memberships
from consensus.messages import Entry, EntryType, Membership, SnapshotMeta
from consensus.storage import LogStorage, MemoryStorage, entry_size_bytes, limit_bytes

__all__ = ["LogStorage", "MemoryStorage", "RaftLog", "entry_size_bytes", "limit_bytes"]


class RaftLog:
    """The one log of this node: stored entries below, a tail in memory above."""

    def __init__(
        self, storage: LogStorage, applied: int, membership_in: Callable[[bytes], Membership]
    ) -> None:
        """Start from what is stored; `applied` is the index up to which the caller has executed it."""
        if not storage.first_index() - 1 <= applied <= storage.last_index():
            raise InvariantBroken(
                f"applied index {applied} is outside the stored log, "
                f"{storage.first_index() - 1} to {storage.last_index()}"
            )
        self._storage = storage
        self._tail: list[Entry] = []
        self._tail_base = storage.last_index()
        self._writes: deque[int] = deque()
        self._snapshot: SnapshotMeta | None = None
        self._snapshot_handed = False
        self._membership_in = membership_in
        self._memberships = Memberships(storage.memberships())
        self.stable = self.handed = self._tail_base
        self.commit = self.delivered = applied

    @property
    def last_index(self) -> int:
        """The index of the last entry, synced or not."""
        return self._tail_base + len(self._tail)

    @property
    def last_term(self) -> int:
        """The term of the last entry."""
        return self.term(self.last_index)

    @property
    def first_index(self) -> int:
        """The index of the first entry that can be read; what is before it has been compacted."""
        return self._snapshot.index + 1 if self._snapshot else self._storage.first_index()

    @property
    def membership(self) -> Membership:
        """What the end of the log says, committed or not."""
        return self._memberships.newest.membership

    @property
    def membership_index(self) -> int:
        """The index from which that membership is in force."""
        return self._memberships.newest.index

    def membership_before_newest(self) -> Membership:
        """What is in force if the newest membership is cut off, which can't be while that is committed."""
        return self._memberships.at(self.membership_index - 1)

    def snapshot_to_offer(self) -> SnapshotMeta:
        """The oldest place a snapshot may stand at for the rest to follow from this log, and what is in force
        there: never what a later entry says.

        After a restart that may be a little later than where the log begins: older memberships are
        forgotten.
        """
        index = max(self.first_index - 1, self._memberships.oldest.index)
        return SnapshotMeta(index, self.term(index), self._memberships.at(index))

    def term(self, index: int) -> int:
        """The term at `index`, for first_index - 1 <= index <= last_index; else InvariantBroken."""
        if self._tail_base < index <= self.last_index:
            return self._tail[index - self._tail_base - 1].term
        if not self.first_index - 1 <= index <= self.last_index:
            raise InvariantBroken(
                f"the term at {index} was asked of a log of {self.first_index} to {self.last_index}"
            )
        if self._snapshot:
            return self._snapshot.term
        return self._storage.term(index)

    def matches(self, index: int, term: int) -> bool:
        """Whether this log holds an entry of `term` at `index`."""
        return self.first_index - 1 <= index <= self.last_index and self.term(index) == term

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends there is at least as up to date as this one (paper 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def last_index_of_term_at_most(self, index: int, term: int) -> int:
        """The highest index <= `index` whose term is <= `term`, but never below what is certainly compacted.

        Both sides of a refused append use it to skip a whole term of conflicting entries (paper 5.3).
        """
        index = min(index, self.last_index)
        while index >= self.first_index and self.term(index) > term:
            index -= 1
        return index

    def entries_from(self, first: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `first` (>= first_index) on, as many as fit in `max_bytes` but at least one if there
        is any.

        Stored and unsynced entries are never mixed in one answer; ask again for the rest.
        """
        if first > self.last_index:
            return ()
        if first <= self._tail_base:
            return self._storage.entries(first, self._tail_base, max_bytes)
        return limit_bytes(self._tail[first - self._tail_base - 1 :], max_bytes)

    def append(self, entry: Entry) -> None:
        """The leader's own append."""
        if entry.index != self.last_index + 1:
            raise InvariantBroken(f"entry {entry.index} can't follow {self.last_index}")
        self._extend((entry,))

    def accept(self, entries: tuple[Entry, ...]) -> None:
        """A follower's append, after the previous entry was found to match: cut only at a real conflict
        (paper 5.3).
        """
        for position, entry in enumerate(entries):
            if self.matches(entry.index, entry.term):
                continue
            if entry.index <= self.last_index:
                self._truncate(entry.index)
            self._extend(entries[position:])
            return

    def commit_to(self, index: int) -> bool:
        """Raise the commit index; whether it moved. InvariantBroken if it would pass the end of the log."""
        if index <= self.commit:
            return False
        if index > self.last_index:
            raise InvariantBroken(
                f"index {index} is committed, but this log ends at {self.last_index}: "
                "it has lost entries it acknowledged"
            )
        self.commit = index
        return True

    def hand_out_writes(self) -> tuple[SnapshotMeta | None, tuple[Entry, ...]]:
        """What the next Ready must persist, a snapshot before entries; `written` is to be called once
        for it.
        """
        snapshot = None if self._snapshot_handed else self._snapshot
        self._snapshot_handed = self._snapshot is not None
        entries = tuple(self._tail[self.handed - self._tail_base :])
        self.handed = self.last_index
        self._writes.append(self.handed)
        return snapshot, entries

    def has_writes(self) -> bool:
        """Whether there is anything to persist that no Ready has carried."""
        return self.handed < self.last_index or (self._snapshot is not None and not self._snapshot_handed)

    def written(self) -> None:
        """The oldest Ready handed out is synced."""
        self.stable = max(self.stable, self._writes.popleft())
        if self._snapshot and self.stable >= self._snapshot.index:
            self._snapshot = None
            self._snapshot_handed = False
        self._trim()

    def has_deliverable(self) -> bool:
        """Whether a committed, synced entry hasn't been handed out to apply."""
        return self.delivered < min(self.commit, self.stable)

    def deliver(self, max_bytes: int) -> tuple[Entry, ...]:
        """The next committed and synced entries to apply, once each."""
        last = min(self.commit, self.stable)
        entries = self.entries_from(self.delivered + 1, max_bytes) if self.delivered < last else ()
        entries = entries[: last - self.delivered]
        self.delivered += len(entries)
        self._trim()
        return entries

    def restore(self, meta: SnapshotMeta) -> None:
        """Begin again after a snapshot (paper figure 13); the next Ready carries it."""
        if meta.index <= self.commit:
            raise InvariantBroken(f"a snapshot at {meta.index} is behind the committed index {self.commit}")
        self._tail = []
        self._tail_base = self.handed = self.commit = self.delivered = meta.index
        self.stable = 0
        self._writes = deque(0 for _ in self._writes)
        self._snapshot, self._snapshot_handed = meta, False
        self._memberships.restart(meta.index, meta.membership)

    def _extend(self, entries: tuple[Entry, ...]) -> None:
        """Put entries at the end; a membership among them is in force at once."""
        self._memberships.add(
            [
                MembershipAt(entry.index, self._membership_in(entry.data))
                for entry in entries
                if entry.type is EntryType.MEMBERSHIP
            ]
        )
        self._tail.extend(entries)

    def _truncate(self, index: int) -> None:
        """Cut off the entries from `index` on, which another leader's entries replace."""
        if index <= self.commit:
            raise InvariantBroken(
                f"entry {index} is committed (up to {self.commit}), but another one was sent for it"
            )
        kept = index - 1
        if kept < self._tail_base:
            self._tail, self._tail_base = [], kept
        else:
            del self._tail[kept - self._tail_base :]
        self.handed = min(self.handed, kept)
        self.stable = min(self.stable, kept)
        self._writes = deque(min(written, kept) for written in self._writes)
        self._memberships.cut(index)

    def _trim(self) -> None:
        """Drop from memory what is both synced and handed out to apply."""
        count = min(self.stable, self.delivered) - self._tail_base
        if count > 0:
            del self._tail[:count]
            self._tail_base += count
