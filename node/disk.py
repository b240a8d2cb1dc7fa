"""LevelDB as the node's Database port: ordered rows of bytes, written in atomic batches.

It knows nothing of what the rows mean. Every read checks LevelDB's own block checksums, and damage
is named as damage, never answered with an absent row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import plyvel

from node.leveldb_log import disguised_record
from node.leveldb_manifest import CURRENT, missing_log

WRITE_BUFFER_BYTES = 4 * 1024 * 1024
"""A small buffer keeps compactions short, and with them the pauses that a payment can see."""
BLOOM_FILTER_BITS = 10
"""Bits a key: about one absent key in a hundred costs a read of the disk."""
BLOCK_CACHE_BYTES = 64 * 1024 * 1024
OPEN_FILES = 512
_ENDS_TOO_SOON = ".ldb: Invalid argument"
"""What LevelDB says of a table file whose end is gone, as if it couldn't be read."""


class StoreError(OSError):
    """The store can't be opened or used; the text says where it is and what to do."""


class StoreInUse(StoreError):
    """Another process has the store open."""


class StoreMissing(StoreError):
    """There is no store where one was expected."""


class CorruptStore(StoreError):
    """LevelDB found damage: a bad checksum, a missing file."""


class LevelDatabase:
    """One open LevelDB. Reads may come from any thread; writes come from one at a time."""

    def __init__(
        self, path: Path, *, create: bool = True, write_buffer_bytes: int = WRITE_BUFFER_BYTES
    ) -> None:
        """Open the store at `path`; raises StoreInUse, StoreMissing, CorruptStore or StoreError."""
        self.path = path
        try:
            if create:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_files(path)
            self._database = plyvel.DB(
                str(path),
                create_if_missing=create,
                paranoid_checks=True,
                bloom_filter_bits=BLOOM_FILTER_BITS,
                write_buffer_size=write_buffer_bytes,
                lru_cache_size=BLOCK_CACHE_BYTES,
                max_open_files=OPEN_FILES,
                compression=None,
            )
        except StoreError:
            raise
        except (plyvel.Error, OSError) as error:
            raise _explained(path, error) from error

    def get(self, key: bytes) -> bytes | None:
        """The row under `key`, or None; raises CorruptStore rather than miss a damaged row."""
        try:
            value: bytes | None = self._database.get(key, verify_checksums=True)
        except (plyvel.Error, OSError) as error:
            raise _explained(self.path, error) from error
        return value

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < stop in key order, as they stood at the first step."""
        try:
            with self._database.iterator(
                start=start, stop=stop, reverse=reverse, verify_checksums=True, fill_cache=False
            ) as rows:
                yield from rows
        except (plyvel.Error, OSError) as error:
            raise _explained(self.path, error) from error

    def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], sync: bool) -> None:
        """Write all of it or nothing. With `sync` it is on the disk when this returns."""
        try:
            with self._database.write_batch(transaction=True, sync=sync) as batch:
                for key in deletes:
                    batch.delete(key)
                for key, value in puts.items():
                    batch.put(key, value)
        except (plyvel.Error, OSError) as error:
            raise _explained(self.path, error) from error

    def view(self) -> LevelView:
        """All rows as they stand now, whatever is written meanwhile."""
        return LevelView(self.path, self._database.snapshot())

    def close(self) -> None:
        """Close the store and release its lock; closing again does nothing."""
        self._database.close()


class LevelView:
    """The rows of a LevelDB as they stood at one moment."""

    def __init__(self, path: Path, snapshot: plyvel.Snapshot) -> None:
        """`LevelDatabase.view` makes it."""
        self._path = path
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        """The row that stood under `key`, or None; raises CorruptStore rather than miss a damaged row."""
        try:
            value: bytes | None = self._snapshot.get(key, verify_checksums=True)
        except (plyvel.Error, OSError) as error:
            raise _explained(self._path, error) from error
        return value

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < stop in key order."""
        try:
            with self._snapshot.iterator(
                start=start, stop=stop, verify_checksums=True, fill_cache=False
            ) as rows:
                yield from rows
        except (plyvel.Error, OSError) as error:
            raise _explained(self._path, error) from error

    def close(self) -> None:
        """Let go of the moment: the rows that were replaced since can be forgotten."""
        self._snapshot.close()


def _check_files(path: Path) -> None:
    """Find what LevelDB would take for a store that is empty, or for writes that a crash cut off."""
    logs = [*path.glob("*.log"), *path.glob("MANIFEST-*")]
    if not (path / CURRENT).exists() and (list(path.glob("*.ldb")) or list(path.glob("*.log"))):
        raise _damaged(path, f"its file {CURRENT} is missing")
    for log in logs:
        # One that is gone since belongs to a process that has the store open, which LevelDB's lock tells.
        with contextlib.suppress(FileNotFoundError):
            place = disguised_record(log)
            if place is not None:
                raise _damaged(path, f"{log.name}: the length of the record at byte {place} is wrong")
    missing = missing_log(path)
    if missing is not None:
        raise _damaged(
            path,
            f"{missing.log} is missing, which by {missing.manifest} holds what was written last. Either that "
            f"file is gone, or {missing.manifest} has lost its end; votes and seals may be lost with it",
        )


def _damaged(path: Path, what: str) -> CorruptStore:
    return CorruptStore(
        f"the store at {path} is damaged: {what}. Keep a copy for inspection; do not repair it in place. "
        "A node whose store is damaged comes back under a new node id, filled from its peers."
    )


def _explained(path: Path, error: Exception) -> StoreError:
    """LevelDB's exceptions carry only a text; this says which kind it is, and what a person can do."""
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error)
    if isinstance(error, plyvel.CorruptionError) or _ENDS_TOO_SOON in text:
        return _damaged(path, text)
    if "/LOCK: " in text and "Not a directory" not in text:
        return StoreInUse(
            f"the store at {path} is in use by another process: {text}. Stop that process, or give "
            "this node another data folder."
        )
    if "does not exist" in text:
        return StoreMissing(
            f"there is no store at {path}. Start the node once to create it, or check the path."
        )
    return StoreError(f"the store at {path} can't be used: {text}. Check the path, its owner and free space.")
