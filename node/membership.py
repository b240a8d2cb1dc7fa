"""The membership of the cluster between the chain and Raft: how blocks name it, and what a leader does next.

It must not know how blocks are proposed or leadership moves. The chain says which step comes next
(ledger/membership.py), Raft whether it may be taken now; here stands when it is wise to take it.
"""

from dataclasses import dataclass

from consensus.messages import EntryType
from consensus.messages import Membership as RaftMembership
from consensus.raft import Status
from ledger.block import Block, Parent, Scheduled, decode_block
from ledger.codec import Malformed
from ledger.membership import Change, Membership, next_change
from ledger.parameters import quorum

CAUGHT_UP_BLOCKS = 32
"""A node this far behind the leader's log or less is present: it won't hold up the next blocks for long."""


def raft_membership(membership: Membership) -> RaftMembership:
    """The chain's membership as the consensus core has it."""
    return RaftMembership(membership.voters, membership.outgoing, membership.learners)


def membership_in(block_raw: bytes) -> RaftMembership:
    """The membership that a block puts in force, which is sent as a MEMBERSHIP entry; raises Malformed."""
    return raft_membership(decode_block(block_raw).header.change[0].membership)


def entry_type(block: Block, parent: Parent) -> EntryType:
    """As which type of entry a block stands in Raft's log."""
    return entry_type_after(block, parent.term)


def entry_type_after(block: Block, parent_term: int) -> EntryType:
    """The same, where only the parent's term is known.

    A recovery block is of a new term too, but it opens none: it puts a membership in force, and whoever is
    elected by that opens a later term.
    """
    if block.header.change:
        return EntryType.MEMBERSHIP
    return EntryType.OPENING if block.header.term > parent_term else EntryType.NORMAL


@dataclass(frozen=True, slots=True)
class Situation:
    """What a leader judges by: the end of its log, what was decided, and how far things have come.

    `certified` is the height up to which this node holds certificates.
    """

    raft: Status
    parent: Parent
    scheduled: Scheduled
    certified: int


def step_due(situation: Situation) -> Change | None:
    """The change that the next block should carry, or None where there is none or it must wait.

    A learner is taken in at once; it votes once it has caught up. A joint membership can't be taken back, so
    it is begun only while enough are present of the old voters and of the new to decide and to certify. It is
    left by one who stays, when its beginning is certified and the old certifiers are there to certify the
    end; who was let go is dropped when that leave is: the old certifiers have then handed over to the new.
    """
    parent, rule = situation.parent, situation.scheduled.parameters.certificate_rule
    change = next_change(parent.membership, situation.scheduled.membership_decision)
    if change is None or situation.raft.membership_index > situation.raft.commit:
        return None
    current, following = parent.membership, change.membership
    is_certified = situation.certified >= situation.raft.membership_index
    if current.outgoing:
        due = is_certified and situation.raft.id in current.voters
        due = due and _can_certify(current.outgoing, rule, _present(situation.raft))
    elif following.outgoing:
        due = _can_begin(following, rule, _present(situation.raft))
    else:
        due = is_certified or not set(current.nodes) - set(following.nodes)
    return change if due else None


def must_hand_over(raft: Status) -> bool:
    """Whether this node leads a joint membership that it won't be a voter of: another must end that."""
    return (
        bool(raft.membership.outgoing)
        and raft.id not in raft.membership.voters
        and raft.membership_index <= raft.commit
        and raft.transferee is None
    )


def _present(raft: Status) -> set[str]:
    """This leader, and the peers that answer and have caught up."""
    close = {
        peer.id
        for peer in raft.peers
        if peer.recently_active and peer.match + CAUGHT_UP_BLOCKS >= raft.last_index
    }
    return {raft.id} | close


def _can_begin(joint: Membership, rule: int, present: set[str]) -> bool:
    added = set(joint.voters) - set(joint.outgoing)
    halves = (joint.voters, joint.outgoing)
    return added <= present and all(_can_certify(half, rule, present) for half in halves)


def _can_certify(nodes: tuple[str, ...], rule: int, present: set[str]) -> bool:
    """Whether those present make a certificate of these nodes; under either rule they are a majority too."""
    try:
        return len(present.intersection(nodes)) >= quorum(rule, len(nodes))
    except Malformed:
        return False
