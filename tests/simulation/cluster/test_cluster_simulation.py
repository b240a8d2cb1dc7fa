"""Whole nodes keep their promises under faults: a hundred seeds, which must have met every kind of fault."""

from collections import Counter

import pytest

from tests.simulation.cluster import CALM, HARSH, run

SEEDS_A_RUN = 25
MUST_HAPPEN = (
    "audited transactions",
    "certificates verified",
    "crashes",
    "crashes after a job",
    "crashes after a write",
    "crashes before a message leaves",
    "crashes before a write",
    "crashes during a sync",
    "elections",
    "first answer given again",
    "log rows cut off or replaced",
    "messages duplicated",
    "messages lost",
    "partitions",
    "refused expired",
    "refused id_used_with_other_content",
    "refused insufficient_funds",
    "refused no_quorum",
    "submitted twice at once",
    "unsynced writes lost",
)


@pytest.mark.parametrize("first", [1, 26, 51, 76])
def test_promises_hold_under_faults_and_every_fault_occurs(first: int) -> None:
    """Each seed is checked throughout; each run of seeds must have met every kind of fault and refusal."""
    total: Counter[str] = Counter()
    for seed in range(first, first + SEEDS_A_RUN):
        total.update(run(seed, HARSH).counts)
    assert not [name for name in MUST_HAPPEN if total[name] == 0]


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
