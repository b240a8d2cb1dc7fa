"""Where this node stands among the others, as one value that the parts of the core read and the driver keeps
current; and what the chain says of its membership.

It must not know how any of it is found out.
"""

from dataclasses import dataclass

from ledger.codec import optional
from ledger.records import RETIRED
from node.intake import Executed
from node.results import MembershipStatus


@dataclass(slots=True)
class Standing:
    """`term` is that of the leader. `has_quorum` turns false some ticks after the last leader was lost. Times
    are the monotonic clock's.
    """

    leads: bool = False
    leader_id: str | None = None
    term: int = 0
    leader_since_ms: int = 0
    has_quorum: bool = True
    stopping: bool = False
    certified: int = 0


def membership_status(node: str, executed: Executed) -> MembershipStatus:
    """The membership after the executed height, as `node` sees it.

    Who is let go hears of nothing after the others stopped voting with it: the block that drops it from the
    learners doesn't reach it any more.
    """
    registry, height = executed.registry, executed.progress.height
    record = registry.membership
    _, decision = registry.membership_decision_at(height + 1)
    known = registry.nodes.get(node)
    is_leaving = optional(decision.remove) == node and not record.membership.votes(node)
    return MembershipStatus(
        version=record.version,
        voters=record.voters,
        outgoing=record.outgoing,
        learners=record.learners,
        is_pending=registry.membership_pending(height),
        is_let_go=is_leaving or (known is not None and known.status == RETIRED),
    )
