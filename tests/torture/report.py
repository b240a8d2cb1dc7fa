"""A run in a table for people, and in JSON for programs.

It must not know how any of it came about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.torture.campaign import Outcome, Round
from tests.torture.history import Fate, History

HEAD = ("NEMESIS", "TIMES", "SECONDS", "PAYMENTS", "SILENCE", "LIVE AFTER", "VIOLATIONS")
FACILITIES = "links: a cutting proxy (a lost packet is a stall); "
BELOW = "disk and clock: a preloaded library"
NOT_BELOW = "disk and clock: left out, there is no C compiler"


def as_json(outcome: Outcome, replay: str) -> dict[str, Any]:
    """Everything that a program may want to know; times in seconds."""
    history = outcome.history
    return {
        "seed": outcome.plan.seed,
        "nodes": outcome.plan.nodes,
        "replay": replay,
        "means": means(outcome),
        "payments": {fate.value: len(history.with_fate(fate)) for fate in Fate},
        "strong_reads": len(history.reads),
        "unanswered_reads": outcome.rejected_reads,
        "sums_checked": outcome.snapshots,
        "nemeses": [dict(zip(HEAD, row, strict=True)) for row in _rows(outcome)],
        "rounds": [
            {field: getattr(round_, field) for field in Round.__struct_fields__} for round_ in outcome.rounds
        ],
        "violations": [
            {"promise": violation.promise, "what": violation.what, "at_s": violation.at_s}
            for violation in history.violations
        ],
    }


def as_table(outcome: Outcome) -> str:
    """A line a nemesis, what was checked, and every violation."""
    history, rows = outcome.history, [HEAD, *_rows(outcome)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    fates = ", ".join(f"{len(history.with_fate(fate)):,} {fate}" for fate in Fate)
    lines = [
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
        "",
        f"payments: {fates}",
        f"strong reads: {len(history.reads):,} ({outcome.rejected_reads:,} times nobody answered); "
        f"sums at one height: {outcome.snapshots:,}",
        means(outcome),
        f"violations: {len(history.violations)}",
        *(f"  {violation.promise}: {violation.what}" for violation in history.violations),
    ]
    return "\n".join(lines)


def means(outcome: Outcome) -> str:
    """By what means the faults were made."""
    return FACILITIES + (BELOW if outcome.below else NOT_BELOW)


def _rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """A row for each nemesis, with those of its strikes in which a mild one joined."""
    for name in sorted({_leader(round_) for round_ in outcome.rounds}):
        rounds = [round_ for round_ in outcome.rounds if _leader(round_) == name]
        live = [round_.live_after_s for round_ in rounds if round_.live_after_s is not None]
        yield (
            name,
            str(len(rounds)),
            f"{sum(round_.ended_s - round_.started_s for round_ in rounds):.0f}",
            f"{sum(round_.payments for round_ in rounds):,}",
            f"{max(round_.silence_s for round_ in rounds):.1f} s",
            f"{max(live):.1f} s" if len(live) == len(rounds) else "never",
            str(sum(_violations(outcome.history, round_) for round_ in rounds)),
        )


def _leader(round_: Round) -> str:
    return round_.nemesis.rpartition(" + ")[2]


def _violations(history: History, round_: Round) -> int:
    """How many violations were seen in a round; those that only the end showed are in none."""
    moments = [violation.at_s for violation in history.violations if violation.at_s is not None]
    return sum(round_.started_s <= moment <= round_.ended_s for moment in moments)
