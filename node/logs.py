"""The node's log: one line an event to stderr, as JSON for machines or coloured words for people.

It knows nothing of what is logged. Lines from libraries that use the standard logging come out in
the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol, TextIO

import structlog

from node.config import LogSection
from node.ports import Log

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class BindableLog(Log, Protocol):
    """A log that can carry fields along."""

    def bind(self, **fields: Any) -> BindableLog:
        """The same log with these fields on every line."""
        ...


def open_log(section: LogSection, *, node: str, stream: TextIO | None = None) -> BindableLog:
    """A log whose every line carries the node's id; to stderr unless another stream is given."""
    stream = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        _naming(node),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks belong to programmer's errors; in JSON they are one field, not many lines.
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if section.format == "json"
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    _route_standard_logging(stream, shared, rendering, _LEVELS[section.level])
    log: BindableLog = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[section.level]),
    ).bind()
    return log


def _naming(node: str) -> structlog.typing.Processor:
    """Every line carries the node's id, what libraries say too."""

    def name(
        _logger: Any, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.ProcessorReturnValue:
        return {"node": node, **event}

    return name


def _route_standard_logging(
    stream: TextIO,
    shared: list[structlog.typing.Processor],
    rendering: list[structlog.typing.Processor],
    level: int,
) -> None:
    """Libraries say little worth keeping below a warning."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
