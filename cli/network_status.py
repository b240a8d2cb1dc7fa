"""`nostro network status`: every node of a network's folder in one table.

It must not know how a node works.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli import output
from cli.background import ask_all, folder_argument, nodes_of
from cli.errors import CommandError
from cli.exits import Exit
from node import background
from node.certificates import EXPIRY_WARNING_DAYS
from node.provision import load_network

if TYPE_CHECKING:
    from pathlib import Path

    from node.background import BackgroundNode
    from node.report import NodeReport

COLUMNS = (
    "NODE", "PID>", "UP>", "ROLE", "TERM>", "HEIGHT>", "CERTIFIED>", "LAG>", "READY", "CERT DAYS>",
)  # fmt: skip
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@click.command()
@folder_argument
@output.json_option
def status(folder: Path) -> None:
    """Show the nodes of FOLDER: process, role, heights, readiness, and days left of certificates.

    HEIGHT is the newest executed block, LAG how many blocks a node is behind the furthest one, CERT
    DAYS how many are left until the first of the node's own certificates expires.
    """
    network = load_network(folder)
    nodes = nodes_of(network)
    reports = asyncio.run(ask_all(network))
    furthest = max((report.executed_height for report in reports.values() if report), default=0)
    documents = [_document(node, reports[node.id], furthest) for node in nodes]
    out = output.current()
    out.result({"nodes": documents}, lambda: out.table(COLUMNS, [_row(each) for each in documents]))
    tell_warnings(out, documents)
    if not any(each["ready"] for each in documents):
        raise CommandError(
            "No node is ready: payments wait.",
            f"Start what is down with `nostro network up {folder}`; more than half must run.",
            Exit.UNREACHABLE,
        )


def _document(node: BackgroundNode, report: NodeReport | None, furthest: int) -> dict[str, Any]:
    """One node for programs; what isn't known is None."""
    process = background.running(node)
    found: dict[str, Any] = {
        "node": node.id,
        "pid": process.pid if process else None,
        "up_ms": None,
        "answers": report is not None,
        "ready": report is not None and report.not_ready is None,
        "exit_code": background.exit_code(node) if process is None else None,
    }
    if report is not None:
        found |= {
            **msgspec.to_builtins(report),
            "part": report.part,
            "up_ms": report.time_ms - report.started_ms,
            "lag_blocks": furthest - report.executed_height,
        }
    elif process is not None:
        found["up_ms"] = time.time_ns() // 1_000_000 - process.started_ms
    return found


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    pid, since = each["pid"] or "-", duration(each["up_ms"])
    if not each["answers"]:
        return (each["node"], pid, since, "no answer" if each["pid"] else "down", *[""] * 4, "no", "")
    days = min(left for name, left in each["certificate_days"].items() if name != "ca")
    return (
        *(each["node"], pid, since, each["part"], each["term"]),
        *(each["executed_height"], each["certified_height"], each["lag_blocks"]),
        *("yes" if each["ready"] else "no", f"{days:.0f}"),
    )


def tell_warnings(out: output.Output, documents: list[dict[str, Any]]) -> None:
    """In words: why a node isn't ready, and what soon expires."""
    for each in documents:
        if not each["answers"]:
            if each["exit_code"]:
                out.warn(f"{each['node']} ended with code {each['exit_code']}: its log says why.")
            continue
        if not each["ready"]:
            out.warn(f"{each['node']} is not ready: {each['not_ready']}.")
        if each["missing_rules"]:
            height, rules = each["missing_rules"]
            out.warn(
                f"{each['node']} lacks rules {rules}, and stops before block {height:,}: install a newer "
                "version."
            )
        for name, days in each["certificate_days"].items():
            if days < EXPIRY_WARNING_DAYS:
                when = f"expires in {days:.0f} days" if days >= 0 else f"expired {-days:.0f} days ago"
                out.warn(f"{each['node']}: certificate {name} {when}; see `nostro network renew`.")


def duration(ms: int | None) -> str:
    """A time span in its two largest units; `-` where it isn't known."""
    if ms is None:
        return "-"
    seconds = ms // 1_000
    if seconds < MINUTE_S:
        return f"{seconds}s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S}m{seconds % MINUTE_S:02}s"
    if seconds < DAY_S:
        return f"{seconds // HOUR_S}h{seconds % HOUR_S // MINUTE_S:02}m"
    return f"{seconds // DAY_S}d{seconds % DAY_S // HOUR_S:02}h"
