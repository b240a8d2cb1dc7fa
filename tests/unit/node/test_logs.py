"""The node's log: one line an event, in the form that was asked for, above the level that was asked for."""

from __future__ import annotations

import io
import json
import logging

from node.config import LogSection
from node.logs import open_log


def test_json_lines_carry_the_event_its_fields_and_the_node() -> None:
    """A machine reads each line by itself."""
    stream = io.StringIO()
    open_log(LogSection(format="json"), node="alpha-1", stream=stream).info("started", height=7)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["height"], line["node"], line["level"]) == ("started", 7, "alpha-1", "info")
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_left_out() -> None:
    """At warning, info is silent and a warning isn't."""
    stream = io.StringIO()
    log = open_log(LogSection(format="json", level="warning"), node="alpha-1", stream=stream)
    log.info("started")
    assert stream.getvalue() == ""
    log.warning("late")
    assert json.loads(stream.getvalue())["event"] == "late"


def test_an_exception_is_one_field_of_its_line() -> None:
    """A traceback doesn't tear a JSON log apart."""
    stream = io.StringIO()
    log = open_log(LogSection(format="json"), node="alpha-1", stream=stream)
    log.error("failed", exc_info=ValueError("the reason"))
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: the reason" in json.loads(stream.getvalue())["exception"]


def test_the_console_form_has_words_and_no_colours_where_there_is_no_terminal() -> None:
    """For people, and for files that people read."""
    stream = io.StringIO()
    open_log(LogSection(format="console"), node="alpha-1", stream=stream).info("started", height=7)
    assert "started" in stream.getvalue()
    assert "height=7" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_what_libraries_log_comes_out_in_the_same_form() -> None:
    """A warning of uvicorn's is a JSON line too."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    try:
        open_log(LogSection(format="json"), node="alpha-1", stream=stream)
        logging.getLogger("uvicorn.error").warning("odd request")
    finally:
        root.handlers = handlers
        root.setLevel(level)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["node"]) == ("odd request", "alpha-1")
