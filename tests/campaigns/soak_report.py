"""A soak as lines for a person and as a JSON document.

Pure; it must not know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.campaigns.soak_book import Check, Minute, growth, verdict

MIB = 2**20
WORDS = {True: "holds", False: "FAILS", None: "not judged"}


def heading(processes: Sequence[str]) -> str:
    """The names of a minute's columns, with their units."""
    times = " ".join(f"{name:>7}" for name in ("p50 ms", "p95 ms", "p99 ms", "max ms", "late ms"))
    return f"minute payments {times}" + "".join(f"  {name:>24}" for name in processes)


def to_line(minute: Minute) -> str:
    """One minute under its heading: of each process its memory, what of it isn't files' pages, its store."""
    found = minute.latency
    times = (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms, minute.late_ms)
    waits = " ".join(f"{value:>7,.0f}" for value in times)
    return f"{minute.number:>6} {minute.payments:>8,} {waits}" + "".join(
        f"  {_memory(minute, name):>24}" for name in minute.rss
    )


def _memory(minute: Minute, name: str) -> str:
    memory = f"{minute.rss[name] / MIB:.1f} ({minute.anonymous[name] / MIB:.1f})"
    return f"{memory} {minute.stores[name] / MIB:,.0f}" if name in minute.stores else memory


def to_lines(minutes: Sequence[Minute], checks: Sequence[Check]) -> list[str]:
    """The table of all minutes, what was checked, and the verdict."""
    return [
        "memory in MiB (of it not pages of files), then the store in MiB",
        heading(list(minutes[0].rss)),
        *(to_line(minute) for minute in minutes),
        *(f"{WORDS[check.holds]}: {check.name}: {check.said}" for check in checks),
        f"verdict: {verdict(checks)}",
    ]


def to_document(
    settings: Mapping[str, int], minutes: Sequence[Minute], checks: Sequence[Check]
) -> dict[str, Any]:
    """The same for programs: latencies in milliseconds, memory and stores in bytes, growth as a share.

    `holds` and `growth` are null where the run was too short for them.
    """
    return {
        "settings": dict(settings),
        "minutes": [
            {
                "minute": minute.number,
                "payments": minute.payments,
                **{name: value for name, value in asdict(minute.latency).items() if name != "count"},
                "late_ms": round(minute.late_ms, 3),
                "rss_bytes": _whole(minute.rss),
                "anonymous_bytes": _whole(minute.anonymous),
                "store_bytes": dict(minute.stores),
            }
            for minute in minutes
        ],
        "growth": {name: growth([minute.rss[name] for minute in minutes]) for name in minutes[0].rss},
        "checks": [{"name": name, "holds": holds, "said": said} for name, holds, said in checks],
        "verdict": verdict(checks),
    }


def _whole(values: Mapping[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in values.items()}
