"""The layout of a snapshot: a manifest that says what is proved, and chunks of items in sections.

A snapshot is the state at one height, and what proves it (formats.md, section 11). Here are its layouts and
how items become chunks and back; ledger/snapshot_proof.py is what believes it or not. It must not know where
items come from, nor files or networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.certificate import Certificate
from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import Bin32, Uint
from ledger.handovers import Handover

MANIFEST_FORMAT: Final = 1
CHUNK_BYTES: Final = 4 * 1024 * 1024
"""No chunk is longer; one that another item would make longer is closed."""
MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""No manifest is longer: it names some 300,000 chunks, over a terabyte."""

ACCOUNTS: Final = "accounts"
"""The account records in the order of their numbers."""
REGISTRY: Final = "registry"
"""The rows of the registry in the order of their keys' hashes."""
CHAIN: Final = "chain"
"""For each height from 1 on its `BlockItem`, and after it the rows of the block's transactions in order."""
SECTIONS: Final = (ACCOUNTS, REGISTRY, CHAIN)

_ARRAY_HEADER_BYTES: Final = 5
_BIN_HEADER_BYTES: Final = 5


class SnapshotInvalid(Exception):
    """A snapshot that doesn't prove what it says; `section` is where, and the text names what is wrong."""

    def __init__(self, section: str, what: str) -> None:
        super().__init__(f"{section}: {what}")
        self.section = section


class ChunkRef(Record, frozen=True):
    """One chunk of a section: the SHA-256 of its bytes, and how many they are."""

    digest: Bin32
    size_bytes: Annotated[int, Meta(ge=1, le=CHUNK_BYTES)]


class SectionRef(Record, frozen=True):
    """A section: how many items it has, and its chunks in order."""

    name: str
    items: Uint
    chunks: tuple[ChunkRef, ...]


class Manifest(Record, frozen=True):
    """What a snapshot is of, the certified seals that it is proved against, and where its items are.

    `handovers` lead from genesis to those who certified; `seals` are those from the snapshot's height up to,
    not including, the certificate's own.
    """

    format: Literal[1]
    network_id: Bin32
    height: Annotated[int, Meta(ge=1)]
    handovers: tuple[Handover, ...]
    seals: tuple[bytes, ...]
    certificate: Certificate
    sections: tuple[SectionRef, ...]

    @property
    def size_bytes(self) -> int:
        """All chunks together."""
        return sum(chunk.size_bytes for section in self.sections for chunk in section.chunks)


class BlockItem(Record, frozen=True):
    """A block without its body: its header, and the seal of its height."""

    header: bytes
    seal: bytes


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of a manifest."""
    return encode(manifest)


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest in `raw`, only its form checked; raises SnapshotInvalid."""
    if len(raw) > MANIFEST_BYTES:
        raise SnapshotInvalid("manifest", f"it has {len(raw)} bytes, at most {MANIFEST_BYTES} are read")
    try:
        manifest = decode(raw, Manifest)
    except Malformed as error:
        raise SnapshotInvalid("manifest", error.reason) from error
    names = tuple(section.name for section in manifest.sections)
    if names != SECTIONS:
        raise SnapshotInvalid("manifest", f"its sections are {', '.join(names)}, not {', '.join(SECTIONS)}")
    return manifest


def chunk_name(section: str, number: int) -> str:
    """What a chunk is called, in a folder and in an address."""
    return f"{section}-{number:06}"


def pack_chunks(items: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """The chunks of a section's items, each with its number of items; the same items give the same chunks."""
    held: list[bytes] = []
    size_bytes = _ARRAY_HEADER_BYTES
    for item in items:
        item_bytes = len(item) + _BIN_HEADER_BYTES
        if held and size_bytes + item_bytes > CHUNK_BYTES:
            yield _encode_items(held), len(held)
            held, size_bytes = [], _ARRAY_HEADER_BYTES
        held.append(item)
        size_bytes += item_bytes
    if held:
        yield _encode_items(held), len(held)


def unpack_chunk(raw: bytes, ref: ChunkRef, name: str) -> list[bytes]:
    """The items of a chunk; raises SnapshotInvalid for other bytes than the manifest names."""
    if not is_chunk(raw, ref):
        raise SnapshotInvalid(name, "its bytes are not those that the manifest names")
    try:
        return _items.decode(raw)
    except msgspec.DecodeError as error:
        raise SnapshotInvalid(name, f"it is no list of items: {error}") from error


def is_chunk(raw: bytes, ref: ChunkRef) -> bool:
    """Whether these are the bytes that a manifest names."""
    return len(raw) == ref.size_bytes and sha256(raw).digest() == ref.digest


_items: Final = msgspec.msgpack.Decoder(list[bytes])
_encode_items: Final = msgspec.msgpack.Encoder().encode
