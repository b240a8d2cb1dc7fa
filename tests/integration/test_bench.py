"""`nostro bench` on a real node, as small as it goes: every figure is there, and every phase is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import root
from cli.progress import Lines

pytestmark = pytest.mark.processes
SMALLEST = {
    "nodes": 1,
    "accounts": 2,
    "payments": 5,
    "latency-payments": 3,
    "half-load-seconds": 1,
    "batch": 2,
    "in-flight": 1,
}


def test_every_phase_is_measured_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts, signing, one by one, full and half load: each tells how far it is, to its end."""
    told: dict[str, tuple[int, int]] = {}

    def note(lines: Lines, done: int, total: int) -> None:
        told[lines._label] = done, total

    monkeypatch.setattr(Lines, "report", note)
    options = [f"--{name}={value}" for name, value in SMALLEST.items()]
    result = CliRunner().invoke(root, ["bench", *options, f"--dir={tmp_path / 'net'}", "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["settings"]["payments"] == 5
    ended = {label for label, (done, total) in told.items() if done == total}
    assert ended == {
        "keystores written",
        "accounts opened, then funded",
        "payments signed",
        "payments one at a time",
        "payments at full load",
        "payments at half load",
    }
    assert told["payments one at a time"] == (3, 3)
    assert told["payments at full load"] == (5, 5)
