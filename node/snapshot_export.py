"""Making a snapshot of a store: its rows as items in chunks, then the certificate that proves them.

The rows are read from one view of the database, so that the node may go on meanwhile. It must not know HTTP,
nor why the snapshot is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from ledger.certificate import decode_certificate
from ledger.codec import decode
from ledger.handovers import Handover, handovers_below
from ledger.receipt import MAX_SEALS
from ledger.records import (
    ACCOUNT_PREFIX,
    HISTORY_PREFIX,
    PROGRESS_KEY,
    REGISTRY_PREFIX,
    Progress,
    history_row_key,
)
from ledger.registry import Registry, load_registry
from ledger.snapshot import (
    ACCOUNTS,
    CHAIN,
    MANIFEST_FORMAT,
    REGISTRY,
    ChunkRef,
    Manifest,
    SectionRef,
    chunk_name,
    pack_chunks,
)
from node.records import CorruptRecord, header_key, unpack_record
from node.store import Store
from wallet.atomic_file import write_private


class Rows(Protocol):
    """Rows that stand still while they are read."""

    def get(self, key: bytes) -> bytes | None:
        """The row at `key`."""
        ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows with start <= key < stop in key order."""
        ...


class Exported(NamedTuple):
    """What was written: the height whose state it is, and its sections."""

    height: int
    sections: tuple[SectionRef, ...]


def export_items(
    rows: Rows, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Exported:
    """Write the chunks of the state that `rows` hold into an empty folder; its manifest comes later.

    `progress(done, total)` counts accounts and blocks. Raises CorruptRecord for damaged rows, and ValueError
    where nothing is executed yet.
    """
    executed = _executed(rows)
    if not executed.height:
        raise ValueError("Nothing is executed yet: a snapshot is of height 1 at least.")
    done, total = 0, executed.account_count + executed.height

    def count() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    height, items = section_items(rows, count)
    sections = tuple(_write_section(folder, name, found) for name, found in items.items())
    return Exported(height, sections)


def section_items(
    rows: Rows, count: Callable[[], None] = lambda: None
) -> tuple[int, dict[str, Iterator[bytes]]]:
    """The height whose state the rows hold, and the items of each section, to be read in their order.

    `count` is called for each account and each block that was read.
    """
    height = _executed(rows).height
    return height, {
        ACCOUNTS: _account_items(rows, count),
        REGISTRY: (row for _, row in rows.scan(*_range(REGISTRY_PREFIX))),
        CHAIN: _chain_items(rows, height, count),
    }


def _executed(rows: Rows) -> Progress:
    return decode(rows.get(PROGRESS_KEY) or b"", Progress)


def check_provable(store: Store, registry: Registry) -> None:
    """Raises HandoverMissing where nothing leads to who certifies now: what is exported couldn't be proved.

    It is asked at the newest certificate: until that of a hand-over has come, none above it has either.
    `registry` is that of the executed height: to read it from the rows of many accounts takes long.
    """
    handovers_below(registry, store.last_certified(), store.certificate)


def prove_exported(store: Store, exported: Exported) -> Manifest | None:
    """The manifest, with the first certificate of the height or above; None while there is none.

    Raises HandoverMissing where a certificate that was to be kept for ever is not there.
    """
    found = store.certificate_from(exported.height)
    if found is None or found[0] - exported.height > MAX_SEALS:
        return None
    certified, certificate = found
    return Manifest(
        format=MANIFEST_FORMAT,
        network_id=store.network_id,
        height=exported.height,
        handovers=_handovers(store, certified),
        seals=tuple(_seal(store, height) for height in range(exported.height, certified)),
        certificate=decode_certificate(certificate),
        sections=exported.sections,
    )


def _handovers(store: Store, height: int) -> tuple[Handover, ...]:
    return handovers_below(load_registry(store.scan(REGISTRY_PREFIX)), height, store.certificate)


def _write_section(folder: Path, name: str, items: Iterable[bytes]) -> SectionRef:
    refs, count = [], 0
    for number, (raw, held) in enumerate(pack_chunks(items)):
        write_private(folder / chunk_name(name, number), raw)
        refs.append(ChunkRef(sha256(raw).digest(), len(raw)))
        count += held
    return SectionRef(name, count, tuple(refs))


def _account_items(rows: Rows, count: Callable[[], None]) -> Iterator[bytes]:
    for _, row in rows.scan(*_range(ACCOUNT_PREFIX)):
        count()
        yield row


def _chain_items(rows: Rows, height: int, count: Callable[[], None]) -> Iterator[bytes]:
    """Each block's header and seal, and after it the rows of its transactions."""
    history = rows.scan(*_range(HISTORY_PREFIX))
    row = next(history, None)
    expected = 1
    for key, raw in rows.scan(header_key(1), header_key(height + 1)):
        record = unpack_record(key, raw, expected)
        count()
        yield record.payload
        expected += 1
        following = history_row_key(expected, 0)
        while row is not None and row[0] < following:
            yield row[1]
            row = next(history, None)
    if expected != height + 1:
        raise CorruptRecord(header_key(expected), expected, "it is missing")


def _seal(store: Store, height: int) -> bytes:
    block = store.header(height)
    if block is None:
        raise CorruptRecord(header_key(height), height, "it is missing")
    return block.seal


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    """The keys that begin with a prefix of one byte, as a start and a stop."""
    return prefix, bytes([prefix[0] + 1])
