"""Schedules: which value holds at a height, and whether another one waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.schedule import LOOK_BACK, activation_waits, at, with_entry

ENTRIES = ((0, "a"), (100, "b"), (200, "c"))


@pytest.mark.parametrize(
    ("height", "value"), [(0, "a"), (99, "a"), (100, "b"), (199, "b"), (200, "c"), (999, "c")]
)
def test_values_at_their_boundaries(height: int, value: str) -> None:
    """A value holds from its height on."""
    assert at(ENTRIES, height) == value


def test_a_schedule_starts_at_zero() -> None:
    """Below the first entry nothing holds."""
    with pytest.raises(ValueError, match="no value is in force at height 4"):
        at(((5, "a"),), 4)


@pytest.mark.parametrize(("height", "waits"), [(0, True), (199, True), (200, False)])
def test_activations_wait_until_their_height(height: int, waits: bool) -> None:
    """At the height itself it waits no longer."""
    assert activation_waits(ENTRIES, height) is waits
    assert not activation_waits((), height)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers()), max_size=10))
def test_entries_are_kept_in_order(decisions: list[tuple[int, int]]) -> None:
    """Against a dict: the latest decision for a height stands."""
    entries: tuple[tuple[int, int], ...] = ((0, -1),)
    twin = {0: -1}
    for from_height, value in decisions:
        entries = with_entry(entries, from_height, value)
        twin[from_height] = value
    assert entries == tuple(sorted(twin.items()))


def test_look_back_is_that_of_the_formats() -> None:
    """A rule of the chain, not a setting."""
    assert LOOK_BACK == 64
