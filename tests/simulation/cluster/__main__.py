"""Run many seeds of whole nodes: python -m tests.simulation.cluster --seeds N --start S.

It must not know what a seed does.
"""

import sys

from tests.simulation.cluster.cluster import SIMULATOR, run
from tests.simulation.cluster.profile import PROFILES
from tests.simulation.command import run_seeds

if __name__ == "__main__":
    sys.exit(run_seeds(SIMULATOR, run, PROFILES))
