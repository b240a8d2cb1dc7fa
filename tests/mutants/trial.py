"""Planting mutants in copies of the checkout, and running there what must catch them.

It must not know what the bugs are. Each mutant has a copy and a process of its own, so that nothing it breaks
reaches another or the checkout.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from tests.mutants.mutant import Catcher, CatcherKind, Mutant, MutantOutdated

ROOT = Path(__file__).parents[2]
COPIED = ("ledger", "consensus", "wallet", "api", "node", "cli", "tests", "docs", "pyproject.toml")
TIMEOUT_S = 300.0
"""A mutant whose test runs longer isn't caught: a test that hangs tells nobody what is wrong."""
SEARCH_TIMEOUT_S = 1_800.0
"""The same for seeds."""
WORKERS = 2
SAID_CHARACTERS = 160


class Verdict(Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    """The test that must catch it passed."""
    MISTAKEN = "failed otherwise"
    """The test failed, but not with the words that show the bug."""
    HUNG = "hung"
    OUTDATED = "outdated"
    """The source has moved on: the mutant can't be planted."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant's fate. `said` is the line that shows it, or what went wrong."""

    mutant: Mutant
    verdict: Verdict
    said: str
    seconds: float


class BaselineFailed(Exception):
    """What must catch mutants fails without any: repair that first."""


def copy_checkout(to: Path) -> None:
    """Copy what tests need to the new directory `to`."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "planted")
    to.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, to / name)


def check_baseline(base: Path, catchers: Iterable[Catcher]) -> None:
    """Run all catchers once on the unchanged copy; raises BaselineFailed.

    It leaves the copy with compiled modules, which the mutants' copies take over.
    """
    by_kind: dict[CatcherKind, list[Catcher]] = {}
    for catcher in sorted(set(catchers), key=str):
        by_kind.setdefault(catcher.kind, []).append(catcher)
    seeds = by_kind.pop(CatcherKind.SEED, [])
    groups = [[seed] for seed in seeds] + list(by_kind.values())
    for group in groups:
        finished = _run(base, _command(group))
        if finished.returncode:
            raise BaselineFailed(f"without a mutant, this fails already:\n{finished.stdout[-4000:]}")


def try_mutant(mutant: Mutant, base: Path, copy: Path) -> Trial:
    """Plant one mutant in the new directory `copy` of `base`, and see what its catcher says."""
    began = time.monotonic()
    verdict, said = _tried(mutant, base, copy)
    shutil.rmtree(copy, ignore_errors=True)
    return Trial(mutant, verdict, said, time.monotonic() - began)


def try_all(
    mutants: Iterable[Mutant], directory: Path, workers: int, tell: Callable[[Trial], None]
) -> list[Trial]:
    """Try every mutant in subdirectories of `directory`, `workers` at a time; `tell` hears of each."""
    chosen = list(mutants)
    base = directory / "base"
    copy_checkout(base)
    check_baseline(base, (mutant.caught_by for mutant in chosen))
    trials = []
    with ThreadPoolExecutor(workers) as pool:
        for trial in pool.map(lambda each: try_mutant(each, base, directory / each.name), chosen):
            tell(trial)
            trials.append(trial)
    return trials


def searched_by_seeds(mutant: Mutant, seeds: int) -> Mutant:
    """The same bug, to be found by a simulator that knows nothing of it, in so many seeds."""
    simulator = "core" if mutant.file.startswith("consensus/") else "cluster"
    catcher = Catcher(CatcherKind.SEED, f"{simulator} 1-{seeds}")
    return replace(mutant, caught_by=catcher, failing_with=f"{simulator} seed ")


def as_json(trials: Iterable[Trial]) -> str:
    """The trials for machines: a list of objects, times in seconds."""
    return json.dumps(
        [
            {
                "mutant": trial.mutant.name,
                "bug": trial.mutant.bug,
                "file": trial.mutant.file,
                "caught_by": str(trial.mutant.caught_by),
                "verdict": trial.verdict.value,
                "said": trial.said,
                "seconds": round(trial.seconds, 2),
            }
            for trial in trials
        ],
        indent=2,
    )


def _tried(mutant: Mutant, base: Path, copy: Path) -> tuple[Verdict, str]:
    source = (base / mutant.file).read_text(encoding="utf-8")
    try:
        changed = mutant.applied_to(source)
    except MutantOutdated as error:
        return Verdict.OUTDATED, str(error)
    compile(changed, mutant.file, "exec")
    shutil.copytree(base, copy, copy_function=os.link)
    (copy / mutant.file).unlink()  # It is the base's own file: links are much cheaper than copies.
    (copy / mutant.file).write_text(changed, encoding="utf-8")
    try:
        finished = _run(copy, _command([mutant.caught_by]))
    except subprocess.TimeoutExpired as expired:
        return Verdict.HUNG, f"no result within {expired.timeout:.0f} s"
    return _judged(mutant, finished)


def _judged(mutant: Mutant, finished: subprocess.CompletedProcess[str]) -> tuple[Verdict, str]:
    if finished.returncode == 0:
        return Verdict.SURVIVED, "it passed"
    lines = [line.strip() for line in finished.stdout.splitlines() if line.strip()]
    for line in lines:
        if mutant.failing_with in line:
            return Verdict.CAUGHT, line[:SAID_CHARACTERS]
    errors = [line for line in lines if line.startswith("E ")] or lines[-1:] or ["it said nothing"]
    return Verdict.MISTAKEN, errors[0][:SAID_CHARACTERS]


def _command(group: list[Catcher]) -> list[str]:
    """Run the catchers of one kind (one only, if it is a seed); exit code 0 if they pass."""
    kind, whats = group[0].kind, [catcher.what for catcher in group]
    if kind is CatcherKind.SCENARIO:
        return [sys.executable, "-m", "tests.simulation.scenarios", *whats]
    if kind is CatcherKind.SEED:
        return [sys.executable, "-m", "tests.mutants.seeds", *whats[0].split()]
    options = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider"]
    return [sys.executable, "-m", "pytest", *options, *whats]


def _run(directory: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # The copies are ours: see check_baseline.
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SEARCH_TIMEOUT_S if "tests.mutants.seeds" in command else TIMEOUT_S,
        check=False,
    )
