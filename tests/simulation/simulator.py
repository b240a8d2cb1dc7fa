"""What a simulator offers to those that run many of its seeds.

It must not know any simulator, nor how seeds are run.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.report import Report


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulator, in a package whose `SIMULATION` it is.

    `run` takes a seed, a profile's name and whether to print all that happens; it raises SimulationFailure.
    A campaign takes the profiles in `campaign` in turn; some dozens of seeds of one must raise each of the
    counts that `must_happen` has for it.
    """

    package: str
    run: Callable[[int, str, bool], Report]
    profiles: tuple[str, ...]
    campaign: tuple[str, ...]
    must_happen: Mapping[str, tuple[str, ...]]


def load(package: str) -> Simulator:
    """The simulator of a package."""
    simulation = importlib.import_module(package).SIMULATION
    if not isinstance(simulation, Simulator):
        raise TypeError(f"{package} has no simulator")
    return simulation
