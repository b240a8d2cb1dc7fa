"""Run many seeds of whole nodes: python -m tests.simulation.cluster --seeds N --start S.

It must not know what a seed does. Exit status 1 and the replay command at the first seed that fails.
"""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.cluster.cluster import run
from tests.simulation.cluster.profile import PROFILES
from tests.simulation.cluster.report import SimulationFailure


def main() -> int:
    """Parse the command line and run the seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.cluster", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="harsh", help="which faults")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    arguments = parser.parse_args()
    total: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        try:
            report = run(seed, PROFILES[arguments.profile], arguments.trace)
        except SimulationFailure as failure:
            print(failure, file=sys.stderr)
            return 1
        total.update(report.counts)
        total["steps"] += report.steps
    seconds = time.monotonic() - began
    print(f"{arguments.seeds} seeds passed in {seconds:.1f} s")
    for name, count in sorted(total.items()):
        print(f"  {name}: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
