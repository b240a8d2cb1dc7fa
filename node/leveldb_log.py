"""The records of LevelDB's log files, and their ends, which it doesn't tell from writes that a crash cut off.

Its reader takes a record that claims to go on past the file's end for one whose writer died, and drops it
without a word, with all that follow. One flipped bit of a length does the same to a record that was synced.
It must not know what the records hold, nor change a file. Layout: LevelDB, doc/log_format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

BLOCK_BYTES = 32 * 1024
HEADER_BYTES = 7
"""Masked CRC-32C (4, little-endian), length (2, little-endian), type (1); the CRC covers type and payload."""
_UNWRITTEN, _WHOLE, _FIRST, _LAST = 0, 1, 2, 4
"""Types of records: a block's rest that nobody wrote, and the parts of what was appended; 3 is in between."""
_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_WORD = 0xFFFFFFFF


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def disguised_record(file: Path) -> int | None:
    """Where a whole record begins whose length says that it was cut off, or None; raises OSError.

    Only the last, unfilled block can hold one: LevelDB reports those before it.
    """
    size_bytes = file.stat().st_size
    start = size_bytes - size_bytes % BLOCK_BYTES
    with file.open("rb") as handle:
        handle.seek(start)
        block = handle.read()
    place = 0
    while len(block) - place >= HEADER_BYTES:
        length = int.from_bytes(block[place + 4 : place + 6], "little")
        end = place + HEADER_BYTES + length
        if end > len(block):
            return start + place if _is_whole(block[place:]) else None
        place = end
    return None


def whole_records(data: bytes) -> Iterator[bytes]:
    """What was appended to such a file, each put together again, but for one whose writer died.

    Checksums are left to LevelDB, which reads the same records.
    """
    joined = b""
    for kind, payload in _parts(data):
        joined = payload if kind in (_WHOLE, _FIRST) else joined + payload
        if kind in (_WHOLE, _LAST):
            yield joined


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and payload of each record, block after block, up to where a block says nothing more."""
    for start in range(0, len(data), BLOCK_BYTES):
        block, place = data[start : start + BLOCK_BYTES], 0
        while len(block) - place >= HEADER_BYTES:
            kind = block[place + HEADER_BYTES - 1]
            end = place + HEADER_BYTES + int.from_bytes(block[place + 4 : place + 6], "little")
            if kind == _UNWRITTEN or end > len(block):
                break
            yield kind, block[place + HEADER_BYTES : end]
            place = end


def _is_whole(record: bytes) -> bool:
    """Whether the checksum fits some length of what is here: then all that was written is here."""
    masked = int.from_bytes(record[:4], "little")
    rotated = (masked - _MASK_DELTA) & _WORD
    wanted = (rotated >> 17 | rotated << 15) & _WORD
    return wanted in _prefix_crcs(record[HEADER_BYTES - 1 :])


def _prefix_crcs(data: bytes) -> Iterator[int]:
    """The CRC-32C of each prefix of `data` that isn't empty (RFC 3720, appendix B.4)."""
    crc = _WORD
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
        yield crc ^ _WORD
