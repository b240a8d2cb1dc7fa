"""What an examination of a node finds: one finding a check, for people and programs.

It must not know any check.
"""

from __future__ import annotations

import msgspec

OK, WARNING, FAILED = "ok", "warning", "failed"


class Finding(msgspec.Struct, frozen=True):
    """One check: `result` is OK, WARNING (it works, and won't for ever) or FAILED (it doesn't work).

    `what` says what was found, in one line; `remedy` what to do, empty where nothing is to be done.
    """

    check: str
    result: str
    what: str
    remedy: str = ""


def failed(check: str, error: Exception) -> Finding:
    """A finding from an error of which the last sentence is what to do, as this program writes them."""
    what, stop, remedy = str(error).rstrip().removesuffix(".").rpartition(". ")
    return Finding(check, FAILED, f"{what}." if stop else f"{remedy}.", f"{remedy}." if stop else "")
