"""The command that both simulators have: run many seeds, show how far it is, and say what they covered.

It must not know what a seed does.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.campaign import Failed, Task, run_all, run_one
from tests.simulation.results import Head, Passed, ResultsFile, UnusableResults, code_version
from tests.simulation.simulator import Simulator

IN_TURN = "in-turn"
"""Not a profile: each seed has another of the campaign's."""
COVERING_SEEDS = 30
"""From so many seeds of a profile on, all that it is for must have happened."""
MAX_FAILURES = 10
"""A campaign ends after so many seeds that failed."""
INTERRUPTED = 130


@dataclass(slots=True)
class Course:
    """How far a campaign is. `stopped` says why it ended before its time."""

    passed: list[Passed]
    failed: list[Failed] = field(default_factory=list)
    stopped: str = ""

    @property
    def done(self) -> int:
        """How many seeds are over."""
        return len(self.passed) + len(self.failed)


def main(simulator: Simulator, argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for: 0 passed, 1 not, 2 unusable arguments, 130 interrupted."""
    arguments = _parser(simulator).parse_args(argv)
    tasks = _tasks(simulator, arguments)
    if arguments.resume is None:
        return _campaign(simulator, tasks, arguments, None)
    try:
        kept = ResultsFile(arguments.resume, Head(simulator.package, code_version()))
    except (UnusableResults, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    with closing(kept):
        return _campaign(simulator, tasks, arguments, kept)


def _parser(simulator: Simulator) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {simulator.package}", description="Run many seeds.")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to run (100)")
    parser.add_argument("--start", type=int, default=1, help="the first seed (1)")
    profiles = (IN_TURN, *simulator.profiles)
    parser.add_argument("--profile", choices=profiles, default=IN_TURN, help="which faults")
    workers = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=workers, help=f"how many processes ({workers})")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep results here, and go on from them")
    parser.add_argument("--trace", action="store_true", help="print everything that happens, in one process")
    return parser


def _tasks(simulator: Simulator, arguments: argparse.Namespace) -> list[Task]:
    chosen = simulator.campaign if arguments.profile == IN_TURN else (arguments.profile,)
    seeds = range(arguments.start, arguments.start + arguments.seeds)
    return [Task(simulator.package, chosen[seed % len(chosen)], seed) for seed in seeds]


def _campaign(
    simulator: Simulator, tasks: list[Task], arguments: argparse.Namespace, kept: ResultsFile | None
) -> int:
    known = {(old.profile, old.seed): old for old in kept.passed} if kept is not None else {}
    course = Course([known[task.profile, task.seed] for task in tasks if (task.profile, task.seed) in known])
    left = [task for task in tasks if (task.profile, task.seed) not in known]
    results = map(_traced, left) if arguments.trace else run_all(left, arguments.workers)
    before, began = len(course.passed), time.monotonic()
    try:
        _follow(results, course, len(tasks), kept)
    except KeyboardInterrupt:
        course.stopped = "interrupted" + ("" if kept is None else ": the same command goes on from here")
    except BrokenProcessPool:
        course.stopped = "a process of the campaign was killed, perhaps for want of memory"
    _summarize(course, len(tasks))
    _say_throughput(course.passed[before:], time.monotonic() - began)
    missing = _say_missing(simulator, course.passed)
    print(course.stopped, end="\n" if course.stopped else "", file=sys.stderr)
    if course.failed or missing:
        return 1
    return INTERRUPTED if course.stopped else 0


def _traced(task: Task) -> Passed | Failed:
    return run_one(task, trace=True)


def _follow(results: Iterable[Passed | Failed], course: Course, total: int, kept: ResultsFile | None) -> None:
    """Take each result as it comes: show it, keep it."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("seeds", total=total, completed=course.done)
        for result in results:
            if isinstance(result, Failed):
                course.failed.append(result)
                progress.console.print(result.what, markup=False, highlight=False, soft_wrap=True)
            else:
                course.passed.append(result)
                if kept is not None:
                    kept.add(result)
            progress.update(bar, completed=course.done)
            if len(course.failed) == MAX_FAILURES:
                course.stopped = f"ended after {MAX_FAILURES} seeds that failed"
                return


def _summarize(course: Course, total: int) -> None:
    """The seeds of each profile, and how often everything happened in them together."""
    counts: Counter[str] = Counter()
    for result in course.passed:
        counts.update(result.counts)
        counts["steps"] += result.steps
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count:,}")
    for profile, results in _by_profile(course.passed).items():
        cpu_s = sum(result.cpu_s for result in results) / len(results)
        print(f"{profile}: {len(results):,} seeds passed, {cpu_s:.2f} s of a core each")
    print(f"{len(course.passed):,} of {total:,} seeds passed, {len(course.failed)} failed")


def _say_throughput(results: Sequence[Passed], elapsed_s: float) -> None:
    if results:
        virtual_s = sum(result.virtual_ms for result in results) / 1_000
        print(
            f"{len(results):,} seeds in {elapsed_s:,.0f} s: {60 * len(results) / elapsed_s:,.0f} a minute, "
            f"{virtual_s / elapsed_s:,.1f} simulated hours an hour"
        )


def _say_missing(simulator: Simulator, results: Sequence[Passed]) -> bool:
    """Name what never happened under a profile that is there for it; whether anything is missing."""
    missing = False
    for profile, of_profile in _by_profile(results).items():
        if len(of_profile) < COVERING_SEEDS:
            continue
        happened = {name for result in of_profile for name, count in result.counts.items() if count}
        for name in simulator.must_happen.get(profile, ()):
            if name not in happened:
                missing = True
                print(f"{profile}: never {name} in {len(of_profile)} seeds", file=sys.stderr)
    return missing


def _by_profile(results: Iterable[Passed]) -> dict[str, list[Passed]]:
    profiles: dict[str, list[Passed]] = {}
    for result in results:
        profiles.setdefault(result.profile, []).append(result)
    return profiles
