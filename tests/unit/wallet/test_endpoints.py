"""Which node is asked next: rotation, backoff, Retry-After and leader hints, by the test's own clock."""

from __future__ import annotations

import pytest

from wallet.endpoints import (
    FIRST_BACKOFF_S,
    MOST_BACKOFF_S,
    MOST_ENDPOINTS,
    MOST_RETRY_AFTER_S,
    Endpoints,
    parse_retry_after,
)

A, B, C = "https://a:1", "https://b:1", "https://c:1"


def no_jitter() -> float:
    return 0.0


def most_jitter() -> float:
    return 1.0


def test_first_in_order() -> None:
    """Without news the first URL is asked, at once; a slash at the end and doubles don't matter."""
    endpoints = Endpoints([A + "/", B, A], no_jitter)
    assert endpoints.next(0.0) == (A, 0.0)
    assert len(endpoints) == 2


def test_failure_turns_to_the_next() -> None:
    """A node that failed is left alone while others are free, and asked again when its time has come."""
    endpoints = Endpoints([A, B], no_jitter)
    endpoints.failed(A, 10.0)
    assert endpoints.next(10.0) == (B, 0.0)
    endpoints.failed(B, 10.0, retry_after_s=3.0)
    url, wait_s = endpoints.next(10.0)
    assert url == A
    assert wait_s == pytest.approx(FIRST_BACKOFF_S / 2)


def test_backoff_doubles_up_to_its_most() -> None:
    """Each failure doubles the wait; the jitter is half of it; success starts anew."""
    for random, share in ((no_jitter, 0.5), (most_jitter, 1.0)):
        endpoints = Endpoints([A], random)
        waits = []
        for _ in range(12):
            endpoints.failed(A, 0.0)
            waits.append(endpoints.next(0.0)[1])
        expected = [min(MOST_BACKOFF_S, FIRST_BACKOFF_S * 2**n) * share for n in range(12)]
        assert waits == pytest.approx(expected)
        assert waits[-1] == pytest.approx(MOST_BACKOFF_S * share)
        endpoints.worked(A)
        assert endpoints.next(0.0) == (A, 0.0)
        endpoints.failed(A, 0.0)
        assert endpoints.next(0.0)[1] == pytest.approx(FIRST_BACKOFF_S * share)


@pytest.mark.parametrize(
    ("asked_s", "waited_s"), [(0.0, FIRST_BACKOFF_S / 2), (7.0, 7.0), (60.0, 60.0), (61.0, 60.0)]
)
def test_retry_after(asked_s: float, waited_s: float) -> None:
    """What a node asks for is kept, but never less than the backoff nor more than a minute."""
    endpoints = Endpoints([A], no_jitter)
    endpoints.failed(A, 5.0, retry_after_s=asked_s)
    assert endpoints.next(5.0)[1] == pytest.approx(waited_s)
    assert MOST_RETRY_AFTER_S == 60.0


def test_what_worked_is_asked_first() -> None:
    """The node that answered last is the first to be asked again."""
    endpoints = Endpoints([A, B], no_jitter)
    endpoints.worked(B)
    assert endpoints.next(0.0) == (B, 0.0)


def test_hint_is_followed() -> None:
    """A leader that was named is asked next, whether its URL was known or not."""
    endpoints = Endpoints([A, B], no_jitter)
    endpoints.hint(B, A)
    assert endpoints.next(0.0)[0] == B
    endpoints.hint(C + "/", B)
    assert endpoints.next(0.0)[0] == C


def test_hint_to_a_node_that_failed() -> None:
    """A hint doesn't end the pause of a node that has just failed."""
    endpoints = Endpoints([A, B], no_jitter)
    endpoints.failed(B, 0.0)
    endpoints.hint(B, A)
    assert endpoints.next(0.0)[0] == A


@pytest.mark.parametrize(
    "url", ["http://c:1", "ftp://c", "", "https://user@c", "https://", "javascript:1", "https://[bad"]
)
def test_hint_that_is_not_followed(url: str) -> None:
    """A hint out of TLS, or to what is no node's URL, changes nothing."""
    endpoints = Endpoints([A], no_jitter)
    endpoints.hint(url, A)
    assert len(endpoints) == 1
    assert endpoints.next(0.0)[0] == A


def test_most_endpoints() -> None:
    """As many nodes as the limit are known; a hint to one more is not followed."""
    endpoints = Endpoints([f"https://n{n}:1" for n in range(MOST_ENDPOINTS)], no_jitter)
    endpoints.hint(A, "https://n0:1")
    assert len(endpoints) == MOST_ENDPOINTS
    with pytest.raises(ValueError, match="64"):
        Endpoints([f"https://n{n}:1" for n in range(MOST_ENDPOINTS + 1)], no_jitter)


@pytest.mark.parametrize("urls", [[], ["a:1"], ["https://a?x=1"], ["https://"]])
def test_bad_urls(urls: list[str]) -> None:
    """No URL, or one that is none, is the caller's mistake."""
    with pytest.raises(ValueError, match="URL"):
        Endpoints(urls, no_jitter)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("9" * 13, None),
    ],
)
def test_retry_after_header(value: str | None, seconds: float | None) -> None:
    """Whole seconds are read; dates and nonsense are as if the header weren't there."""
    assert parse_retry_after(value) == seconds
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT") is None
