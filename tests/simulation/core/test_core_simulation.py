"""Simulated seeds as tests. It must not know how faults or checks work, only that they occur and pass."""

from collections import Counter

import pytest

from tests.simulation.core import CALM, EVERYTHING, Report, run
from tests.simulation.core.node import CRASH_POINTS

SEEDS = range(1, 81)

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


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """Every seed's report; a seed that breaks an invariant fails here, with its replay command."""
    return [run(seed) for seed in SEEDS]


@pytest.mark.parametrize("event", MUST_OCCUR)
def test_the_seeds_reach(event: str, reports: list[Report]) -> None:
    """Over the seeds, every kind of fault and recovery occurs, in more than one seed."""
    assert sum(1 for report in reports if report.counts[event]) > 1


@pytest.fixture(scope="module")
def churn_reports() -> list[Report]:
    """Seeds in which the membership changes all the time, and snapshots are on their way."""
    return [run(seed, EVERYTHING) for seed in CHURN_SEEDS]


@pytest.mark.parametrize("event", CHURN_MUST_OCCUR)
def test_the_seeds_with_changing_memberships_reach(event: str, churn_reports: list[Report]) -> None:
    """Each step and refusal of a change of membership, and each end of a snapshot's transfer, occurs."""
    assert sum(1 for report in churn_reports if report.counts[event]) > 1


def test_different_seeds_do_different_things(reports: list[Report]) -> None:
    """No two seeds run alike, and every cluster size occurs."""
    assert len({report.fingerprint for report in reports}) == len(reports)
    assert {report.nodes for report in reports} == {3, 4, 5}


def test_a_seed_runs_the_same_again(reports: list[Report]) -> None:
    """A seed determines every message, crash and applied entry."""
    assert run(SEEDS[0]).fingerprint == reports[0].fingerprint


def test_without_faults_the_first_leader_stays() -> None:
    """A calm cluster loses nobody, elects little, and acknowledges most of what its leader takes."""
    counts: Counter[str] = Counter()
    for seed in range(5):
        counts.update(run(seed, CALM).counts)
    assert counts["crashes"] == 0
    assert counts["elections"] <= 10
    assert counts["acknowledged"] > 500
