"""The audit of a store that doesn't hold all blocks any more: its rows are proved, as it can't be replayed.

Every row is held against a certificate that leads back to genesis, as a snapshot's are. What was in blocks
whose bodies are gone (signatures, and whether rules led from one to the other) can't be checked here. It must
not know who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from ledger.audit import other_genesis
from ledger.audit_report import AuditReport, Finding
from ledger.codec import Malformed, decode
from ledger.handovers import HandoverMissing
from ledger.records import ACCOUNT_PREFIX, REGISTRY_PREFIX, Account
from ledger.registry import RegistryIncomplete, load_registry
from ledger.rules.base import InvariantViolated
from ledger.rules.v1.invariants import check_whole
from ledger.snapshot import ACCOUNTS, SnapshotInvalid
from ledger.snapshot_proof import SnapshotProof
from ledger.state import load_progress
from node.ports import Database
from node.records import CorruptRecord, meta_key
from node.snapshot_export import Exported, prove_exported, section_items
from node.store import PRUNED, Store, WrongStore

ROWS_AT_ONCE = 1_000


def audit_pruned(
    database: Database,
    genesis_raw: bytes,
    node_id: str,
    *,
    network_id: bytes | None = None,
    rehearsal: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditReport | None:
    """What proving a store's rows came to; None for one that holds all blocks, which is to be replayed.

    `network_id` is the one to trust, where it is known; `rehearsal`: the store is a copy of a drill, above a
    recovery that was rehearsed on it; `progress(done, total)` counts accounts and blocks.
    """
    if database.get(meta_key(PRUNED)) is None:
        return None
    other = other_genesis(genesis_raw, network_id)
    found = _Found(findings=[] if other is None else [other])
    try:
        store = Store.open(database, genesis_raw, node_id)
        found.pruned = store.pruned
        _prove(database, store, found, rehearsal, progress)
        found.supply = check_whole(decode(row, Account) for _, row in store.scan(ACCOUNT_PREFIX))
        found.scales = load_registry(store.scan(REGISTRY_PREFIX)).scales
    except (SnapshotInvalid, Malformed, RegistryIncomplete) as error:
        found.add("rows_unproved", found.tip, str(error))
    except HandoverMissing as error:
        found.add("handover_missing", error.height, str(error))
    except CorruptRecord as error:
        found.add("record_corrupt", error.height, str(error).split(";", 1)[0])
    except WrongStore as error:
        found.add("store_differs", None, str(error))
    except InvariantViolated as error:
        found.add("invariant_broken", found.tip, str(error))
    return found.report()


@dataclass(slots=True)
class _Found:
    """What a running audit has counted and found so far."""

    tip: int = 0
    pruned: int = 0
    certified: int = 0
    blocks: int = 0
    rows: int = 0
    supply: dict[str, int] = field(default_factory=dict)
    scales: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, height: int | None, what: str) -> None:
        self.findings.append(Finding(code, height, None, what))

    def report(self) -> AuditReport:
        return AuditReport(
            findings=tuple(self.findings),
            findings_omitted=0,
            tip=self.tip,
            replayed=0,
            certified=self.certified,
            blocks=self.blocks,
            payments=0,
            transactions=0,
            signatures=0,
            certificates=1 if self.certified else 0,
            own_seals=0,
            rows=self.rows,
            supply=self.supply,
            positions={},
            issued={},
            scales=self.scales,
            pruned=self.pruned,
        )


def _prove(
    database: Database,
    store: Store,
    found: _Found,
    rehearsal: bool,
    progress: Callable[[int, int], None],
) -> None:
    found.tip, sections = section_items(database)
    manifest = prove_exported(store, Exported(found.tip, ()))
    if manifest is None:
        found.add(
            "not_certified", found.tip, "no certificate covers the newest block: its rows prove nothing"
        )
        return
    proof = SnapshotProof(store.genesis_raw, manifest, rehearsal=rehearsal)
    accounts, total = 0, load_progress(store).account_count + found.tip
    for name, items in sections.items():
        while portion := list(islice(items, ROWS_AT_ONCE)):
            taken = proof.take(name, portion)
            found.blocks += len(taken.blocks)
            found.rows += len(taken.rows)
            accounts += len(portion) if name == ACCOUNTS else 0
            progress(accounts + found.blocks, total)
            for key, row in taken.rows.items():
                if database.get(key) != row:
                    found.add("row_differs", None, f"row {key.hex()} is not what the proved rows lead to")
    for key, row in proof.finish().items():
        if database.get(key) != row:
            found.add("row_differs", found.tip, f"row {key.hex()} is not what the proved rows lead to")
    found.certified = found.tip
