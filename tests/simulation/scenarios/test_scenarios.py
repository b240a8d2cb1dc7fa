"""Plays every scenario; adding a file adds a test. It must not know what any of them shows."""

from pathlib import Path

import pytest

from tests.simulation.scenarios.runner import Runner, ScenarioFailed, play_file

SCENARIOS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    """The scenario plays to its end, and every expectation in it holds."""
    play_file(path)


def test_an_expectation_that_does_not_hold_fails_with_its_line() -> None:
    """The runner itself can fail: it names the line and both values."""
    with pytest.raises(ScenarioFailed, match="line 3, 'role a leader': found 'follower'"):
        Runner().play("nodes a b c\nstart a b c\nrole a leader")


def test_a_command_that_is_not_refused_fails() -> None:
    """`refused` fails when the core accepts."""
    with pytest.raises(ScenarioFailed, match="wasn't refused"):
        Runner().play("nodes a\nstart a\nrefused NoLeader tick a")
