"""Lines of nodes' logs: understood, put in the order of time, and written for people.

It must not know what the events mean.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ENVELOPE = ("timestamp", "node", "level", "event", "exception")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a node's log. `fields` is None where the line is no JSON: a traceback, or words for people.

    `timestamp` is ISO 8601 in UTC, empty where the line has none.
    """

    node: str
    raw: str
    timestamp: str
    fields: Mapping[str, Any] | None


def parse(node: str, raw: str) -> LogLine:
    """A line of a node's log; one that can't be understood is kept as it is."""
    try:
        fields = json.loads(raw)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return LogLine(node, raw, "", None)
    return LogLine(node, raw, str(fields.get("timestamp", "")), fields)


def in_order(logs: Iterable[Iterable[LogLine]]) -> list[LogLine]:
    """The lines of several logs in the order of time; lines without one stay behind their predecessors."""
    keyed = []
    for log in logs:
        last = ""
        for place, line in enumerate(log):
            last = line.timestamp or last
            keyed.append((_moment(last), line.node, place, line))
    return [line for *_, line in sorted(keyed, key=lambda each: each[:3])]


def as_text(line: LogLine, node_width: int = 0) -> str:
    """A line for people: when, which node (in a column of that width), how grave, what, and the fields."""
    node = line.node.ljust(node_width)
    if line.fields is None:
        return f"{node}  {line.raw}"
    shown = [f"{name}={_value(value)}" for name, value in line.fields.items() if name not in ENVELOPE]
    when = line.timestamp[:23].replace("T", " ")
    level, event = str(line.fields.get("level", "")), str(line.fields.get("event", ""))
    text = f"{when}  {node}  {level:<7}  {event}  {' '.join(shown)}".rstrip()
    trace = str(line.fields.get("exception", ""))
    return "\n    ".join([text, *trace.splitlines()])


def _moment(timestamp: str) -> datetime.datetime:
    """A timestamp as a moment; what is none comes first."""
    try:
        return datetime.datetime.fromisoformat(timestamp).astimezone(datetime.UTC)
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _value(value: object) -> str:
    """A field's value; a text with spaces in it in quotation marks."""
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text, ensure_ascii=False) if " " in text and isinstance(value, str) else text
