"""A whole cluster of consensus cores in one thread under one seed, with faults, checked at every step.

It must not know ledger or node: it simulates the pure core with the smallest caller that keeps the Ready
contract. `python -m tests.simulation.core --seeds 1000` runs many seeds; a failure names its seed and how
to replay it.
"""

from tests.simulation.core.cluster import run
from tests.simulation.core.profile import CALM, HARSH, Profile
from tests.simulation.report import Report, SimulationFailure

__all__ = ["CALM", "HARSH", "Profile", "Report", "SimulationFailure", "run"]
