"""One bit of one record, of every kind and in every class of place: found at the start or by the audit, and
mended from the others or refused.

`TABLE` is what docs/operating.md says of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from functools import partial
from pathlib import Path

import pytest

from consensus.messages import Entry
from ledger.audit import audit
from ledger.keys import tagged_hash
from ledger.state import State
from ledger.view import StateCorrupted
from node.audit_source import AuditSource
from node.disk import LevelDatabase
from node.records import CorruptRecord, block_key
from node.repair import Helpers, open_repaired
from node.store import LogWrite, Store
from tests.simulation.cluster.repairs import ask_running
from tests.unit.node.harness import ManualPorts, Network

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
VICTIM = "n2"
EVIDENCE = b"two seals"
Rows = dict[bytes, bytes]


class Fate(Enum):
    """What becomes of a store in which a bit of a record is flipped, in the words of the table."""

    MENDED = "fetched from another node by its hash"
    REPLACED = "the log's end is replaced, up to a certificate that covers it"
    DROPPED = "dropped, and asked for again"
    REFUSED = "refused: comes back as a new node"
    STATE = "the state is replaced by another node's snapshot"
    AUDITED = "found by the audit"


TABLE: dict[str, tuple[bytes, set[Fate]]] = {
    "executed block": (b"B", {Fate.MENDED}),
    "block not yet executed": (b"B", {Fate.REPLACED}),
    "term and vote": (b"H", {Fate.REFUSED}),
    "header and seal of a block": (b"h", {Fate.REFUSED}),
    "own seal": (b"s", {Fate.REFUSED}),
    "certificate": (b"c", {Fate.DROPPED}),
    "terms that others led": (b"Mled/", {Fate.DROPPED}),
    "heights that others sealed": (b"Msealed/", {Fate.DROPPED}),
    "network and node": (b"Mn", {Fate.REFUSED}),
    "progress": (b"S", {Fate.STATE, Fate.AUDITED}),
    "account": (b"a", {Fate.STATE}),
    "registry value": (b"k", {Fate.STATE, Fate.AUDITED}),
    "registry tree": (b"n", {Fate.STATE, Fate.AUDITED}),
    "used id": (b"i", {Fate.AUDITED}),
    "history": (b"t", {Fate.AUDITED}),
    "evidence": (b"e", {Fate.AUDITED}),
}
"""By what a record is: how its key begins, and what becomes of it."""


class Stores:
    """The rows of a stopped node with all kinds of records; the others run."""

    def __init__(self) -> None:
        self.network = Network(3)
        self.leader = self.network.elect()
        if self.leader.id == VICTIM:
            self.leader.driver.hand_over("n0")
            self.network.tick(20)
            self.leader = self.network.nodes["n0"]
        self.grow(4)
        victim = self.network.nodes.pop(VICTIM)
        self.executed = victim.driver.executed_height
        self.grow(3)
        found = [self.leader.store.entry(self.executed + number) for number in (1, 2)]
        entries: tuple[Entry, ...] = tuple(entry for entry in found if entry is not None)
        victim.store.write_log([LogWrite(None, entries)])
        victim.store.write_evidence(1, tagged_hash("seal", EVIDENCE), EVIDENCE)
        self.rows = dict(victim.disk.durable)

    def grow(self, blocks: int) -> None:
        """More blocks, each opening an account."""
        for _ in range(blocks):
            height = self.leader.driver.executed_height
            raw = self.leader.bank.open_account("bank0", f"a{height}", height.to_bytes(16, "big"), (1, 2**62))
            self.leader.driver.submit(raw, lambda result: None)
            self.network.tick(2)

    def keys(self, what: str) -> list[bytes]:
        """The first, the middle and the last key of a class."""
        prefix = TABLE[what][0]
        found = sorted(key for key in self.rows if key.startswith(prefix))
        if prefix == b"B":
            first_unexecuted = block_key(self.executed + 1)
            found = [key for key in found if (key < first_unexecuted) == (what == "executed block")]
        return sorted({found[0], found[len(found) // 2], found[-1]})

    def open(self, database: LevelDatabase, log: ManualPorts) -> Store:
        """What a start makes of the victim's store after a first start met damage."""
        others = {id_: (node.driver, node.store) for id_, node in self.network.nodes.items()}
        opened = partial(Store.open, database, self.network.genesis_raw, VICTIM)
        State.open(opened(check_log=False))
        helpers = Helpers(ask_running(others), sorted(others), log)
        return asyncio.run(open_repaired(opened, helpers, whole=True))


@pytest.fixture(scope="module")
def stores() -> Stores:
    """One for all tests, which change copies."""
    return Stores()


def places(row: bytes) -> list[int]:
    """Checksum, height, term and the payload's first, middle and last byte, of a record that has them."""
    return sorted({place for place in (0, 4, 12, 20, (20 + len(row)) // 2, len(row) - 1) if place < len(row)})


def fate(stores: Stores, folder: Path, key: bytes, rows: Rows) -> Fate | None:
    """What becomes of these rows in a LevelDB, of which the one at `key` is damaged; None for nothing."""
    log = ManualPorts()
    with contextlib.closing(LevelDatabase(folder)) as database:
        database.write(rows, (), sync=True)
        try:
            stores.open(database, log)
        except CorruptRecord as error:
            return Fate.REFUSED if error.key == key else None
        except StateCorrupted:
            return Fate.STATE
        if log.logged("record_repaired"):
            assert database.get(key) == stores.rows[key]
            return Fate.MENDED
        if log.logged("log_repaired"):
            assert database.get(key) == stores.rows[key]
            return Fate.REPLACED
        if log.logged("record_dropped"):
            assert database.get(key) is None
            return Fate.DROPPED
        source = AuditSource(database, stores.network.genesis_raw)
        source.check_evidence()
        report = audit(source, own_node=VICTIM)
        return Fate.AUDITED if source.findings or report.findings else None


def test_what_is_not_damaged_has_no_fate(stores: Stores, tmp_path: Path) -> None:
    """The sound store opens, and its audit is clean."""
    assert fate(stores, tmp_path / "store", b"", stores.rows) is None


@pytest.mark.parametrize("what", TABLE)
def test_a_flipped_bit_of_a_record_is_never_passed_over(stores: Stores, tmp_path: Path, what: str) -> None:
    """Each class of record, in each class of place, meets the fates that the table says, and all of them."""
    seen = set()
    for number, key in enumerate(stores.keys(what)):
        row = stores.rows[key]
        for place in places(row):
            damaged = row[:place] + bytes([row[place] ^ 1 << place % 8]) + row[place + 1 :]
            found = fate(stores, tmp_path / f"{number}-{place}", key, {**stores.rows, key: damaged})
            assert found is not None, (key, place)
            seen.add(found)
    assert seen <= TABLE[what][1]
    assert seen


def test_the_operators_table_says_the_same() -> None:
    """docs/operating.md has a line for each class of record."""
    text = OPERATING.read_text(encoding="utf-8")
    for what, (_, fates) in TABLE.items():
        words = "; or ".join(fate.value for fate in Fate if fate in fates)
        assert f"| {what} | {words} |" in text
