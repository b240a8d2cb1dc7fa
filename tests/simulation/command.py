"""The command that both simulators have: run many seeds, and stop at the first that fails.

It must not know what a seed does.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from tests.simulation.report import Report, SimulationFailure

P = TypeVar("P")


def run_seeds(simulator: str, run: Callable[[int, P, bool], Report], profiles: Mapping[str, P]) -> int:
    """Run the seeds that the command line asks for; 1 and the replay command at the first failure."""
    parser = argparse.ArgumentParser(prog=f"python -m {simulator}", description="Run many seeds.")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--profile", choices=sorted(profiles), default="harsh", help="which faults")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        try:
            report = run(seed, profiles[arguments.profile], arguments.trace)
        except SimulationFailure as failure:
            print(failure, file=sys.stderr)
            return 1
        total.update(report.counts)
        total["steps"] += report.steps
    print(f"{arguments.seeds} seeds passed in {time.monotonic() - began:.1f} s")
    for name, count in sorted(total.items()):
        print(f"  {name}: {count}")
    return 0
