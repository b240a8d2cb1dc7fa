"""The checker: histories known to be good and bad, and a twin that tries every order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.torture.linearizable import NEVER, Step, What, after, check

CREDIT, DEBIT, SHORT, READ = What.CREDIT, What.DEBIT, What.SHORT, What.READ


def by_hand(steps: Sequence[Step], initial: int) -> bool:
    """Every choice of uncertain steps, every order, in the plainest way."""
    certain = [step for step in steps if step.certain]
    uncertain = [step for step in steps if not step.certain]
    for count in range(len(uncertain) + 1):
        for happened in combinations(uncertain, count):
            if any(_fits(order, initial) for order in permutations([*certain, *happened])):
                return True
    return False


def _fits(order: Sequence[Step], initial: int) -> bool:
    for earlier, later in combinations(order, 2):
        if later.returned_s < earlier.invoked_s:
            return False
    balance = initial
    for step in order:
        moved = after(balance, step)
        if moved is None:
            return False
        balance = moved
    return True


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([], id="nothing happened"),
        pytest.param([Step(CREDIT, 5, 0, 1), Step(READ, 15, 2, 3)], id="a credit is read"),
        pytest.param([Step(CREDIT, 5, 0, 3), Step(READ, 10, 1, 2)], id="read before a credit under way"),
        pytest.param([Step(CREDIT, 5, 0, 3), Step(READ, 15, 1, 2)], id="read after a credit under way"),
        pytest.param([Step(DEBIT, 15, 0, 9), Step(CREDIT, 5, 1, 8)], id="the credit made the debit possible"),
        pytest.param([Step(SHORT, 11, 0, 1), Step(READ, 10, 2, 3)], id="too little for a debit"),
        pytest.param([Step(DEBIT, 10, 0, 1), Step(READ, 0, 2, 3)], id="all of it is debited"),
        pytest.param(
            [Step(DEBIT, 4, 0, NEVER, certain=False), Step(READ, 10, 2, 3)], id="what was lost had no effect"
        ),
        pytest.param(
            [Step(DEBIT, 4, 0, NEVER, certain=False), Step(READ, 10, 2, 3), Step(READ, 6, 4, 5)],
            id="what was lost took effect late",
        ),
        pytest.param([Step(CREDIT, 5, 0, 1), Step(READ, 10, 1, 2)], id="a call in the moment of the return"),
    ],
)
def test_good_histories(steps: list[Step]) -> None:
    """Each of these can have happened to an account that began with 10."""
    assert check(steps, 10).linearizable is True
    assert by_hand(steps, 10)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Step(CREDIT, 5, 0, 1), Step(READ, 10, 2, 3)], id="a stale read"),
        pytest.param([Step(READ, 15, 0, 1), Step(CREDIT, 5, 2, 3)], id="a read from the future"),
        pytest.param(
            [Step(CREDIT, 5, 0, 9), Step(READ, 15, 1, 2), Step(READ, 10, 3, 4)], id="a read that goes back"
        ),
        pytest.param([Step(DEBIT, 11, 0, 1)], id="an overdraft"),
        pytest.param([Step(SHORT, 10, 0, 1)], id="refused though there was enough"),
        pytest.param([Step(CREDIT, 5, 0, 1), Step(READ, 20, 2, 3)], id="a payment that counts twice"),
        pytest.param(
            [Step(DEBIT, 4, 0, NEVER, certain=False), Step(READ, 6, 2, 3), Step(READ, 10, 4, 5)],
            id="what took effect vanished",
        ),
        pytest.param([Step(DEBIT, 10, 0, 5), Step(DEBIT, 10, 1, 6)], id="the same money twice"),
    ],
)
def test_bad_histories(steps: list[Step]) -> None:
    """None of these can have happened, and the checker names a step that fits nowhere."""
    verdict = check(steps, 10)
    assert verdict.linearizable is False
    assert verdict.stuck in steps
    assert not by_hand(steps, 10)


AMOUNTS = st.integers(0, 6)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Up to five small steps that overlap at random, some of them uncertain, with hints that may be wrong."""
    steps = []
    for _ in range(draw(st.integers(0, 5))):
        invoked = draw(st.integers(0, 8))
        certain = draw(st.booleans()) or draw(st.booleans())
        steps.append(
            Step(
                draw(st.sampled_from(What)),
                draw(AMOUNTS),
                invoked,
                invoked + draw(st.integers(1, 6)) if certain else NEVER,
                certain,
                (draw(st.integers(0, 3)), 0),
            )
        )
    return steps


@settings(max_examples=500)
@given(steps=histories(), initial=AMOUNTS)
def test_the_checker_says_what_trying_every_order_says(steps: list[Step], initial: int) -> None:
    """Whatever the hints say, the verdict is that of the plain twin."""
    assert check(steps, initial).linearizable is by_hand(steps, initial)


def test_the_order_of_the_chain_is_tried_first() -> None:
    """With true ranks a long history of twenty at a time is placed with one configuration a step."""
    steps = [
        Step(CREDIT if number % 2 else DEBIT, 1, number // 20, number // 20 + 1.5, rank=(number, 0))
        for number in range(1, 2_001)
    ]
    verdict = check(steps, 1_000)
    assert verdict.linearizable is True
    assert verdict.configurations <= len(steps) + 1


def test_a_search_without_end_is_given_up() -> None:
    """At the limit of configurations the verdict is open; one below what is needed it is, with enough not."""
    steps = [Step(CREDIT, 2**number, 0, 1) for number in range(6)] + [Step(READ, 64, 2, 3)]
    needed = check(steps, 0).configurations
    assert check(steps, 0, most=needed).linearizable is False
    assert check(steps, 0, most=needed - 1).linearizable is None
