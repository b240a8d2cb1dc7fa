"""A whole cluster of consensus cores in one thread under one seed, with faults, checked at every step.

It must not know ledger or node: it simulates the pure core with the smallest caller that keeps the Ready
contract. `python -m tests.simulation.core --seeds 1000` runs many seeds; a failure names its seed and how
to replay it.
"""

from tests.simulation.core.cluster import SIMULATOR, run
from tests.simulation.core.profile import CALM, EVERYTHING, HARSH, MEMBERSHIP, PROFILES, SNAPSHOT, Profile
from tests.simulation.report import Report, SimulationFailure
from tests.simulation.simulator import Simulator

__all__ = ["CALM", "EVERYTHING", "HARSH", "SIMULATION", "Profile", "Report", "SimulationFailure", "run"]

SIMULATION = Simulator(
    SIMULATOR,
    lambda seed, profile, trace: run(seed, PROFILES[profile], trace),
    profiles=tuple(PROFILES),
    campaign=(HARSH.name, MEMBERSHIP.name, SNAPSHOT.name, EVERYTHING.name),
    must_happen={},
)
