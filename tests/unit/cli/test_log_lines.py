"""Lines of nodes' logs: in the order of time, and as people read them."""

from __future__ import annotations

import datetime
import json

import pytest

from cli.log_lines import as_text, in_order, parse


def line(second: float, event: str, **fields: object) -> str:
    """A line as a node writes it; the microseconds are left out where they are none, as Python does."""
    moment = datetime.datetime(2026, 11, 21, 5, 0, tzinfo=datetime.UTC) + datetime.timedelta(seconds=second)
    timestamp = moment.isoformat().replace("+00:00", "Z")
    return json.dumps({"node": "x", "event": event, "level": "info", "timestamp": timestamp, **fields})


def test_two_logs_become_one() -> None:
    """By time, not by text: a moment without microseconds comes before those within its second."""
    first = [parse("alpha-1", line(second, "e")) for second in (1, 2.5, 3)]
    second = [parse("bravo-1", line(second, "e")) for second in (1.25, 2, 3)]
    merged = in_order([first, second])
    assert [each.node[0] for each in merged] == ["a", "b", "b", "a", "a", "b"]


def test_a_line_without_a_time_stays_behind_its_predecessor() -> None:
    """A traceback isn't torn from the line that it follows, nor is it torn apart."""
    first = [parse("alpha-1", raw) for raw in (line(1, "callback_failed"), "Traceback:", "  1 / 0")]
    second = [parse("bravo-1", line(1.5, "e"))]
    assert [each.raw for each in in_order([second, first])][1:3] == ["Traceback:", "  1 / 0"]


def test_a_line_for_people() -> None:
    """When, who, how grave, what, and the fields, in quotation marks where they have spaces."""
    text = as_text(parse("alpha-1", line(1.5, "cannot_start", reason="no disk", height=7)), node_width=9)
    assert text == '2026-11-21 05:00:01.500  alpha-1    info     cannot_start  reason="no disk" height=7'


def test_an_exception_is_shown_under_its_line() -> None:
    """A traceback has lines of its own again."""
    shown = as_text(parse("alpha-1", line(1, "failed", exception="Traceback\n  1 / 0"))).splitlines()
    assert shown[1:] == ["    Traceback", "      1 / 0"]


@pytest.mark.parametrize("raw", ["", "words", "[1]", "7", "{"])
def test_what_is_no_json_is_shown_as_it_is(raw: str) -> None:
    """A log for people, or the last words of a process."""
    assert as_text(parse("alpha-1", raw)) == f"alpha-1  {raw}"


def test_a_time_that_is_none_comes_first() -> None:
    """A field that only has the name doesn't stop the logs from being shown."""
    odd = parse("alpha-1", json.dumps({"timestamp": "yesterday", "event": "e"}))
    assert in_order([[parse("bravo-1", line(1, "e"))], [odd]])[0] is odd
