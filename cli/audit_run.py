"""Carries an audit out: copies the store, spreads signatures over processes, shows progress.

It must not know what is checked, nor how the report is shown.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit
from cli.progress import progress
from ledger.audit import audit, verify_here
from node.audit_source import AuditSource, check_not_in_use
from node.disk import CorruptStore, LevelDatabase
from node.pruned_audit import audit_pruned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.audit_report import AuditReport, Check, Verify

# So few signatures are verified sooner here than processes are started.
LEAST_TO_SHARE = 500


@dataclass(frozen=True, slots=True)
class Task:
    """What to audit.

    `trusted` is the network id, where it is known from elsewhere; `scratch` holds the copy. `rehearsal` is
    for the copies of a drill.
    """

    store: Path
    genesis: bytes
    trusted: bytes | None
    workers: int
    scratch: Path | None
    rehearsal: bool = False


def run(task: Task) -> tuple[AuditReport, str | None]:
    """The report, and the node whose store it is. Raises CommandError, StoreError, OSError."""
    check_not_in_use(task.store)
    with tempfile.TemporaryDirectory(prefix="nostro-audit-", dir=task.scratch) as folder:
        copy = Path(folder) / "store"
        _copy(task.store, copy)
        try:
            with contextlib.closing(LevelDatabase(copy, create=False)) as database:
                return _audit(task, AuditSource(database, task.genesis))
        except CorruptStore as error:
            raise CommandError(
                f"The store at {task.store} is damaged below its records, so it can't be audited: {error}",
                "Keep it as it is for inquiry, and audit another bank's store.",
                Exit.VIOLATION,
            ) from error


def _copy(store: Path, copy: Path) -> None:
    total = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    copied = 0
    with progress("bytes copied") as report_progress:

        def copy_file(source: str, target: str) -> None:
            nonlocal copied
            shutil.copy2(source, target)
            copied += Path(target).stat().st_size
            report_progress(copied, total)

        shutil.copytree(store, copy, copy_function=copy_file)


def _audit(task: Task, source: AuditSource) -> tuple[AuditReport, str | None]:
    source.check_network()
    source.check_evidence()
    node = source.node()
    with progress("accounts and blocks proved") as report_progress:
        pruned = audit_pruned(
            source.database,
            task.genesis,
            node or "",
            network_id=task.trusted,
            rehearsal=task.rehearsal,
            progress=report_progress,
        )
    if pruned is not None:
        return replace(pruned, findings=(*source.findings, *pruned.findings)), node
    with sharing(task.workers) as verify, progress("blocks audited") as report_progress:
        report = audit(
            source, network_id=task.trusted, own_node=node, verify=verify, progress=report_progress
        )
    return replace(report, findings=(*source.findings, *report.findings)), node


@contextlib.contextmanager
def sharing(workers: int) -> Iterator[Verify]:
    """A verifier that spreads many signatures over `workers` processes, started when first needed."""
    with contextlib.ExitStack() as stack:
        pools: list[ProcessPoolExecutor] = []

        def verify(checks: Sequence[Check]) -> Sequence[int]:
            if workers == 1 or len(checks) < LEAST_TO_SHARE:
                return verify_here(checks)
            if not pools:
                context = multiprocessing.get_context("spawn")
                pools.append(stack.enter_context(ProcessPoolExecutor(workers, mp_context=context)))
            return share(pools[0], checks, workers)

        yield verify


def share(pool: ProcessPoolExecutor, checks: Sequence[Check], workers: int) -> list[int]:
    """The positions of the checks that fail, each process verifying one stretch of them."""
    length = -(-len(checks) // workers)
    starts = range(0, len(checks), length)
    failed = pool.map(verify_here, [checks[start : start + length] for start in starts])
    return [start + position for start, found in zip(starts, failed, strict=True) for position in found]
