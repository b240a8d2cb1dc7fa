"""Which node to ask next, and when: rotation, exponential backoff with jitter, Retry-After, leader hints.

Pure: the time and the randomness are arguments. It must not know HTTP or payments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

FIRST_BACKOFF_S = 0.05
MOST_BACKOFF_S = 5.0
MOST_RETRY_AFTER_S = 60.0
"""A node that asks for a longer pause is asked again after this one all the same."""
MOST_ENDPOINTS = 64
"""Hints to more nodes are not followed, so that a lying one can't send the client around for ever."""


class Endpoints:
    """The base URLs of the nodes known to one client, and which of them to leave alone until when."""

    def __init__(self, urls: Sequence[str], random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1). Raises ValueError without URLs, or for one that is none."""
        normal = [_normal(url) for url in urls]
        if not 1 <= len(set(normal)) <= MOST_ENDPOINTS:
            raise ValueError(
                f"A client needs the URLs of 1 to {MOST_ENDPOINTS} nodes; {len(set(normal))} were given."
            )
        self._urls = list(dict.fromkeys(normal))
        self._random = random
        self._free_at_s: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._urls)

    def next(self, now_s: float) -> tuple[str, float]:
        """The node to ask next, and the seconds to wait before: the first in order that is free soonest."""
        waits = [
            (max(0.0, self._free_at_s.get(url, now_s) - now_s), place) for place, url in enumerate(self._urls)
        ]
        wait_s, place = min(waits)
        return self._urls[place], wait_s

    def worked(self, url: str) -> None:
        """The node answered: ask it first from now on."""
        self._failures.pop(url, None)
        self._free_at_s.pop(url, None)
        self._to_front(url)

    def failed(self, url: str, now_s: float, retry_after_s: float | None = None) -> None:
        """The node didn't serve: leave it alone as long as it asked, or ever longer (with jitter)."""
        failures = self._failures.get(url, 0)
        self._failures[url] = failures + 1
        ceiling_s = min(MOST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures, 16))
        # Half of it is fixed: a delay near zero would hammer a node that has just said no.
        wait_s = ceiling_s * (1 + self._random()) / 2
        if retry_after_s is not None:
            wait_s = min(max(wait_s, retry_after_s), MOST_RETRY_AFTER_S)
        self._free_at_s[url] = now_s + wait_s

    def hint(self, leader_url: str, said_by: str) -> None:
        """Ask the node at `leader_url` next, unless it has just failed.

        A hint is followed only over the scheme of the node that gave it: nobody talks a client out of TLS.
        """
        try:
            url = _normal(leader_url)
        except ValueError:
            return
        if urlsplit(url).scheme != urlsplit(said_by).scheme:
            return
        if url not in self._urls:
            if len(self._urls) >= MOST_ENDPOINTS:
                return
            self._urls.append(url)
        self._to_front(url)

    def _to_front(self, url: str) -> None:
        if url in self._urls:
            self._urls.remove(url)
            self._urls.insert(0, url)


def parse_retry_after(value: str | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, section 10.2.3); None for its date form and all else."""
    if value is None or not value.isascii() or not value.strip().isdigit() or len(value) > 12:
        return None
    return float(value)


def _normal(url: str) -> str:
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or parts.query
    ):
        raise ValueError(f"{url!r} is not a node's URL such as https://bank.example:8443.")
    return url.rstrip("/")
