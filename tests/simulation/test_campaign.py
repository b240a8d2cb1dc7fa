"""Campaigns of seeds: what comes out of them, what is kept, and how they go on after an interruption."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.simulation.campaign import Failed, Task, run_all, run_one
from tests.simulation.command import COVERING_SEEDS, MAX_FAILURES, main
from tests.simulation.report import Report, SimulationFailure
from tests.simulation.results import ROOT, Head, Passed, ResultsFile, UnusableResults, code_version
from tests.simulation.simulator import Simulator

FAILS, BREAKS, PASSES = "fails", "breaks", "passes"


def _run(seed: int, profile: str, trace: bool) -> Report:
    """A simulator without a simulation: its profiles are its ends."""
    if profile == FAILS:
        raise SimulationFailure(SIMULATION.package, seed, profile, 1.0, "two leaders")
    if profile == BREAKS:
        raise KeyError(f"lost {seed}")
    return Report(seed, profile, 3, 10, Counter(crashes=1, partitions=0), "f", 500.0)


SIMULATION = Simulator(
    "tests.simulation.test_campaign", _run, (PASSES, FAILS, BREAKS), (PASSES,), {PASSES: ("crashes",)}
)
UNCOVERED = Simulator(SIMULATION.package, _run, (PASSES,), (PASSES,), {PASSES: ("crashes", "partitions")})


def _task(profile: str, seed: int) -> Task:
    return Task(SIMULATION.package, profile, seed)


def _keep(path: Path, *results: Passed, code: str = "c") -> list[Passed]:
    """Open the file, add to it; what it held before."""
    with closing(ResultsFile(path, Head("s", code))) as kept:
        before = list(kept.passed)
        for result in results:
            kept.add(result)
        return before


def _some(seed: int) -> Passed:
    return Passed(PASSES, seed, 10, 500.0, 0.1, "f", {"crashes": 1})


def test_every_task_is_run_once_in_several_processes() -> None:
    """More tasks than are handed out at a time all come back, each once."""
    results = list(run_all([_task(PASSES, seed) for seed in range(20)], workers=2))
    assert sorted(result.seed for result in results if isinstance(result, Passed)) == list(range(20))


def test_a_failure_names_its_seed_and_its_replay() -> None:
    """What an invariant found comes back as text with the command that shows it again."""
    result = run_one(_task(FAILS, 17))
    assert isinstance(result, Failed)
    assert "two leaders" in result.what
    assert f"python -m {SIMULATION.package} --profile {FAILS} --start 17 --seeds 1" in result.what


def test_a_seed_that_breaks_the_program_is_a_failure_with_its_traceback() -> None:
    """An exception that nobody foresaw names its seed, and the other seeds run on."""
    results = list(run_all([_task(BREAKS, 5), _task(PASSES, 6)], workers=1))
    failed = [result for result in results if isinstance(result, Failed)]
    assert len(results) == 2
    assert [result.task.seed for result in failed] == [5]
    assert failed[0].what.startswith(f"seed 5 ({BREAKS})")
    assert "KeyError" in failed[0].what


def test_results_are_read_back(tmp_path: Path) -> None:
    """What was kept is there when the file is opened again."""
    assert _keep(tmp_path / "r", _some(1)) == []
    assert _keep(tmp_path / "r", _some(2)) == [_some(1)]
    assert _keep(tmp_path / "r") == [_some(1), _some(2)]


def test_half_a_line_at_the_end_is_dropped(tmp_path: Path) -> None:
    """A campaign that was killed while it wrote loses that one seed, and the file stays good."""
    path = tmp_path / "r"
    _keep(path, _some(1), _some(2))
    path.write_bytes(path.read_bytes()[:-7])
    assert _keep(path, _some(3)) == [_some(1)]
    assert _keep(path) == [_some(1), _some(3)]


def test_results_of_other_code_are_refused(tmp_path: Path) -> None:
    """Seeds that another version of the program passed don't count."""
    _keep(tmp_path / "r", code="old")
    with pytest.raises(UnusableResults, match="under the code old"):
        _keep(tmp_path / "r", code="new")


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"profile": "x"}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, line: bytes) -> None:
    """A line that is no result is named, and the file isn't touched."""
    path = tmp_path / "r"
    _keep(path)
    raw = path.read_bytes() + line + b"\n"
    path.write_bytes(raw)
    with pytest.raises(UnusableResults, match="line 2"):
        _keep(path)
    assert path.read_bytes() == raw


def test_the_code_version_follows_the_code(tmp_path: Path) -> None:
    """Any change of a module that seeds run, or its name, makes another version."""
    versions = []
    for name, text in (("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 2\n")):
        (tmp_path / "node").mkdir(exist_ok=True)
        (tmp_path / "node" / name).write_text(text)
        versions.append(code_version(tmp_path))
    assert len(set(versions)) == 3


def test_a_campaign_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same file, seeds that passed aren't run again, and the summary counts them."""
    path = str(tmp_path / "r")
    assert main(SIMULATION, ["--seeds", "4", "--trace", "--resume", path]) == 0
    assert main(SIMULATION, ["--seeds", "6", "--trace", "--resume", path]) == 0
    said = capsys.readouterr().out
    assert "6 of 6 seeds passed, 0 failed" in said
    assert "2 seeds in " in said


def test_a_file_that_cannot_be_used_ends_the_command_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The user is told which file, and what to do."""
    path = tmp_path / "r"
    path.write_text("something else\n")
    assert main(SIMULATION, ["--seeds", "1", "--resume", str(path)]) == 2
    assert "name another file" in capsys.readouterr().err


def test_a_campaign_with_failures_ends_with_1_after_some(capsys: pytest.CaptureFixture[str]) -> None:
    """Each failure is shown; after so many of them the rest isn't run."""
    assert main(SIMULATION, ["--seeds", "40", "--profile", FAILS, "--trace"]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("replay: python -m") == MAX_FAILURES
    assert f"0 of 40 seeds passed, {MAX_FAILURES} failed" in shown.out


@pytest.mark.parametrize(("seeds", "code"), [(COVERING_SEEDS - 1, 0), (COVERING_SEEDS, 1)])
def test_what_never_happened_is_named(seeds: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign of enough seeds under which something of its profile never happened hasn't passed."""
    assert main(UNCOVERED, ["--seeds", str(seeds), "--trace"]) == code
    assert ("never partitions" in capsys.readouterr().err) == bool(code)


def test_an_interrupted_campaign_keeps_what_passed(tmp_path: Path) -> None:
    """Ctrl-C in the terminal ends it with 130 and a sound file, from which the same command goes on."""
    path = tmp_path / "r"
    command = [sys.executable, "-m", "tests.simulation.core", "--seeds", "100000", "--resume", str(path)]
    process = subprocess.Popen(
        [*command, "--workers", "1"], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    )
    while not (path.exists() and path.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"the same command goes on from here" in said
    with closing(ResultsFile(path, Head("tests.simulation.core", code_version()))) as kept:
        assert len(kept.passed) >= 2
