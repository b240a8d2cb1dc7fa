"""What the log says of refused links: each thing once, and again after a while."""

from __future__ import annotations

from typing import Any

from node.refusals import SAME_AGAIN_S, STRANGER_PAUSE_S, Refusals


class _Time:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


class _Said:
    def __init__(self) -> None:
        self.lines: list[tuple[str | None, str]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((fields["peer"], fields["reason"]))

    info = error = warning


def test_a_retired_node_that_keeps_knocking_gets_one_line() -> None:
    """Until what it is refused for is something else, or a long time is over."""
    said, time = _Said(), _Time()
    refusals = Refusals(said, time)
    for count in range(100):
        refusals.say("n1", "let go", count)
        refusals.say("n2", "let go", count)
        time.now_s += (SAME_AGAIN_S - 1) / 100
    assert said.lines == [("n1", "let go"), ("n2", "let go")]
    refusals.say("n1", "no Hello came", 100)
    time.now_s += SAME_AGAIN_S
    refusals.say("n1", "no Hello came", 101)
    assert said.lines[2:] == [("n1", "no Hello came")] * 2


def test_strangers_share_a_line_a_second() -> None:
    """However many reasons they give."""
    said, time = _Said(), _Time()
    refusals = Refusals(said, time)
    for number in range(3):
        refusals.say(None, f"reason {number}", number)
        time.now_s += STRANGER_PAUSE_S / 2
    assert said.lines == [(None, "reason 0"), (None, "reason 2")]
