"""Run many seeds of the core simulation: python -m tests.simulation.core --seeds N --start S.

It must not know what a seed does.
"""

import sys

from tests.simulation.command import main
from tests.simulation.core import SIMULATION

if __name__ == "__main__":
    sys.exit(main(SIMULATION))
