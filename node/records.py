"""The keys of the store and its checksummed records (docs/formats.md, section 10).

It must not know any database, nor when a record is written. State rows (a, k, n, i, t, S) belong to the
ledger and are certified by the state root; the records here carry their own checksum.
"""

from typing import NamedTuple
from zlib import crc32

from consensus.messages import Entry, EntryType, HardState
from ledger import codec

BLOCK = b"B"
HARD_STATE = b"H"
META = b"M"
SEAL = b"s"
CERTIFICATE = b"c"
HEADER = b"h"
EVIDENCE = b"e"

CHECKSUM_BYTES = 4
HEADER_BYTES = 20
ENTRY_TYPES = frozenset(int(type_) for type_ in EntryType)


class CorruptRecord(Exception):
    """A stored record isn't what was written: the message names its key and height, and what to do."""

    def __init__(self, key: bytes, height: int | None, what: str) -> None:
        place = f"height {height}" if height is not None else "no height"
        super().__init__(
            f"the record at key {name_of(key)} ({place}) is corrupt: {what}; "
            "this node may have acknowledged what it lost, so it must not go on with this store: "
            "keep the directory for inquiry and bring the bank back as a new node"
        )
        self.key = key
        self.height = height


def name_of(key: bytes) -> str:
    """A key as people read it."""
    return f"{key[:1].decode('ascii', 'replace')}:{key[1:].hex()}"


class Record(NamedTuple):
    """A record's place in the log's order, and what it holds."""

    height: int
    term: int
    payload: bytes


class SealedHeader(NamedTuple):
    """What is kept of every executed block for ever: its term, its header's bytes, and its height's seal."""

    term: int
    header: bytes
    seal: bytes


def block_key(height: int) -> bytes:
    """Where the log record of `height` is."""
    return BLOCK + height.to_bytes(8, "big")


def header_key(height: int) -> bytes:
    """Where the header of the block at `height` is, with its height's seal."""
    return HEADER + height.to_bytes(8, "big")


def seal_key(height: int) -> bytes:
    """Where this node's own seal of `height` is."""
    return SEAL + height.to_bytes(8, "big")


def certificate_key(height: int) -> bytes:
    """Where the certificate of `height` is."""
    return CERTIFICATE + height.to_bytes(8, "big")


def evidence_key(height: int, digest: bytes) -> bytes:
    """Where evidence about `height` is; `digest` (32 bytes) tells pieces of it apart."""
    return EVIDENCE + height.to_bytes(8, "big") + digest


def meta_key(name: str) -> bytes:
    """Where the store's own value `name` is."""
    return META + name.encode("ascii")


def pack_record(key: bytes, record: Record) -> bytes:
    """crc32 ‖ height ‖ term ‖ payload, the CRC over the key and all that follows it."""
    rest = record.height.to_bytes(8, "big") + record.term.to_bytes(8, "big") + record.payload
    return crc32(rest, crc32(key)).to_bytes(CHECKSUM_BYTES, "big") + rest


def unpack_record(key: bytes, raw: bytes, height: int | None = None) -> Record:
    """What pack_record packed; raises CorruptRecord for anything else, or if it is of another height."""
    if len(raw) < HEADER_BYTES:
        raise CorruptRecord(key, height, f"it has {len(raw)} bytes, at least {HEADER_BYTES} were written")
    rest = raw[CHECKSUM_BYTES:]
    if crc32(rest, crc32(key)) != int.from_bytes(raw[:CHECKSUM_BYTES], "big"):
        raise CorruptRecord(key, height, "its checksum doesn't match")
    record = Record(int.from_bytes(rest[:8], "big"), int.from_bytes(rest[8:16], "big"), rest[16:])
    if height is not None and record.height != height:
        raise CorruptRecord(key, height, f"it says it is of height {record.height}")
    return record


def pack_meta(name: str, value: bytes) -> bytes:
    """The record of one of the store's own values."""
    return pack_record(meta_key(name), Record(0, 0, value))


def pack_hard_state(hard_state: HardState) -> bytes:
    """The record of term and vote."""
    payload = (hard_state.vote or "").encode("ascii")
    return pack_record(HARD_STATE, Record(0, hard_state.term, payload))


def pack_entry(entry: Entry) -> bytes:
    """The record of an entry of the log."""
    key, payload = block_key(entry.index), bytes([entry.type]) + entry.data
    return pack_record(key, Record(entry.index, entry.term, payload))


def unpack_entry(key: bytes, raw: bytes, height: int) -> Entry:
    """The entry of `height` that `pack_entry` packed under `key`; raises CorruptRecord."""
    record = unpack_record(key, raw, height)
    if not record.payload or record.payload[0] not in ENTRY_TYPES:
        raise CorruptRecord(key, height, "it has no known type of entry")
    return Entry(height, record.term, EntryType(record.payload[0]), record.payload[1:])


def pack_header(height: int, block: SealedHeader) -> bytes:
    """The record of an executed block's header and seal."""
    payload = codec.encode([block.header, block.seal])
    return pack_record(header_key(height), Record(height, block.term, payload))


def unpack_header(record: Record) -> SealedHeader:
    """What `pack_header` packed."""
    return SealedHeader(record.term, *codec.decode(record.payload, tuple[bytes, bytes]))
