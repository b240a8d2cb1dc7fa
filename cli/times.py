"""Times as people read them; it must not know what happened at them."""

from __future__ import annotations

import datetime


def utc(time_ms: int) -> str:
    """Milliseconds since 1970 as `2026-01-31 12:00:00.000Z`, always in UTC: banks sit in several zones."""
    moment = datetime.datetime.fromtimestamp(time_ms / 1_000, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{time_ms % 1_000:03}Z"
