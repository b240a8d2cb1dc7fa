"""A short torture: nine kinds of fault, each once, and the proof that a broken promise would be found."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from cli.exits import Exit
from tests.torture.__main__ import main
from tests.torture.campaign import Plan, Round, run
from tests.torture.nemeses import NEMESES, Kind, Nemesis
from tests.torture.report import as_json, as_table
from tests.torture.stage import Stage

pytestmark = pytest.mark.processes

LONGEST_S = 600.0
PAYERS = 3
"""Half the usual: what is paid at once and lost makes the search for an order long, and the machine busy."""
ESSENTIAL = {
    "kill-leader", "pause-leader", "split-leader-off", "one-way", "loss", "full-disk", "slow-sync",
    "clock-skew", "flipped-bits",
}  # fmt: skip


def test_no_promise_breaks_under_any_fault(tmp_path: Path) -> None:
    """Nodes die, stand still, lose each other and their disks; nothing acknowledged is lost or done twice."""
    nemeses = [nemesis for nemesis in NEMESES if nemesis.name in ESSENTIAL]
    told: list[Round] = []
    plan = Plan(7, 3, LONGEST_S, nemeses, len(nemeses), (1, 2), calm_s=0.2, accompanied=0, payers=PAYERS)
    outcome = asyncio.run(run(plan, tmp_path, told.append))
    assert not outcome.history.violations, as_table(outcome)
    assert told == outcome.rounds
    struck = {round_.nemesis for round_ in outcome.rounds}
    assert struck == {nemesis.name for nemesis in nemeses if outcome.below or nemesis.kind is not Kind.BELOW}
    assert sum(round_.payments for round_ in outcome.rounds) > 0
    assert outcome.snapshots > 0
    report = as_json(outcome, "scripts/torture")
    assert {row["NEMESIS"] for row in report["nemeses"]} == struck
    assert report["payments"]["executed"] > 0
    assert not report["violations"]


@asynccontextmanager
async def _rolled_back(stage: Stage, random: Random) -> AsyncIterator[str]:
    """What no ledger survives: every bank's disk goes back to an earlier moment at once."""
    stage.kill(stage.nodes)
    stores = {stage.store(node): stage.store(node).with_name("earlier") for node in stage.nodes}
    for store, earlier in stores.items():
        shutil.copytree(store, earlier)
    stage.revive(stage.nodes)
    await stage.local.ready()
    yield "all stores go back"
    stage.kill(stage.nodes)
    for store, earlier in stores.items():
        shutil.rmtree(store)
        earlier.rename(store)
    stage.revive(stage.nodes)


def test_a_loss_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Were acknowledged payments lost, stores and the search would each say so, and the command with them."""
    short = ["--rounds", "1", "--nodes", "3", "--seed", "5", "--payers", str(PAYERS), "--hold", "3", "4"]
    assert (
        main([*short, "--dir", str(tmp_path), "--json"], [Nemesis("roll-back", _rolled_back, Kind.PROCESSES)])
        == Exit.VIOLATION
    )
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    promises = {violation["promise"] for violation in report["violations"]}
    assert "linearizability" in promises
    assert promises & {"nothing lost, nothing twice", "all catch up"}
    assert (
        "Again: scripts/torture --minutes 5 --seed 5 --nodes 3 --rounds 1 --payers 3 --hold 3 4"
        in printed.err
    )
    assert (tmp_path / "history.jsonl").stat().st_size > 0
    assert json.loads((tmp_path / "report.json").read_text()) == report
