"""Whole nodes (real driver, store, rules and keys) in one thread under one seed, with faults.

`python -m tests.simulation.cluster --seeds N` runs many seeds; a failure names its seed and its replay.
"""

from tests.simulation.cluster.cluster import SIMULATOR, run
from tests.simulation.cluster.profile import CALM, CAMPAIGN, HARSH, PROFILES, Profile
from tests.simulation.report import Report, SimulationFailure
from tests.simulation.simulator import Simulator

__all__ = [
    "CALM",
    "CAMPAIGN",
    "HARSH",
    "PROFILES",
    "SIMULATION",
    "Profile",
    "Report",
    "SimulationFailure",
    "run",
]

SIMULATION = Simulator(
    SIMULATOR,
    lambda seed, profile, trace: run(seed, PROFILES[profile], trace),
    profiles=tuple(PROFILES),
    campaign=CAMPAIGN,
    must_happen={name: profile.must_happen for name, profile in PROFILES.items()},
)
