"""Whole nodes keep their promises under the faults of every profile, which do happen: 345 seeds."""

from collections import Counter

import pytest

from tests.simulation.cluster import CALM, CAMPAIGN, HARSH, PROFILES, run
from tests.simulation.cluster.profile import JOINING, RECOVERY

SEEDS_A_RUN = 25
FEWER_SEEDS = {JOINING.name: 8, RECOVERY.name: 12}
"""A seed of these does more of what it is for than one of the others; one of `joining` takes several times as
long."""
HARSH_RUNS = 3
RUNS = [(name, 1) for name in CAMPAIGN] + [
    (HARSH.name, 1 + SEEDS_A_RUN * number) for number in range(1, HARSH_RUNS)
]


@pytest.mark.parametrize(("name", "first"), RUNS)
def test_promises_hold_under_faults_and_every_fault_occurs(name: str, first: int) -> None:
    """Each seed is checked throughout; each run of seeds must have met all that its profile is for."""
    profile = PROFILES[name]
    total: Counter[str] = Counter()
    for seed in range(first, first + FEWER_SEEDS.get(name, SEEDS_A_RUN)):
        total.update(run(seed, profile).counts)
    assert not [what for what in profile.must_happen if total[what] == 0]


def test_a_seed_replays_to_the_same_run() -> None:
    """A failure's replay command shows the same failure: the same seed does the same, another doesn't."""
    first, again, other = run(7, HARSH), run(7, HARSH), run(8, HARSH)
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_or_repeated_without_faults(seed: int) -> None:
    """In calm there is one election, no crash, and what isn't refused is executed."""
    counts = run(seed, CALM).counts
    assert counts["elections"] == 1
    assert counts["crashes"] == 0
    assert counts["executed executed"] > 0
