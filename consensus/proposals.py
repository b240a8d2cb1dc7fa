"""What a leader may append now, and what it is asked to append: openings, changes of membership, the rest.

It must not know how entries travel or commit, nor what their data means.
"""

from consensus.errors import (
    MembershipUncommitted,
    NotLeader,
    ProposalTooLarge,
    TermAlreadyOpened,
    TermNotOpened,
    TermUncommitted,
    TransferInProgress,
    UncommittedFull,
)
from consensus.log import entry_size_bytes
from consensus.membership import check_step
from consensus.messages import Entry, EntryType
from consensus.replication import append_own
from consensus.state import Role, State


def propose(state: State, entry: Entry) -> None:
    """Append the entry as leader; raises what Raft.propose says."""
    _check(state, entry)
    if entry.type is EntryType.OPENING:
        state.opened = True
    if entry.type is EntryType.MEMBERSHIP:
        _check_membership(state, entry)
    append_own(state, entry)


def must_open(state: State) -> int | None:
    """The term that this leader has still to open; not while it is handing over."""
    waits = state.role is Role.LEADER and not state.opened and state.transferee is None
    return state.term if waits else None


def must_leave_joint(state: State) -> bool:
    """Whether this leader should propose the end of a joint membership now: its entry is committed."""
    return (
        state.role is Role.LEADER
        and bool(state.membership.outgoing)
        and state.log.membership_index <= state.log.commit
        and state.has_committed_in_term()
    )


def has_to_remind(state: State) -> bool:
    """Whether there is an opening or an end to ask for that no Ready has asked for lately."""
    if not state.open_announced and must_open(state) is not None:
        return True
    return not state.leave_announced and must_leave_joint(state)


def _check(state: State, entry: Entry) -> None:
    limit, size = state.config.max_uncommitted_bytes, entry_size_bytes(entry)
    opening = entry.type is EntryType.OPENING
    if state.role is not Role.LEADER:
        raise NotLeader(state.leader_id)
    if state.transferee is not None:
        raise TransferInProgress(state.transferee)
    if opening and state.opened:
        raise TermAlreadyOpened(state.term)
    if not opening and not state.opened:
        raise TermNotOpened(state.term)
    if size > limit:
        raise ProposalTooLarge(size, limit)
    if state.uncommitted_bytes + size > limit:
        raise UncommittedFull(limit)


def _check_membership(state: State, entry: Entry) -> None:
    """One change at a time, and none before this term has committed: else two leaders could each work with
    a membership that the other doesn't know (Ongaro's correction of 2015 to thesis 4.1).
    """
    if not state.has_committed_in_term():
        raise TermUncommitted(state.term)
    if state.log.membership_index > state.log.commit:
        raise MembershipUncommitted(state.log.membership_index)
    check_step(state.membership, state.config.membership_in(entry.data))
