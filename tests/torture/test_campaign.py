"""The schedule: the seed alone decides it, and everybody has a turn."""

from __future__ import annotations

from itertools import islice

from tests.torture.campaign import Plan, schedule
from tests.torture.nemeses import NEMESES, Kind

PLAN = Plan(3, 5, 60, NEMESES)


def _names(plan: Plan, below: bool = True) -> list[tuple[str, ...]]:
    return [
        tuple(nemesis.name for nemesis in strikers)
        for strikers, _, _ in islice(schedule(plan, below), 4 * len(NEMESES))
    ]


def test_the_same_seed_makes_the_same_schedule() -> None:
    """Strikers, durations and luck; another seed makes another."""
    one, again = (
        [(hold_s, random.random()) for _, hold_s, random in islice(schedule(PLAN, True), 50)]
        for _ in range(2)
    )
    assert one == again
    assert _names(PLAN) == _names(PLAN)
    assert _names(PLAN) != _names(Plan(4, 5, 60, NEMESES))


def test_everybody_leads_a_strike_once_in_a_bag() -> None:
    """The last named leads; who needs the faults below the processes has no turn without them."""
    leaders = [names[-1] for names in _names(PLAN)]
    assert sorted(leaders[: len(NEMESES)]) == sorted(nemesis.name for nemesis in NEMESES)
    below = {nemesis.name for nemesis in NEMESES if nemesis.kind is Kind.BELOW}
    assert not below & {name for names in _names(PLAN, below=False) for name in names}


def test_who_accompanies_is_mild_and_of_another_kind() -> None:
    """About a quarter of the strikes have two."""
    by_name = {nemesis.name: nemesis for nemesis in NEMESES}
    strikes = _names(PLAN)
    pairs = [names for names in strikes if len(names) > 1]
    assert 0.1 < len(pairs) / len(strikes) < 0.4
    for mild, leader in pairs:
        assert by_name[mild].mild
        assert by_name[mild].kind is not by_name[leader].kind
    assert not [names for names in _names(Plan(3, 5, 60, NEMESES, accompanied=0)) if len(names) > 1]
