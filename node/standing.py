"""Where this node stands among the others, as one value that the parts of the core read and the driver keeps
current.

It must not know how any of it is found out.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Standing:
    """`has_quorum` turns false some ticks after the last leader was lost. Times are the monotonic clock's."""

    leads: bool = False
    leader_id: str | None = None
    leader_since_ms: int = 0
    has_quorum: bool = True
    stopping: bool = False
    certified: int = 0
