"""What is said in the log of links that are refused: each thing once, however often the other side knocks.

It must not know why a link is refused. The metric counts all refusals, also those of which nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable

from node.ports import Log

STRANGER_PAUSE_S = 1.0
"""Strangers without a name on the network get one line in this time, all together."""
SAME_AGAIN_S = 600.0
"""A node that is refused for the same reason again gets a line again after this time."""


class Refusals:
    """What was said so far, of whom and when."""

    def __init__(self, log: Log, monotonic_s: Callable[[], float]) -> None:
        """Nothing yet."""
        self._log = log
        self._monotonic_s = monotonic_s
        self._said: dict[str | None, tuple[str, float]] = {}

    def say(self, peer: str | None, reason: str, refused_so_far: int) -> None:
        """A link is refused; `peer` is the node that its certificate names, if it names one."""
        now_s = self._monotonic_s()
        said, at_s = self._said.get(peer, ("", -SAME_AGAIN_S))
        # What strangers do is up to them, so their reasons aren't told apart.
        is_same = peer is None or said == reason
        pause_s = STRANGER_PAUSE_S if peer is None else SAME_AGAIN_S
        if is_same and now_s - at_s < pause_s:
            return
        self._said[peer] = (reason, now_s)
        self._log.warning("peer_refused", peer=peer, reason=reason, refused_so_far=refused_so_far)
