"""The demonstration, as a newcomer runs it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli.settle.generator import COLUMNS, generate
from cli.settle.orders import Order

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
ORDERS = 600
SEED = 1


def test_the_demonstration_kills_a_leader_and_loses_nothing(tmp_path: Path) -> None:
    """Every order settles though the leader dies, a second run pays nothing, each store has it all once."""
    folder = tmp_path / "demo"
    total = str(sum(Decimal(row[COLUMNS.index("amount")]) for row in generate(ORDERS, SEED)))
    arguments = ["scripts/demo.py", "--orders", str(ORDERS), "--dir", str(folder), "--expect-total", total]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is killed" in done.stderr
    assert "leads, " in done.stderr
    assert done.stderr.count(f"{ORDERS} of {ORDERS} orders settled") == 2
    assert f"({ORDERS} of them by an earlier run)" in done.stderr
    assert done.stderr.count("Nothing wrong was found.") == 3
    assert done.stdout.count(f"{total} CZK issued and held") == 3


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def audit(payments: int = 4, supply: str = "30.00", issued: str = "30.00") -> dict[str, Any]:
    """What an audit of a store says that has two orders over 10.00 and 20.00."""
    return {
        "node": "home-1",
        "replayed": 9,
        "checked": {"payments": payments},
        "supply": {"CZK": supply},
        "issued": {"CZK": issued},
    }


TWO = tuple(Order(line, "", "home", "1", "ab", "2", 1000 * line, "") for line in (1, 2))


def test_the_total_that_is_expected_is_compared_with_the_chain_s(demo: ModuleType) -> None:
    """The same passes; one haler less fails and says both."""
    demo.check(audit(), TWO, 3000)
    demo.check(audit(), TWO, None)
    with pytest.raises(SystemExit, match=r"to come to 29\.99, not 30\.00"):
        demo.check(audit(), TWO, 2999)


@pytest.mark.parametrize("wrong", [{"payments": 5}, {"supply": "40.00"}, {"issued": "40.00"}])
def test_a_chain_that_has_more_than_the_file_fails_the_demonstration(
    demo: ModuleType, wrong: dict[str, Any]
) -> None:
    """A payment too many, or money too much."""
    with pytest.raises(SystemExit, match=r"the file has 2 orders over 30\.00"):
        demo.check(audit(**wrong), TWO, None)


def test_a_demonstration_that_misses_the_middle_fails(demo: ModuleType, tmp_path: Path) -> None:
    """Nobody is told of a killed leader when none was killed."""
    finished = threading.Event()
    finished.set()
    with pytest.raises(SystemExit, match="before the leader was killed"):
        demo.wait_for_middle(tmp_path / "journal", 1, finished)
    demo.wait_for_middle(tmp_path / "journal", 0, finished)
