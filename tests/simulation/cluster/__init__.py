"""Whole nodes (real driver, store, rules and keys) in one thread under one seed, with faults.

`python -m tests.simulation.cluster --seeds N` runs many seeds; a failure names its seed and its replay.
"""

from tests.simulation.cluster.cluster import run
from tests.simulation.cluster.profile import CALM, HARSH, Profile
from tests.simulation.report import Report, SimulationFailure

__all__ = ["CALM", "HARSH", "Profile", "Report", "SimulationFailure", "run"]
