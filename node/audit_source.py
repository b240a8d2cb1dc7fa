"""A node's store as an audit reads it: damage is noted and read past, where there is anything to read.

It reads a database and never writes. It must not know how a chain is checked, nor trust what it reads.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from ledger import codec
from ledger.audit_report import Finding
from ledger.codec import Malformed
from ledger.genesis import network_id as network_id_of
from ledger.keys import tagged_hash
from ledger.state import load_progress
from ledger.view import StateCorrupted
from node.disk import StoreInUse, StoreMissing
from node.ports import Database
from node.records import (
    EVIDENCE,
    HEADER_BYTES,
    SEAL,
    CorruptRecord,
    block_key,
    certificate_key,
    meta_key,
    seal_key,
    unpack_record,
)

HASH_BYTES = 32
EVIDENCE_TAGS = ("evidence", "seal")
"""Under which tags the hashes of invalid blocks and of seals that contradict each other are made."""


class AuditSource:
    """A store's chain for ledger.audit. `findings` are the damaged records that were met, each once."""

    def __init__(self, database: Database, genesis_raw: bytes) -> None:
        """Nothing is read yet. The store holds no genesis document, only its hash: it is given."""
        self._database = database
        self._genesis_raw = genesis_raw
        self._found: dict[tuple[str, int | None], Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the records themselves, in the order in which it was met."""
        return tuple(self._found.values())

    @property
    def database(self) -> Database:
        """The database that is read."""
        return self._database

    def node(self) -> str | None:
        """The node whose store this is; None where the store doesn't say."""
        raw = self._payload(meta_key("node"), None)
        return None if raw is None else raw.decode("ascii", "replace")

    def check_network(self) -> None:
        """Note it as a finding where the store is of another network than the genesis document."""
        found = self._payload(meta_key("network"), None)
        expected = network_id_of(self._genesis_raw)
        if found != expected:
            said = "nothing" if found is None else found.hex()
            self._note("store_network_differs", None, f"the store's network is {said}, not {expected.hex()}")

    def check_evidence(self) -> None:
        """Note every piece of evidence that isn't what was kept: its key holds its hash."""
        for key, raw in self.scan(EVIDENCE):
            if key[-HASH_BYTES:] not in [tagged_hash(tag, raw) for tag in EVIDENCE_TAGS]:
                height = int.from_bytes(key[len(EVIDENCE) : -HASH_BYTES], "big")
                self._note("evidence_corrupt", height, "a piece of evidence isn't what its key names")

    def genesis(self) -> bytes:
        """The genesis document's bytes."""
        return self._genesis_raw

    def tip(self) -> int:
        """The executed height or, where the row that says it is damaged, the highest sealed one."""
        try:
            return load_progress(self).height
        except (Malformed, StateCorrupted) as error:
            self._note("progress_malformed", None, f"the row of the executed height can't be read: {error}")
        for key, _ in self._database.scan(SEAL, _end(SEAL), reverse=True):
            return int.from_bytes(key[1:], "big")
        return 0

    def block(self, height: int) -> bytes | None:
        """The block of a height, without the byte that says which type of log entry it is."""
        payload = self._payload(block_key(height), height)
        return None if payload is None else payload[1:]

    def certificate(self, height: int) -> bytes | None:
        """The certificate kept for a height."""
        return self._payload(certificate_key(height), height)

    def own_seal(self, height: int) -> tuple[bytes, bytes] | None:
        """The seal that the store's own node signed, and its signature."""
        payload = self._payload(seal_key(height), height)
        if payload is None:
            return None
        try:
            return codec.decode(payload, tuple[bytes, bytes])
        except Malformed as error:
            self._note("own_seal_malformed", height, f"the node's own seal can't be read: {error}")
            return None

    def get(self, key: bytes) -> bytes | None:
        """The row at a key."""
        return self._database.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with a prefix, in the order of their keys."""
        return self._database.scan(prefix, _end(prefix))

    def _payload(self, key: bytes, height: int | None) -> bytes | None:
        """A record's payload.

        With a bad checksum it is noted and given all the same: the audit says what it is.
        """
        raw = self._database.get(key)
        if raw is None:
            return None
        try:
            return unpack_record(key, raw, height).payload
        except CorruptRecord as error:
            self._note("record_corrupt", height, str(error).split(";", 1)[0])
            return raw[HEADER_BYTES:]

    def _note(self, code: str, height: int | None, what: str) -> None:
        self._found.setdefault((code, height), Finding(code, height, None, what))


def check_not_in_use(path: Path) -> None:
    """Raise StoreMissing where there is no store, StoreInUse where a process has it open; changes nothing."""
    if not (path / "CURRENT").is_file():
        raise StoreMissing(f"there is no store at {path}. Give the `data` folder of a node, or a copy of it.")
    try:
        with (path / "LOCK").open("rb") as lock:
            fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        # A copy may lack the file: then nobody has it open either.
        return
    except OSError as error:
        raise StoreInUse(
            f"the store at {path} is in use: a node writes to it. Stop that node, or audit a copy made "
            "while it was stopped."
        ) from error


def _end(prefix: bytes) -> bytes:
    """The first key after all with this prefix; no prefix in use ends in 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
