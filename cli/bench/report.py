"""A benchmark's figures as a JSON document and as lines for a person.

Pure; it must not know how anything was measured.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import mean
from typing import Any

from cli.bench.measure import Latency
from cli.bench.run import Figures


def limit_per_second(cores: int, nodes: int, verify_us: float) -> float:
    """What the signatures alone allow: every node verifies every payment once, and all share the cores."""
    return cores / (nodes * verify_us * 1e-6)


def to_document(figures: Figures, cores: int) -> dict[str, Any]:
    """The document of `nostro bench --json`. Latencies in milliseconds, memory in MiB, cpu in cores."""
    verify_us = mean(figures.verify_us)
    limit = limit_per_second(cores, figures.settings.nodes, verify_us)
    throughput = figures.throughput
    return {
        "payments_per_second": round(throughput.slowest, 1),
        "payments_per_second_by_node": _rounded(throughput.payments_per_second, 1),
        "verify_us": round(verify_us, 1),
        "verify_us_samples": [round(sample, 1) for sample in figures.verify_us],
        "limit_per_second": round(limit, 1),
        "share_of_limit": round(throughput.slowest / limit, 3),
        "latency": asdict(figures.one_at_a_time),
        "half_load": {"payments_per_second": round(figures.half_load_rate, 1), **asdict(figures.half_load)},
        "rss_mb": {node: round(size / 2**20, 1) for node, size in figures.rss.items()},
        "cpu": throughput.cpu,
        "reopen_seconds": _rounded(figures.reopen_seconds, 2),
        "settings": {**asdict(figures.settings), "cores": cores, "tls": True, "synced_writes": True},
    }


def to_lines(figures: Figures, cores: int) -> list[tuple[str, str]]:
    """The same for a person, as names and values."""
    document = to_document(figures, cores)
    return [
        ("payments a second (slowest node)", f"{document['payments_per_second']:,.0f}"),
        ("one verification", f"{document['verify_us']:.1f} µs"),
        ("limit set by signatures", f"{document['limit_per_second']:,.0f} a second"),
        ("share of that limit", f"{document['share_of_limit']:.0%}"),
        ("latency, one at a time", _latency(figures.one_at_a_time)),
        (f"latency at {figures.half_load_rate:,.0f} a second", _latency(figures.half_load)),
        ("memory", _by_process(document["rss_mb"], "MiB")),
        ("processor", _by_process(document["cpu"], "cores")),
        ("reopened in", _by_process(document["reopen_seconds"], "s")),
    ]


def _latency(sample: Latency) -> str:
    return f"p50 {sample.p50_ms:.1f} ms, p95 {sample.p95_ms:.1f} ms, p99 {sample.p99_ms:.1f} ms"


def _by_process(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value} {unit}" for name, value in values.items())


def _rounded(values: dict[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}
