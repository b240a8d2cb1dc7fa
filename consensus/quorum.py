"""What counts as agreement in a membership: majorities, and both majorities while it is joint (thesis 4.3).

It must not know messages, logs or roles: it counts answers that it is given.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum

from consensus.messages import Membership, NodeId


class VoteResult(Enum):
    """How an election stands."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(size: int) -> int:
    """The smallest number of nodes that any two sets of which must overlap."""
    return size // 2 + 1


def committed_index(membership: Membership, match: Callable[[NodeId], int]) -> int:
    """The highest index held by a quorum, where `match(node)` is the highest index known to be on that
    node's disk.
    """
    index = _majority_index(membership.voters, match)
    if membership.outgoing:
        index = min(index, _majority_index(membership.outgoing, match))
    return index


def vote_result(membership: Membership, votes: Mapping[NodeId, bool]) -> VoteResult:
    """Won once a quorum has granted; lost once a quorum can no longer grant."""
    results = [_majority_vote(membership.voters, votes)]
    if membership.outgoing:
        results.append(_majority_vote(membership.outgoing, votes))
    if VoteResult.LOST in results:
        return VoteResult.LOST
    return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON


def has_quorum(membership: Membership, nodes: Collection[NodeId]) -> bool:
    """Whether `nodes` contains a quorum."""
    return vote_result(membership, dict.fromkeys(nodes, True)) is VoteResult.WON


def _majority_index(voters: tuple[NodeId, ...], match: Callable[[NodeId], int]) -> int:
    if not voters:
        return 0
    held = sorted((match(node) for node in voters), reverse=True)
    return held[majority(len(voters)) - 1]


def _majority_vote(voters: tuple[NodeId, ...], votes: Mapping[NodeId, bool]) -> VoteResult:
    needed = majority(len(voters))
    granted = sum(1 for node in voters if votes.get(node) is True)
    refused = sum(1 for node in voters if votes.get(node) is False)
    if granted >= needed:
        return VoteResult.WON
    return VoteResult.LOST if len(voters) - refused < needed else VoteResult.PENDING
