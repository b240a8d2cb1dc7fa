"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
ORDERS = 600


def test_the_demonstration_kills_a_leader_and_loses_nothing(tmp_path: Path) -> None:
    """Every order settles though the leader dies, a second run pays nothing, and the audit finds nothing."""
    folder = tmp_path / "demo"
    arguments = ["scripts/demo.py", "--orders", str(ORDERS), "--dir", str(folder)]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is killed" in done.stderr
    assert "leads, " in done.stderr
    assert done.stderr.count(f"{ORDERS} of {ORDERS} orders settled") == 2
    assert f"({ORDERS} of them by an earlier run)" in done.stderr
    assert "Nothing wrong was found." in done.stderr
