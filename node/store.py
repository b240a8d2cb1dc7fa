"""A node's one database: the log, the state, seals and certificates, each written so that a crash loses no
promise.

It must not know Raft's roles, the rules, or any database but through the port. Every write says whether it
must have reached the disk. Log rows are written by the disk worker alone, state rows by the execute worker
alone; reads may come from anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consensus.messages import Entry, HardState
from ledger import codec
from ledger.genesis import network_id as network_id_of
from ledger.genesis_state import genesis_rows
from ledger.records import ID_PREFIX
from ledger.state import load_progress
from node.fresh_ids import FreshIds
from node.ports import Database
from node.records import (
    BLOCK,
    CERTIFICATE,
    HARD_STATE,
    SEAL,
    CorruptRecord,
    Record,
    SealedHeader,
    block_key,
    certificate_key,
    evidence_key,
    header_key,
    meta_key,
    pack_entry,
    pack_hard_state,
    pack_header,
    pack_meta,
    pack_record,
    seal_key,
    unpack_entry,
    unpack_header,
    unpack_record,
)

FORMAT = 1
CHECKED_AT_OPEN = 64
PRUNED_AT_ONCE = 256
"""Blocks forgotten in one batch: what else waits for the disk doesn't wait long."""
LED = "led/"
SEALED = "sealed/"
PRUNED = "pruned"


class WrongStore(Exception):
    """The directory holds another network's or another node's store."""


class OwnSeal(NamedTuple):
    """What this node signed for one height."""

    seal: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class LogWrite:
    """What one Ready must have on disk: a hard state, or entries that replace all from the first of them
    on.
    """

    hard_state: HardState | None
    entries: tuple[Entry, ...]


class Store:
    """The open store of one node. Make it with `Store.open`."""

    def __init__(self, database: Database, genesis_raw: bytes, node_id: str) -> None:
        """Only `open` calls this, after its checks."""
        self._database = database
        self.genesis_raw = genesis_raw
        self.network_id = network_id_of(genesis_raw)
        self.node_id = node_id
        self._pruned = int.from_bytes(self._meta(PRUNED) or b"", "big")
        self._deleted = self._pruned
        self._log_end = max(self._pruned, _last_height(database, BLOCK))
        self._fresh_ids = FreshIds(database, ID_PREFIX, _after(ID_PREFIX))

    @staticmethod
    def open(database: Database, genesis_raw: bytes, node_id: str, *, check_log: bool = True) -> "Store":
        """The store in `database`, made from genesis if that is empty; `check_log` is left out to mend it.

        Raises WrongStore for another network's or node's, and CorruptRecord for a damaged one (of the log,
        the last blocks that may have been acknowledged are checked here, all others when they are read).
        """
        network_id = network_id_of(genesis_raw)
        if next(database.scan(b"", _after(b"")), None) is None:
            _create(database, genesis_raw, network_id, node_id)
        _check_meta(database, network_id, node_id)
        store = Store(database, genesis_raw, node_id)
        if check_log:
            store._check_log()
        return store

    # The ledger's reader.

    def get(self, key: bytes) -> bytes | None:
        """The row at `key`, as the ledger's StateReader wants it."""
        if key.startswith(ID_PREFIX) and self._fresh_ids.is_absent(key):
            return None
        return self._database.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with `prefix`, in key order."""
        return self._database.scan(prefix, _after(prefix))

    # The log.

    @property
    def log_end(self) -> int:
        """The highest height on the disk."""
        return self._log_end

    @property
    def pruned(self) -> int:
        """Up to which height the blocks' bodies are not held here any more; 0 where all are."""
        return self._pruned

    @property
    def base_term(self) -> int:
        """The term of the block at `pruned`, on which the log here follows; 0 for genesis."""
        if not self._pruned:
            return 0
        block = self.header(self._pruned)
        if block is None:
            raise CorruptRecord(header_key(self._pruned), self._pruned, "it is missing")
        return block.term

    def hard_state(self) -> HardState:
        """Term and vote as last synced."""
        raw = self._database.get(HARD_STATE)
        if raw is None:
            return HardState()
        record = unpack_record(HARD_STATE, raw)
        return HardState(record.term, record.payload.decode("ascii") or None)

    def entry(self, height: int) -> Entry | None:
        """The log's entry at `height`, or None if it holds none; raises CorruptRecord."""
        key = block_key(height)
        raw = self._database.get(key)
        return None if raw is None else unpack_entry(key, raw, height)

    def scan_log(self, first: int) -> Iterator[tuple[bytes, bytes]]:
        """The log's rows from `first` on, as they are stored."""
        return self._database.scan(block_key(first), _after(BLOCK))

    def write_log(self, writes: Sequence[LogWrite]) -> None:
        """Put all of `writes`, in their order, on the disk: one batch, synced."""
        puts: dict[bytes, bytes] = {}
        deletes: set[bytes] = set()
        end = self._log_end
        for write in writes:
            if write.hard_state is not None:
                puts[HARD_STATE] = pack_hard_state(write.hard_state)
            if write.entries:
                end = _stage_entries(write.entries, end, puts, deletes)
        self._database.write(puts, deletes, sync=True)
        self._log_end = end

    def mend(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        """Put damaged records right, or drop them, in one synced batch: before anybody else has the store."""
        self._database.write(puts, deletes, sync=True)

    def forget(self, height: int) -> None:
        """Give bodies up to `height` out no more, before `prune` deletes them; raises ValueError as it does.

        On the loop, so that no reader there finds a row gone between its look at `pruned` and its read.
        """
        if height > load_progress(self).height:
            raise ValueError(f"Block {height} is not executed here: it can't be forgotten.")
        self._pruned = max(self._pruned, height)

    def prune(self, height: int) -> None:
        """Forget the bodies of blocks up to `height`, some at a time; their headers and seals stay.

        Raises ValueError for a height that isn't executed here. On the disk worker, as all writes of the log.
        """
        self.forget(height)
        while self._deleted < height:
            last = min(height, self._deleted + PRUNED_AT_ONCE)
            puts = {meta_key(PRUNED): pack_meta(PRUNED, last.to_bytes(8, "big"))}
            deletes = [block_key(done) for done in range(self._deleted + 1, last + 1)]
            self._database.write(puts, deletes, sync=True)
            self._deleted = last

    # Execution.

    def write_executed(
        self, height: int, rows: Mapping[bytes, bytes], block: SealedHeader, own: OwnSeal | None
    ) -> None:
        """All that came of executing `height`, with this node's own seal of it, if it seals: one batch,
        synced.

        Raises CorruptRecord if another seal of that height is there already: a node never seals a height
        twice.
        """
        puts = {**rows, header_key(height): pack_header(height, block)}
        self._fresh_ids.note(key for key in rows if key.startswith(ID_PREFIX))
        if own is not None:
            known = self.own_seal(height)
            if known is not None and known.seal != own.seal:
                raise CorruptRecord(
                    seal_key(height), height, "this node has sealed this height otherwise before"
                )
            payload = codec.encode([own.seal, own.signature])
            puts[seal_key(height)] = pack_record(seal_key(height), Record(height, 0, payload))
        self._database.write(puts, (), sync=True)

    def header(self, height: int) -> SealedHeader | None:
        """The header of an executed block and its height's seal; raises CorruptRecord."""
        key = header_key(height)
        raw = self._database.get(key)
        return None if raw is None else unpack_header(unpack_record(key, raw, height))

    def own_seal(self, height: int) -> OwnSeal | None:
        """This node's own seal of `height`; raises CorruptRecord."""
        raw = self._database.get(seal_key(height))
        if raw is None:
            return None
        seal, signature = codec.decode(
            unpack_record(seal_key(height), raw, height).payload, tuple[bytes, bytes]
        )
        return OwnSeal(seal, signature)

    def last_own_seal(self) -> int:
        """The highest height that this node has sealed; 0 for none."""
        return _last_height(self._database, SEAL)

    # What other nodes signed.

    def write_marks(
        self, certificates: Mapping[int, bytes], led: Mapping[str, int], sealed: Mapping[str, int]
    ) -> None:
        """Keep certificates by height, and per node the highest term it led and height it sealed, as seen
        here.

        Not synced: what a crash takes of it is asked of the peers again.
        """
        puts = {
            certificate_key(height): pack_record(certificate_key(height), Record(height, 0, raw))
            for height, raw in certificates.items()
        }
        for prefix, marks in ((LED, led), (SEALED, sealed)):
            for node, mark in marks.items():
                puts[meta_key(prefix + node)] = pack_meta(prefix + node, mark.to_bytes(8, "big"))
        self._database.write(puts, (), sync=False)

    def certificate(self, height: int) -> bytes | None:
        """The certificate of exactly `height`, if one is held; raises CorruptRecord."""
        raw = self._database.get(certificate_key(height))
        return None if raw is None else unpack_record(certificate_key(height), raw, height).payload

    def certificate_from(self, height: int) -> tuple[int, bytes] | None:
        """The first certificate held at `height` or above: it certifies all below it too."""
        stop = _after(CERTIFICATE)
        for key, raw in self._database.scan(certificate_key(height), stop):
            record = unpack_record(key, raw)
            return record.height, record.payload
        return None

    def last_certified(self) -> int:
        """The highest height that a certificate is held for; 0 for none."""
        return _last_height(self._database, CERTIFICATE)

    def led_term(self, node: str) -> int:
        """The highest term in which this node saw `node` lead."""
        return int.from_bytes(self._meta(LED + node) or b"", "big")

    def sealed_height(self, node: str) -> int:
        """The highest height that this node holds a seal of `node` for."""
        return int.from_bytes(self._meta(SEALED + node) or b"", "big")

    def write_evidence(self, height: int, digest: bytes, raw: bytes) -> None:
        """Keep what shows that someone misbehaved, at once on the disk."""
        self._database.write({evidence_key(height, digest): raw}, (), sync=True)

    def _meta(self, name: str) -> bytes | None:
        raw = self._database.get(meta_key(name))
        return None if raw is None else unpack_record(meta_key(name), raw).payload

    def _check_log(self) -> None:
        """The log holds what was executed, its last part is whole, and the hard state is there if a log
        is.
        """
        executed = load_progress(self).height
        if executed > self._log_end:
            raise CorruptRecord(
                block_key(executed), executed, f"it was executed, but the log ends at {self._log_end}"
            )
        if self._log_end and self.hard_state().term == 0:
            raise CorruptRecord(HARD_STATE, None, "there is a log, but no term and vote")
        term = self.base_term
        for height in range(max(self._pruned + 1, executed - CHECKED_AT_OPEN), self._log_end + 1):
            entry = self.entry(height)
            if entry is None:
                raise CorruptRecord(block_key(height), height, "it is missing in the middle of the log")
            if entry.term < term:
                raise CorruptRecord(
                    block_key(height), height, f"its term {entry.term} is below its parent's {term}"
                )
            term = entry.term


def _create(database: Database, genesis_raw: bytes, network_id: bytes, node_id: str) -> None:
    """The rows of a store that has seen only genesis, in one batch: a store is empty or has all of them."""
    database.write({**genesis_rows(genesis_raw), **identity_rows(network_id, node_id)}, (), sync=True)


def identity_rows(network_id: bytes, node_id: str) -> dict[bytes, bytes]:
    """The rows that make a database the store of this node on this network."""
    values = _identity(network_id, node_id)
    return {meta_key(name): pack_meta(name, value) for name, value in values.items()}


def _identity(network_id: bytes, node_id: str) -> dict[str, bytes]:
    return {"format": bytes([FORMAT]), "network": network_id, "node": node_id.encode("ascii")}


def _check_meta(database: Database, network_id: bytes, node_id: str) -> None:
    for name, value in _identity(network_id, node_id).items():
        raw = database.get(meta_key(name))
        if raw is None:
            raise CorruptRecord(meta_key(name), None, "it is missing")
        found = unpack_record(meta_key(name), raw).payload
        if found != value:
            raise WrongStore(
                f"this store's {name} is {_shown(found)}, not {_shown(value)}: "
                "point the node at its own data directory, or at an empty one"
            )


def _shown(value: bytes) -> str:
    return value.decode("ascii") if value.isascii() and value.decode("ascii").isprintable() else value.hex()


def _stage_entries(
    entries: tuple[Entry, ...], end: int, puts: dict[bytes, bytes], deletes: set[bytes]
) -> int:
    """Add the rows of `entries` and drop those beyond them, up to `end`; the new end of the log."""
    for entry in entries:
        key = block_key(entry.index)
        puts[key] = pack_entry(entry)
        deletes.discard(key)
    for height in range(entries[-1].index + 1, end + 1):
        puts.pop(block_key(height), None)
        deletes.add(block_key(height))
    return entries[-1].index


def _last_height(database: Database, prefix: bytes) -> int:
    for key, _ in database.scan(prefix, _after(prefix), reverse=True):
        return int.from_bytes(key[1:], "big")
    return 0


def _after(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`, whose last byte is below 0xff for every prefix in
    use.
    """
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\xff" * 64
