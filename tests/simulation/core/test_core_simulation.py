"""Simulated seeds as tests. It must not know how faults or checks work, only that they occur and pass."""

from collections import Counter

import pytest

from tests.simulation.core import CALM, EVERYTHING, Report, run
from tests.simulation.core.node import CRASH_POINTS

SEEDS = (range(1, 41), range(41, 81))

MUST_OCCUR = (
    "elections",
    "truncations",
    "transfers",
    "crashes",
    "crashes with lost writes",
    "messages lost",
    "messages duplicated",
    "messages very late",
    "partitions",
    "pauses",
    "compactions",
    "snapshots installed",
    "openings put off",
    "reads",
    "acknowledged",
    "Readys taken while others are in flight",
    *(f"crash {point}" for point in CRASH_POINTS),
)

CHURN_SEEDS = range(1, 61)
"""In one test: some of what must occur does so in few of them."""

CHURN_MUST_OCCUR = (
    *(f"memberships committed: {step}" for step in ("learner added", "joint", "left", "learner retired")),
    *(
        f"memberships refused: {refusal}"
        for refusal in ("IllegalMembership", "MembershipUncommitted", "TermUncommitted")
    ),
    "memberships taken back",
    "ends of joint memberships put off",
    "leaders left out",
    "leaders whose log leaves them out",
    "snapshots fetched",
    "fetches failed",
    "snapshots installed",
    "snapshots that don't name who installs them",
)


def reached(reports: list[Report]) -> Counter[str]:
    """In how many of the seeds each event occurred."""
    return Counter(event for report in reports for event, times in report.counts.items() if times)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_promises_hold_under_faults_and_every_fault_occurs(seeds: range) -> None:
    """A seed that breaks an invariant fails with its replay command; every fault and recovery occurs, in
    more than one seed; no two seeds run alike, and every cluster size occurs.
    """
    reports = [run(seed) for seed in seeds]
    times = reached(reports)
    assert [event for event in MUST_OCCUR if times[event] < 2] == []
    assert len({report.fingerprint for report in reports}) == len(seeds)
    assert {report.nodes for report in reports} == {3, 4, 5}


def test_promises_hold_while_memberships_change_and_every_step_occurs() -> None:
    """Each step and refusal of a change of membership, and each end of a snapshot's transfer, occurs in more
    than one seed.
    """
    times = reached([run(seed, EVERYTHING) for seed in CHURN_SEEDS])
    assert [event for event in CHURN_MUST_OCCUR if times[event] < 2] == []


def test_a_seed_runs_the_same_again() -> None:
    """A seed determines every message, crash and applied entry."""
    assert run(1).fingerprint == run(1).fingerprint


def test_without_faults_the_first_leader_stays() -> None:
    """A calm cluster loses nobody, elects little, and acknowledges most of what its leader takes."""
    counts: Counter[str] = Counter()
    for seed in range(5):
        counts.update(run(seed, CALM).counts)
    assert counts["crashes"] == 0
    assert counts["elections"] <= 10
    assert counts["acknowledged"] > 500
