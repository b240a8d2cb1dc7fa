"""A Database in memory whose process can crash before, during and after each write, and whose disk then
forgets.

It must not know what the rows mean. Of the writes since the last sync a crash keeps a first part (none
to all), as a journal on a disk does; a write that reached the disk in part is none, as its checksum is wrong.
A disk that `keeps_any` writes its pages in its own order: it may keep a write and lose one before it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import NamedTuple

IN_SYNC = "during a sync"
"""The place where a process ends while a write is on its way to the disk."""
LOG = b"B"
"""The prefix of the log's rows, whose replacement is counted."""

NEWEST_ROWS = 3
"""Of so many a bit may flip: of executed ones and of those that aren't yet."""


class Batch(NamedTuple):
    """One write."""

    puts: dict[bytes, bytes]
    deletes: tuple[bytes, ...]


class SimulatedDisk:
    """What outlives the process: `durable` for certain, and the batches written since the last sync."""

    def __init__(self, random: Random, counts: Counter[str], *, keeps_any: bool) -> None:
        """An empty disk."""
        self._keeps_any = keeps_any
        self._random = random
        self._counts = counts
        self.durable: dict[bytes, bytes] = {}
        self.live: dict[bytes, bytes] = {}
        self.unsynced: list[Batch] = []

    def write(self, batch: Batch) -> None:
        """Not synced yet."""
        replaced = [
            key
            for key in batch.puts
            if key[:1] == LOG and self.live.get(key, batch.puts[key]) != batch.puts[key]
        ]
        self._counts["log rows cut off or replaced"] += len(batch.deletes) + len(replaced)
        self.unsynced.append(batch)
        _apply(self.live, batch)

    def sync(self) -> None:
        """All that was written is there for good."""
        for batch in self.unsynced:
            _apply(self.durable, batch)
        self.unsynced.clear()

    def crash(self) -> None:
        """The process ended: some of what wasn't synced is lost."""
        lost = False
        for batch, kept in zip(self.unsynced, self._kept(), strict=True):
            if kept:
                _apply(self.durable, batch)
                self._counts["writes kept though an earlier one was lost"] += lost
            else:
                self._counts["unsynced writes lost"] += 1
                lost = True
        self.unsynced.clear()
        self.live = dict(self.durable)

    def flip_bit(self, above: bytes) -> bool:
        """Change a bit of one of the newest rows of the log, if there are any above this key."""
        rows = sorted(key for key in self.durable if key[:1] == LOG and key > above)[-NEWEST_ROWS:]
        if not rows:
            return False
        key = self._random.choice(rows)
        row = bytearray(self.durable[key])
        row[self._random.randrange(len(row))] ^= 1 << self._random.randrange(8)
        self.durable[key] = self.live[key] = bytes(row)
        self._counts["bits flipped"] += 1
        return True

    def _kept(self) -> list[bool]:
        """Which of the unsynced writes reached the disk whole."""
        written = len(self.unsynced)
        if self._keeps_any:
            return [self._random.random() < 0.5 for _ in range(written)]
        kept = self._random.randint(0, written)
        return [number < kept for number in range(written)]


class SimulatedDatabase:
    """One process's way to the disk. `point` may end the process; it is told where."""

    def __init__(self, disk: SimulatedDisk, point: Callable[[str], None]) -> None:
        """Open what is on the disk."""
        self._disk = disk
        self._point = point

    def get(self, key: bytes) -> bytes | None:
        """See node.ports.Database."""
        return self._disk.live.get(key)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See node.ports.Database."""
        keys = sorted((key for key in self._disk.live if start <= key < stop), reverse=reverse)
        for key in keys:
            yield key, self._disk.live[key]

    def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], sync: bool) -> None:
        """See node.ports.Database."""
        self._point("before a write")
        self._disk.write(Batch(dict(puts), tuple(deletes)))
        if sync:
            self._point(IN_SYNC)
            self._disk.sync()
        self._point("after a write")

    def close(self) -> None:
        """Nothing is held open."""


def _apply(rows: dict[bytes, bytes], batch: Batch) -> None:
    for key in batch.deletes:
        rows.pop(key, None)
    rows.update(batch.puts)
