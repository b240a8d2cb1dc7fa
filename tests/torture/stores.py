"""What the stopped nodes' stores say of a history: an audit of each, and every payment in its one place.

It must not know how the history came about.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.audit_run import sharing
from ledger import codec
from ledger.audit import audit
from ledger.block import decode_block
from ledger.envelope import MAX_SIGNERS, EnvelopeLimits, decode_envelope
from ledger.outcome import Outcome
from ledger.parameters import PARAMETER_RANGES
from ledger.records import HistoryRow, history_row_key
from node.audit_source import AuditSource
from node.disk import LevelDatabase
from tests.torture.checks import contradicts_store
from tests.torture.history import Fate, Paid, Place
from wallet.ids import format_tx_id

AUDIT_WORKERS = 2
Happened = Mapping[str, Sequence[tuple[Place, Fate]]]
"""By id, every place where a transaction took effect or was refused for its debtor's balance."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What one node's store says: what an audit finds, up to which height it goes, and what happened."""

    node: str
    findings: Sequence[str]
    tip: int
    happened: Happened

    def until(self, height: int) -> Happened:
        """What happened up to a height."""
        found = {
            tx_id: [(place, fate) for place, fate in places if place[0] <= height]
            for tx_id, places in self.happened.items()
        }
        return {tx_id: places for tx_id, places in found.items() if places}


FATES: Mapping[int, Fate] = {Outcome.EXECUTED: Fate.EXECUTED, Outcome.INSUFFICIENT_FUNDS: Fate.SHORT}
"""What a payer may be told of a payment by the chain."""

_WIDEST = EnvelopeLimits(envelope_bytes=PARAMETER_RANGES["envelope_bytes"][1], signers=MAX_SIGNERS)


def inspect(store: Path, genesis: bytes, node: str) -> Inspected:
    """Audit a stopped node's store and read all of it; a copy is read, the store stays as it is."""
    copy = store.with_name("inspected")
    shutil.copytree(store, copy)
    try:
        with contextlib.closing(LevelDatabase(copy, create=False)) as database:
            source = AuditSource(database, genesis)
            source.check_network()
            with sharing(AUDIT_WORKERS) as verify:
                report = audit(source, own_node=node, verify=verify)
            found = [f"{node}: {finding}" for finding in (*source.findings, *report.findings)]
            return Inspected(node, found, source.tip(), _happened(source))
    finally:
        shutil.rmtree(copy)


def _happened(source: AuditSource) -> Happened:
    happened: defaultdict[str, list[tuple[Place, Fate]]] = defaultdict(list)
    for height in range(1, source.tip() + 1):
        block = source.block(height)
        for index, raw in enumerate(() if block is None else decode_block(block).body):
            fate = _fate(source, height, index)
            if fate is not None:
                tx_id = format_tx_id(decode_envelope(raw, _WIDEST).payload.tx_id)
                happened[tx_id].append(((height, index), fate))
    return happened


def _fate(source: AuditSource, height: int, index: int) -> Fate | None:
    row = source.get(history_row_key(height, index))
    return None if row is None else FATES.get(codec.decode(row, HistoryRow).outcome)


def contradictions(inspected: Inspected, payments: Sequence[Paid]) -> Iterator[str]:
    """Payments of which this store says otherwise than their payers were told; it may end before them."""
    for paid in payments:
        if paid.place is not None and paid.place[0] > inspected.tip:
            continue
        wrong = contradicts_store(paid, inspected.happened.get(paid.tx_id, ()))
        if wrong is not None:
            yield f"{inspected.node}: {wrong}"
