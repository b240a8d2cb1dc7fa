"""Ids of payments: 16 bytes that a client chooses, shown as a UUID; the ledger consumes each once per author.

It must not know clocks or random sources: the time and the randomness are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ledger.codec import Malformed, encode
from ledger.json_form import format_uuid, parse_uuid
from ledger.keys import tagged
from wallet.errors import IdMalformed

TX_ID_BYTES = 16
MOST_TIME_MS = 2**48 - 1
MOST_ROW = 2**63 - 1
MOST_NAME_BYTES = 255
UUID_TEXT_LENGTH = 36


def new_tx_id(now_ms: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """A UUIDv7 (RFC 9562, section 5.7): the time in milliseconds since 1970, then 74 random bits.

    Raises IdMalformed unless 0 <= now_ms < 2**48.
    """
    return _version_7(now_ms, random_bytes(10))


def derived_tx_id(batch_time_ms: int, batch: str, row: int, purpose: str) -> bytes:
    """The id of one row of a batch: the same row gives the same id again, so a file sent twice pays once.

    Laid out as a UUIDv7 at the batch's time whose random bits are a hash of all four arguments; `purpose`
    keeps two programs' ids apart. Raises IdMalformed for a time, row or name out of bounds.
    """
    if not 0 <= row <= MOST_ROW:
        raise _malformed(f"the row is {row}, not 0 to {MOST_ROW}")
    for name, text in (("batch", batch), ("purpose", purpose)):
        if not 1 <= len(text.encode("utf-8", "surrogatepass")) <= MOST_NAME_BYTES or not text.isprintable():
            raise _malformed(f"the {name} doesn't have 1 to {MOST_NAME_BYTES} bytes of printable characters")
    _check_time(batch_time_ms)
    digest = hashlib.sha256(tagged("tx-id", encode([batch_time_ms, batch, row, purpose]))).digest()
    return _version_7(batch_time_ms, digest[:10])


def format_tx_id(tx_id: bytes) -> str:
    """The text of an id: 36 characters in lower case. Raises IdMalformed unless it has 16 bytes."""
    if len(tx_id) != TX_ID_BYTES:
        raise _malformed(f"it has {len(tx_id)} bytes, not {TX_ID_BYTES}")
    return format_uuid(tx_id)


def parse_tx_id(text: str) -> bytes:
    """The 16 bytes of an id's text (any UUID, either case). Raises IdMalformed."""
    try:
        return parse_uuid(text[: UUID_TEXT_LENGTH + 1])
    except Malformed as error:
        raise _malformed(error.reason) from error


def _version_7(time_ms: int, ten_bytes: bytes) -> bytes:
    _check_time(time_ms)
    tail = bytearray(ten_bytes)
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return time_ms.to_bytes(6) + bytes(tail)


def _check_time(time_ms: int) -> None:
    if not 0 <= time_ms <= MOST_TIME_MS:
        raise _malformed(f"the time is {time_ms} ms since 1970, not 0 to {MOST_TIME_MS}")


def _malformed(fault: str) -> IdMalformed:
    return IdMalformed(f"That is no payment id: {fault}.", "Give the id as the program printed it.")
