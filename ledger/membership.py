"""Who votes and who learns: membership as a value, and the one next step towards what was decided.

Membership is a fact of the chain: a block's header carries the whole membership that it puts in force, which
follows from its parent's and from the decision in force. It must not know state, blocks, or when a leader
takes a step. The terms are those of Raft's joint consensus (thesis, chapter 4). Layouts: formats.md, 6.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from ledger.codec import Record, optional
from ledger.fields import NodeId, OptionalNodeId, Uint


class Membership(Record, frozen=True):
    """Node ids, each list ascending. While `outgoing` is not empty, `voters` and it decide jointly."""

    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()

    def __contains__(self, node: str) -> bool:
        """Whether the node is in any of the lists."""
        return node in self.voters or node in self.outgoing or node in self.learners

    def votes(self, node: str) -> bool:
        """Whether the node's vote counts, in the incoming or in the outgoing set."""
        return node in self.voters or node in self.outgoing

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node in it, ascending."""
        return _ascending({*self.voters, *self.outgoing, *self.learners})

    @property
    def certifiers(self) -> tuple[str, ...]:
        """The nodes whose seals count for the next block: the outgoing voters until they have left."""
        return self.outgoing or self.voters


class Decision(Record, frozen=True):
    """What the members want: a node to come in (to vote, or only to learn), one to go, or both at once."""

    add: OptionalNodeId = ()
    voting: bool = False
    remove: OptionalNodeId = ()


class Change(Record, frozen=True):
    """What a header carries: the membership after its block, and the version of the decision it follows."""

    decision_version: Uint
    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...]
    learners: tuple[NodeId, ...]

    @property
    def membership(self) -> Membership:
        """The membership after the block."""
        return Membership(self.voters, self.outgoing, self.learners)


OptionalChange: TypeAlias = Annotated[tuple[Change, ...], Meta(max_length=1)]


class MembershipRecord(Record, frozen=True):
    """The membership in force as the registry has it; `version` counts the changes, genesis's is 1."""

    version: Uint
    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...]
    learners: tuple[NodeId, ...]
    changed_height: Uint

    @property
    def membership(self) -> Membership:
        """The membership as a value."""
        return Membership(self.voters, self.outgoing, self.learners)


def next_membership(current: Membership, decision: Decision) -> Membership | None:
    """The one next step from `current` towards `decision`, or None where there is nothing left to do.

    A node comes in as a learner; voters change jointly; whoever leaves the voters learns on, and is dropped
    last. The only voter never leaves: a decision that asks for it ends there.
    """
    if current.outgoing:
        return _leave_joint(current)
    add, remove = optional(decision.add), optional(decision.remove)
    if add is not None and add not in current:
        return Membership(current.voters, (), _ascending({*current.learners, add}))
    promoted = {add} if add is not None and decision.voting and add in current.learners else set[str]()
    demoted = {remove} if remove is not None and remove in current.voters else set[str]()
    voters = ({*current.voters} | promoted) - demoted
    if (promoted or demoted) and voters:
        learners = _ascending({*current.learners} - promoted)
        return Membership(_ascending(voters), current.voters, learners)
    if remove is not None and remove in current.learners:
        return Membership(current.voters, (), _ascending({*current.learners} - {remove}))
    return None


def is_finished(current: Membership, decision: Decision) -> bool:
    """Whether everything that was decided is carried out."""
    return next_membership(current, decision) is None


def next_change(current: Membership, decision: tuple[int, Decision]) -> Change | None:
    """The next step as a header carries it; `decision` is the one in force, with its version before it."""
    version, wanted = decision
    following = next_membership(current, wanted)
    if following is None:
        return None
    return Change(version, following.voters, following.outgoing, following.learners)


def _leave_joint(current: Membership) -> Membership:
    """Joint consensus ends: who was outgoing and does not vote learns on, so that it gets this very block."""
    left = {*current.outgoing} - {*current.voters}
    return Membership(current.voters, (), _ascending({*current.learners} | left))


def _ascending(nodes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(nodes))
