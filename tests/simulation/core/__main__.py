"""Run many seeds of the core simulation: python -m tests.simulation.core --seeds N --start S.

It must not know what a seed does.
"""

import sys

from tests.simulation.command import run_seeds
from tests.simulation.core.cluster import SIMULATOR, run
from tests.simulation.core.profile import PROFILES

if __name__ == "__main__":
    sys.exit(run_seeds(SIMULATOR, run, PROFILES))
