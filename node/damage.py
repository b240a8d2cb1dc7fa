"""What of a store's records is damaged, and which of it may be put right from other nodes or dropped.

It reads and judges; node/repair.py mends. It must not know where records come from. What can't be put right
without doubt is raised by name: term and vote, own seals, headers, the rows of the state.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.handovers import handover_heights
from ledger.records import REGISTRY_PREFIX
from ledger.registry import Registry, RegistryIncomplete, load_registry
from ledger.state import load_progress
from ledger.view import StateCorrupted
from node.records import (
    CERTIFICATE,
    CorruptRecord,
    certificate_key,
    header_key,
    meta_key,
    unpack_record,
)
from node.store import CHECKED_AT_OPEN, LED, SEALED, Store


class Damage(NamedTuple):
    """Heights and keys of damaged records.

    `blocks` are executed, and their hashes known. From `tail` on nothing is executed: this node may have
    acknowledged more than is there still. `handovers` are certificates that are kept for ever; what is in
    `droppable` is written without a sync, so a crash may take it at any time too.
    """

    blocks: tuple[int, ...]
    tail: int | None
    handovers: tuple[int, ...]
    droppable: tuple[bytes, ...]

    def counts(self) -> dict[str, int | None]:
        """In figures, for the log."""
        return {
            "blocks": len(self.blocks),
            "tail": self.tail,
            "handovers": len(self.handovers),
            "dropped": len(self.droppable),
        }


def survey(store: Store, whole: bool) -> Damage | None:
    """What is damaged of the log's newest part, or of the whole store; None where nothing is.

    Raises CorruptRecord or StateCorrupted for what can't be put right.
    """
    store.hard_state()
    executed = load_progress(store).height
    if store.log_end < executed:
        what = f"it was executed, but the log ends at {store.log_end}"
        raise CorruptRecord(header_key(executed), executed, what)
    first = store.pruned + 1 if whole else max(store.pruned + 1, executed - CHECKED_AT_OPEN)
    if whole:
        _check_what_stays(store, executed)
    handovers, certificates = _certificates(store) if whole else ((), ())
    damage = Damage(
        blocks=tuple(height for height in range(first, executed + 1) if not _is_block(store, height)),
        tail=next((h for h in range(executed + 1, store.log_end + 1) if not _is_block(store, h)), None),
        handovers=handovers,
        droppable=(*certificates, *_marks(store)),
    )
    return damage if any(damage) else None


def registry_of(store: Store) -> Registry:
    """The registry in the store's rows; raises StateCorrupted."""
    try:
        return load_registry(store.scan(REGISTRY_PREFIX))
    except RegistryIncomplete as error:
        raise StateCorrupted(f"the registry can't be read: {error}") from error


def _is_block(store: Store, height: int) -> bool:
    try:
        return store.entry(height) is not None
    except CorruptRecord:
        return False


def _check_what_stays(store: Store, executed: int) -> None:
    """Headers and own seals are given by nobody else: they are whole, or the store is of no use."""
    for height in range(1, executed + 1):
        store.own_seal(height)
        if store.header(height) is None:
            raise CorruptRecord(header_key(height), height, "it is missing")


def _certificates(store: Store) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """The heights of damaged certificates of hand-overs, and the keys of other damaged ones."""
    damaged = {key for key, raw in store.scan(CERTIFICATE) if not _is_record(key, raw)}
    last = store.last_certified()
    needed = handover_heights(registry_of(store), last + 1)
    keys = {certificate_key(height): height for height in needed}
    handovers = tuple(height for key, height in keys.items() if key in damaged)
    return handovers, tuple(sorted(damaged - keys.keys()))


def _marks(store: Store) -> tuple[bytes, ...]:
    prefixes = (meta_key(LED), meta_key(SEALED))
    return tuple(key for prefix in prefixes for key, raw in store.scan(prefix) if not _is_record(key, raw))


def _is_record(key: bytes, raw: bytes) -> bool:
    try:
        unpack_record(key, raw)
    except CorruptRecord:
        return False
    return True
