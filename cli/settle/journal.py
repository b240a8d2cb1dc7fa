"""The journal of a batch: every signed envelope, on the disk before it is sent.

A second run, or one after a crash, sends the very same bytes again, and the ledger answers with the first
outcome. Knows files and bytes; it must not know what an envelope says.
"""

import fcntl
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from cli.errors import CommandError
from ledger.codec import Malformed, Record, decode, encode

FORMAT = 1
MAX_RECORD_BYTES = 1 << 20
_FRAME_BYTES = 8
DAMAGE_REMEDY = (
    "Restore it, or move it away: ids don't depend on it, so nothing is paid twice, "
    "but what was signed then is signed anew."
)


class JournalError(CommandError):
    """The journal can't be used."""


class Head(Record, frozen=True):
    """The first record: which network and which batch the journal is of."""

    format: int
    network_id: bytes
    batch: str


class SignedEnvelope(Record, frozen=True):
    """One signed envelope with the id it is paid under."""

    tx_id: bytes
    envelope: bytes


class Journal:
    """An append-only file of checksummed records: `length(4) ‖ crc32(4) ‖ canonical bytes`, one process at a
    time.

    A record cut short at the very end of the file is what a crash leaves of a write that nobody relied on: it
    is cut off. A broken record anywhere before is damage: JournalError.
    """

    def __init__(self, path: Path, network_id: bytes, batch: str) -> None:
        self.envelopes: dict[bytes, bytes] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a+b")
        try:
            self._lock()
            self._load(Head(FORMAT, network_id, batch))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, envelopes: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds (tx_id, envelope) pairs and returns once they are on the disk."""
        records = [SignedEnvelope(tx_id, envelope) for tx_id, envelope in envelopes]
        if not records:
            return
        self._write(b"".join(_framed(encode(record)) for record in records))
        self.envelopes.update((record.tx_id, record.envelope) for record in records)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(
                f"{self._path} is in use by another run of this batch.", "Wait for that run to end."
            ) from error

    def _load(self, head: Head) -> None:
        self._file.seek(0)
        data = self._file.read()
        records, end = _split(data, self._path)
        if end < len(data):
            self._file.truncate(end)
        if not records:
            self._write(_framed(encode(head)))
            return
        self._check_head(records[0], head)
        for raw in records[1:]:
            record = _decoded(raw, SignedEnvelope, self._path)
            self.envelopes[record.tx_id] = record.envelope

    def _check_head(self, raw: bytes, expected: Head) -> None:
        found = _decoded(raw, Head, self._path)
        if found != expected:
            raise JournalError(
                f"{self._path} is the journal of batch {found.batch!r} "
                f"on network {found.network_id.hex()[:16]}, "
                f"not of batch {expected.batch!r} on {expected.network_id.hex()[:16]}.",
                "Name another file with --journal.",
            )


T = TypeVar("T", Head, SignedEnvelope)


def _decoded(raw: bytes, kind: type[T], path: Path) -> T:
    try:
        return decode(raw, kind)
    except Malformed as error:
        raise JournalError(
            f"{path} holds a record that can't be read ({error}); it is no journal of ours.",
            "Name another file with --journal.",
        ) from error


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big") + payload


def _split(data: bytes, path: Path) -> tuple[list[bytes], int]:
    """The whole records, and where they end."""
    records: list[bytes] = []
    position = 0
    while position + _FRAME_BYTES <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        start = position + _FRAME_BYTES
        payload = data[start : start + size]
        if size > MAX_RECORD_BYTES:
            raise JournalError(f"{path} is damaged at byte {position:,}.", DAMAGE_REMEDY)
        if len(payload) < size:
            break
        if zlib.crc32(payload) != int.from_bytes(data[position + 4 : start], "big"):
            raise JournalError(f"{path} is damaged at byte {position:,}.", DAMAGE_REMEDY)
        records.append(payload)
        position = start + size
    return records, position


def count_signed(path: Path) -> int:
    """How many envelopes the journal at `path` holds so far, while a run writes it; none where there is no
    file.
    """
    if not path.is_file():
        return 0
    records, _ = _split(path.read_bytes(), path)
    return max(0, len(records) - 1)
