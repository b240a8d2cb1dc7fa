"""The exit codes of `nostro`, which scripts rely upon; it must not know any command."""

from enum import IntEnum


class Exit(IntEnum):
    """How a run ended. The numbers never change."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    UNKNOWN = 6
    VIOLATION = 10
