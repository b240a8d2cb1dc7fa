"""What must hold of memberships: each committed one follows the last so that no two quorums miss each other.

It must not know how a core decides what may follow: it tries all quorums. Committed memberships are facts of
the whole cluster, so that every snapshot and every log is judged by the same ones.
"""

from collections import Counter
from collections.abc import Set

from consensus.messages import InstallSnapshot, Membership, NodeId
from tests.simulation.report import Violation


class Agreement:
    """The committed memberships of one cluster, with the index of each."""

    def __init__(self, first: Membership, counts: Counter[str]) -> None:
        """The first membership is in force from the start."""
        self._counts = counts
        self._committed: list[tuple[int, Membership]] = [(0, first)]

    @property
    def membership(self) -> Membership:
        """The last that is committed."""
        return self._committed[-1][1]

    def choose(self, node: NodeId, index: int, membership: Membership, committed: int) -> None:
        """The log of `node`, committed up to `committed`, says this membership at `index`."""
        last, current = self._committed[-1]
        if index > committed or membership == self._at(index):
            return
        if index <= last:
            raise Violation(f"{node} says {membership} at {index}, where {self._at(index)} was committed")
        if missed := _quorums_that_miss(current, membership):
            raise Violation(
                f"{missed} is a quorum of {current}, and none of it of {membership}, which follows"
            )
        self._committed.append((index, membership))
        self._counts[f"memberships committed: {_kind(current, membership)}"] += 1
        if not membership.is_voter(node):
            self._counts["leaders left out"] += 1

    def check_leader(
        self, node: NodeId, commit: int, chosen: int, memberships: list[tuple[int, Membership]]
    ) -> None:
        """A leader changes one thing at a time, and leads no longer than it is a voter."""
        if sum(index > chosen for index, _ in memberships) > 1:
            raise Violation(f"{node} has two changes of membership under way: {memberships}")
        index, newest = memberships[-1]
        if index <= commit and not newest.is_voter(node):
            raise Violation(f"{node} leads, but {newest}, which it knows to be committed, leaves it out")

    def check_snapshot(self, offer: InstallSnapshot) -> None:
        """An offered snapshot names the membership that is in force at its place."""
        index, offered, in_force = offer.meta.index, offer.meta.membership, self._at(offer.meta.index)
        if offered != in_force:
            raise Violation(f"{offer.sender} offers a snapshot at {index} with {offered}, not {in_force}")

    def _at(self, index: int) -> Membership:
        return next(each for start, each in reversed(self._committed) if start <= index)


def is_quorum(membership: Membership, nodes: Set[NodeId]) -> bool:
    """Whether these nodes are a majority of each set of voters."""
    return all(
        2 * len(nodes & set(voters)) > len(voters)
        for voters in (membership.voters, membership.outgoing)
        if voters or voters is membership.voters
    )


def _quorums_that_miss(one: Membership, other: Membership) -> set[NodeId]:
    """A quorum of `one` without any node of some quorum of `other`; empty if there is none."""
    nodes = sorted({*one.all_nodes(), *other.all_nodes()})
    for mask in range(1 << len(nodes)):
        chosen = {node for place, node in enumerate(nodes) if mask >> place & 1}
        if is_quorum(one, chosen) and is_quorum(other, set(nodes) - chosen):
            return chosen
    return set()


def _kind(before: Membership, after: Membership) -> str:
    if after.outgoing:
        return "joint"
    if before.outgoing:
        return "left"
    return "learner added" if len(after.learners) > len(before.learners) else "learner retired"
