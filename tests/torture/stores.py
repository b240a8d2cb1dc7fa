"""What the stopped nodes' stores say of a history: an audit of each, and every payment in its one place.

It must not know how the history came about.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cli.audit_run import sharing
from ledger import codec
from ledger.audit import audit
from ledger.audit_report import Finding
from ledger.outcome import Outcome
from ledger.records import HISTORY_PREFIX, HistoryRow
from node.audit_source import AuditSource
from node.disk import LevelDatabase
from node.pruned_audit import audit_pruned
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

UNCERTIFIED = "not_certified"
"""A store that has forgotten blocks can't be proved above its newest certificate, which is no fault of it."""


def inspect(store: Path, genesis: bytes, node: str) -> Inspected:
    """Audit a stopped node's store and read all of it; a copy is read, the store stays as it is."""
    copy = store.with_name("inspected")
    shutil.copytree(store, copy)
    try:
        with closing(LevelDatabase(copy, create=False)) as database:
            source = AuditSource(database, genesis)
            source.check_network()
            found = [f"{node}: {finding}" for finding in (*_audited(source, genesis, node), *source.findings)]
            return Inspected(node, found, source.tip(), _happened(source))
    finally:
        shutil.rmtree(copy)


def _audited(source: AuditSource, genesis: bytes, node: str) -> list[Finding]:
    """What an audit finds: a replay of all blocks, or a proof of the rows where blocks are forgotten."""
    pruned = audit_pruned(source.database, genesis, node)
    if pruned is not None:
        return [finding for finding in pruned.findings if finding.code != UNCERTIFIED]
    with sharing(AUDIT_WORKERS) as verify:
        return list(audit(source, own_node=node, verify=verify).findings)


def _happened(source: AuditSource) -> Happened:
    happened: defaultdict[str, list[tuple[Place, Fate]]] = defaultdict(list)
    for key, raw in source.scan(HISTORY_PREFIX):
        row = codec.decode(raw, HistoryRow)
        fate = FATES.get(row.outcome)
        if fate is not None and row.consumed:
            place = int.from_bytes(key[1:7], "big"), int.from_bytes(key[7:], "big")
            happened[format_tx_id(row.consumed[0].tx_id)].append((place, fate))
    return happened


def contradictions(inspected: Inspected, payments: Sequence[Paid]) -> Iterator[str]:
    """Payments of which this store says otherwise than their payers were told; it may end before them."""
    for paid in payments:
        if paid.place is not None and paid.place[0] > inspected.tip:
            continue
        wrong = contradicts_store(paid, inspected.happened.get(paid.tx_id, ()))
        if wrong is not None:
            yield f"{inspected.node}: {wrong}"
