"""A database whose writes gather in memory, so that many steps reach the disk as one.

It must not know what the rows mean. For stopped nodes: one thread, and few enough rows for memory.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from node.ports import Database


class StagedDatabase:
    """Reads what is below and, on top, what was written here; `commit` writes all of that at once."""

    def __init__(self, below: Database) -> None:
        """Nothing written yet."""
        self._below = below
        self._changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`."""
        return self._changes[key] if key in self._changes else self._below.get(key)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The rows with start <= key < stop in key order, or from the last to the first."""
        own = [(key, value) for key, value in self._changes.items() if start <= key < stop]
        own.sort(reverse=reverse, key=itemgetter(0))
        changed = {key for key, _ in own}
        kept = ((key, value) for key, value in self._below.scan(start, stop, reverse) if key not in changed)
        for key, value in heapq.merge(kept, own, key=itemgetter(0), reverse=reverse):
            if value is not None:
                yield key, value

    def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], sync: bool) -> None:
        """Keep it in memory, whatever `sync` says."""
        self._changes.update(dict.fromkeys(deletes))
        self._changes.update(puts)

    def commit(self) -> None:
        """Put everything on the disk: all of it or nothing."""
        puts = {key: value for key, value in self._changes.items() if value is not None}
        deletes = [key for key, value in self._changes.items() if value is None]
        self._below.write(puts, deletes, sync=True)
        self._changes.clear()

    def close(self) -> None:
        """Forget what wasn't committed; the database below stays open."""
        self._changes.clear()
