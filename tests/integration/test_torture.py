"""A short torture: every kind of fault once, and the proof that a broken promise would be found."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.torture.campaign import Outcome, Plan, Round, run
from tests.torture.nemeses import NEMESES, Nemesis
from tests.torture.report import as_json, as_table
from tests.torture.stage import Stage

pytestmark = pytest.mark.processes

LONGEST_S = 600.0
ESSENTIAL = {
    "kill-leader", "pause-leader", "split-leader-off", "one-way", "loss", "full-disk", "slow-sync",
    "clock-skew", "flipped-bits",
}  # fmt: skip


def _tortured(folder: Path, seed: int, nemeses: Sequence[Nemesis], hold_s: tuple[float, float]) -> Outcome:
    told: list[Round] = []
    plan = Plan(seed, 3, LONGEST_S, nemeses, len(nemeses), hold_s, calm_s=0.2)
    outcome = asyncio.run(run(plan, folder, told.append))
    assert told == outcome.rounds
    return outcome


def test_no_promise_breaks_under_any_fault(tmp_path: Path) -> None:
    """Nodes die, stand still, lose each other and their disks; nothing acknowledged is lost or done twice."""
    nemeses = [nemesis for nemesis in NEMESES if nemesis.name in ESSENTIAL]
    outcome = _tortured(tmp_path, 7, nemeses, (1, 2))
    assert not outcome.history.violations, as_table(outcome)
    struck = {round_.nemesis for round_ in outcome.rounds}
    assert struck == {nemesis.name for nemesis in nemeses if outcome.below or not nemesis.below}
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


def test_a_loss_is_found(tmp_path: Path) -> None:
    """Were acknowledged payments lost, readers, stores and both searches would each say so."""
    outcome = _tortured(tmp_path, 1, [Nemesis("roll-back", _rolled_back)], (2, 2))
    promises = {violation.promise for violation in outcome.history.violations}
    assert {"nothing lost, nothing twice", "linearizability"} <= promises
    assert "roll-back" in as_table(outcome)
