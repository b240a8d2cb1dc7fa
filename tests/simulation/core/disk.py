"""A disk that loses, on a crash, what wasn't synced, down to half a write.

It must not know Raft's rules: it stores what Readys say, in order. Reads see synced contents only, so that
a core that relied on a write in flight would fail.
"""

from collections import deque
from random import Random

from consensus.log import MemoryStorage
from consensus.messages import Entry, HardState, Membership
from consensus.ready import Ready


class SimulatedDisk(MemoryStorage):
    """A LogStorage of what is synced, and the writes that aren't."""

    def __init__(self, membership: Membership) -> None:
        """An empty disk."""
        super().__init__(membership)
        self._unsynced: deque[Ready] = deque()
        self.snapshot_index = 0

    def write(self, ready: Ready) -> None:
        """Take a Ready's contents without syncing them."""
        self._unsynced.append(ready)

    def has_unsynced(self) -> bool:
        """Whether a sync would store anything."""
        return bool(self._unsynced)

    def sync_one(self) -> Ready:
        """Make the oldest write durable."""
        ready = self._unsynced.popleft()
        self._store(ready, ready.hard_state, ready.entries)
        return ready

    def crash(self, random: Random) -> int:
        """Keep a random part of the unsynced writes, in order, the last of them perhaps torn; how many
        were lost.
        """
        kept = random.randint(0, len(self._unsynced))
        lost = len(self._unsynced) - kept
        for _ in range(kept):
            self.sync_one()
        if lost and random.random() < 0.5:
            torn = self._unsynced[0]
            self._store(torn, torn.hard_state, torn.entries[: random.randint(0, len(torn.entries))])
        self._unsynced.clear()
        return lost

    def holds(self, index: int, term: int) -> bool:
        """Whether the synced log holds (or has compacted) an entry of this term at this index."""
        if index < self.first_index() - 1:
            return True
        return index <= self.last_index() and self.term(index) == term

    def _store(self, ready: Ready, hard_state: HardState | None, entries: tuple[Entry, ...]) -> None:
        if ready.snapshot is not None:
            self.install(ready.snapshot)
            self.snapshot_index = ready.snapshot.index
        if hard_state is not None:
            self.set_hard_state(hard_state)
        self.append(entries)
