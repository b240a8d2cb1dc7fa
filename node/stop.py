"""Whether the node is to stop, and why: a signal, the end of stdin, what the driver found, or a bug.

It knows nothing of how the node is taken down.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from node.halting import stop_word
from node.ports import Log
from node.results import StopReason


class StopRequest:
    """`asked` is set once somebody wants the node to stop; `reason` is set where the node itself does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        """Nobody has asked yet."""
        self.asked = asyncio.Event()
        self.reason: StopReason | None = None
        self._loop = loop
        self._log = log

    def listen(self, until_stdin_closes: bool) -> None:
        """Let SIGTERM and SIGINT ask, and the end of stdin if that is wanted."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.asked.set)
        if until_stdin_closes:
            self._loop.add_reader(sys.stdin.fileno(), self._stdin_readable)

    def itself(self, reason: StopReason) -> None:
        """The node can't go on; the first reason is the one that counts."""
        if self.reason is None:
            self.reason = reason
        self.asked.set()

    def over(self, error: BaseException) -> None:
        """The node can't go on over what was met, where it serves others."""
        self.itself(StopReason(stop_word(error), str(error)))

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody caught: in a callback of the loop it is a bug, and the node stops.

        Where it has no handle it is a broken connection or the like, which concerns that connection only.
        """
        error = context.get("exception")
        fields = {"message": context.get("message"), "error": repr(error)}
        if context.get("handle") is None or error is None:
            self._log.warning("connection_error", **fields)
            return
        self._log.error("callback_failed", exc_info=error, **fields)
        self.itself(StopReason("internal", repr(error)))

    def _stdin_readable(self) -> None:
        if not os.read(sys.stdin.fileno(), 4_096):
            self._loop.remove_reader(sys.stdin.fileno())
            self.asked.set()
