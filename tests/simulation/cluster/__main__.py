"""Run many seeds of whole nodes: python -m tests.simulation.cluster --seeds N --start S.

It must not know what a seed does.
"""

import sys

from tests.simulation.cluster import SIMULATION
from tests.simulation.command import main

if __name__ == "__main__":
    sys.exit(main(SIMULATION))
