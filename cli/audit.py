"""`nostro audit`: replay a whole chain from a node's store and check everything it claims, offline.

LevelDB writes to a store whenever it opens it, so the audit works on a copy of its own and never touches what
it was given. It must not know how a chain is checked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import network_folder, output
from cli.errors import CommandError
from cli.exits import Exit
from cli.network_id import parse_network_id, read_genesis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.audit_report import AuditReport, Finding

MOST_WORKERS = 64
SHOWN_FINDINGS = 50


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--network-id", metavar="HEX", help="The network's id, if you have it from elsewhere: trusted alone."
)
@click.option(
    "--genesis",
    type=click.Path(path_type=Path),
    help="The genesis document.  [default: genesis.bin beside STORE, or in the network's folder]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=lambda: min(os.cpu_count() or 1, MOST_WORKERS),
    show_default="the processors",
    help="Processes that verify signatures.",
)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    help="Where the copy is made.  [default: the temporary folder]",
)
@network_folder.network_option(network_folder.GENESIS_FOLDER)
@output.json_option
def audit(
    store: Path,
    network_id: str | None,
    genesis: Path | None,
    workers: int,
    scratch: Path | None,
    folder: Path | None,
) -> None:
    """Check a whole chain offline, in a copy of a node's store.

    STORE is the `data` folder of a node that is stopped, or a copy of one. It is copied, and the copy is
    read: the store itself is never written to.
    """
    from cli.audit_run import Task, run

    trusted = None if network_id is None else parse_network_id(network_id)
    document = read_genesis(_genesis_of(store, genesis, folder))
    report, node = run(Task(store, document, trusted, workers, scratch))
    show(store, report, node, document)


def _genesis_of(store: Path, given: Path | None, folder: Path | None) -> Path:
    """The genesis document: as given, in the store or beside it, or in the network's folder."""
    found = network_folder.find_genesis(given, folder, (store, store.absolute().parent))
    if found is None:
        raise CommandError(
            f"There is no genesis document beside {store}.",
            "Name it with --genesis FILE; every bank has it.",
            Exit.USAGE,
        )
    return found


def show(store: Path, report: AuditReport, node: str | None, genesis_raw: bytes) -> None:
    """Say what was checked and what was found; end with 10 where anything was."""
    out = output.current()
    document = describe(store, report, node, genesis_raw)
    out.result(document, lambda: _print(out, document, report))
    if not report.clean:
        out.say(f"{_count(report)} found. The store is evidence: keep it as it is.")
        click.get_current_context().exit(int(Exit.VIOLATION))
    out.say("Nothing wrong was found.")
    if report.pruned:
        out.say(
            f"The transactions of blocks up to {report.pruned:,} are not held here. So no block was replayed "
            "and no payment's signature checked; every row was proved against the certificate instead."
        )
    if report.certified < report.tip:
        out.say(
            f"No quorum has certified anything above block {report.certified:,} here: it is this node's word."
        )


def describe(store: Path, report: AuditReport, node: str | None, genesis_raw: bytes) -> dict[str, Any]:
    """The report for programs; amounts as decimal strings in each asset's decimals."""
    from ledger.amounts import format_amount
    from ledger.genesis import network_id

    def shown(asset: str, amount: int) -> str:
        return (
            format_amount(amount, report.scales[asset]) if asset in report.scales else f"{amount} minor units"
        )

    return {
        "store": str(store),
        "node": node,
        "network_id": network_id(genesis_raw).hex(),
        "clean": report.clean,
        "tip": report.tip,
        "replayed": report.replayed,
        "pruned": report.pruned,
        "certified": report.certified,
        "checked": {
            name: getattr(report, name)
            for name in (
                "blocks",
                "transactions",
                "payments",
                "signatures",
                "certificates",
                "own_seals",
                "rows",
            )
        },
        "supply": {asset: shown(asset, amount) for asset, amount in report.supply.items()},
        "issued": {asset: shown(asset, amount) for asset, amount in report.issued.items()},
        "net_positions": {
            asset: {member: shown(asset, amount) for member, amount in sorted(positions.items())}
            for asset, positions in report.positions.items()
        },
        "findings": [_finding(finding) for finding in report.findings],
        "findings_omitted": report.findings_omitted,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    found = {"code": finding.code, "block": finding.height, "index": finding.index, "what": finding.what}
    return {name: value for name, value in found.items() if value is not None}


def _print(out: output.Output, document: dict[str, Any], report: AuditReport) -> None:
    checked = [(name.replace("_", " "), f"{number:,}") for name, number in document["checked"].items()]
    head = (("node", document["node"] or "unknown"), ("network id", document["network_id"]))
    reach = (
        ("replayed", f"{report.replayed:,} of {report.tip:,} blocks"),
        ("certified", f"up to block {report.certified:,}"),
    )
    out.fields((*head, *reach, *checked))
    for asset, amount in document["supply"].items():
        out.fields(((f"supply {asset}", amount),))
    rows = list(_positions(document))
    if rows:
        out.data("")
        out.table(("ASSET", "MEMBER", "NET POSITION>"), rows)
    if report.findings:
        out.data("")
        shown = report.findings[:SHOWN_FINDINGS]
        columns = ("FINDING", "BLOCK>", "INDEX>", "WHAT")
        out.table(columns, [(f.code, _cell(f.height), _cell(f.index), f.what) for f in shown])


def _positions(document: dict[str, Any]) -> Iterator[Sequence[str]]:
    for asset, positions in document["net_positions"].items():
        for member, amount in positions.items():
            yield asset, member, amount


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)


def _count(report: AuditReport) -> str:
    number = len(report.findings) + report.findings_omitted
    return "1 violation was" if number == 1 else f"{number:,} violations were"
