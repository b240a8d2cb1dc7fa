"""Look for a seed that fails: python -m tests.mutants.seeds core 1-200.

It must not know what a seed does, nor what was planted. Exit code 1 at the first that fails, which it names.
"""

import sys

from tests.simulation.report import SimulationFailure
from tests.simulation.simulator import load


def main(simulator_name: str, seeds: str) -> int:
    """Run the seeds, or the one seed, each under the profile that it has in a campaign."""
    simulator = load(f"tests.simulation.{simulator_name}")
    first, _, last = seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        profile = simulator.campaign[seed % len(simulator.campaign)]
        try:
            simulator.run(seed, profile, False)
        except SimulationFailure as failure:
            print(simulator_name, failure)
            return 1
        except BaseException:
            print(f"{simulator_name} seed {seed} ({profile}) ends with an error")
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
