"""Replication: appends out, acknowledgements in, and what is committed (paper 5.3, 5.4.2; thesis 3.6.2,
10.2.1).

It must not know elections, or how reads are confirmed. Appends are made when a Ready is taken, so that
everything proposed meanwhile goes to a follower as one message.
"""

from consensus.errors import InvariantBroken
from consensus.log import entry_size_bytes
from consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    NodeId,
)
from consensus.progress import Progress
from consensus.quorum import committed_index
from consensus.state import Role, State


def wants_to_send(state: State) -> bool:
    """Whether `send_appends` would send anything."""
    last, commit = state.log.last_index, state.log.commit
    for peer in state.peers.values():
        if peer.wants_append(last, commit) or peer.wants_snapshot_offer():
            return True
    return False


def send_appends(state: State) -> None:
    """Send every peer what it lacks, as far as its window allows."""
    for node, peer in state.peers.items():
        if peer.wants_snapshot_offer():
            _offer_snapshot(state, node, peer)
        while peer.wants_append(state.log.last_index, state.log.commit):
            _send_append(state, node, peer)


def send_heartbeats(state: State) -> None:
    """Tell every peer that this leader is alive, and which read round is the newest (paper 5.2; thesis
    6.4).
    """
    for node, peer in state.peers.items():
        commit = min(peer.match, state.log.commit)
        state.send(Heartbeat(state.id, node, state.term, commit, state.reads.number))


def handle_append(state: State, message: AppendEntries) -> None:
    """A follower's part of AppendEntries (paper figure 2); the acknowledgement waits for the disk."""
    log = state.log
    if message.prev_log_index < log.first_index - 1:
        _acknowledge(state, message.sender, log.commit)
    elif log.matches(message.prev_log_index, message.prev_log_term):
        log.accept(message.entries)
        last_new = message.prev_log_index + len(message.entries)
        log.commit_to(min(message.commit, last_new))
        _acknowledge(state, message.sender, last_new)
    elif message.prev_log_index <= log.commit:
        raise InvariantBroken(
            f"entry {message.prev_log_index} is committed here, but the leader {message.sender} "
            f"of term {state.term} has another one of term {message.prev_log_term}"
        )
    else:
        hint = log.last_index_of_term_at_most(message.prev_log_index, message.prev_log_term)
        state.send(
            AppendEntriesReply(
                state.id, message.sender, state.term, False, message.prev_log_index, hint, log.term(hint)
            )
        )


def handle_append_reply(state: State, peer: Progress, message: AppendEntriesReply) -> None:
    """A leader's part of the reply. A claim to hold more than this leader's log is nobody's match:
    ignored.
    """
    peer.recently_active = True
    if not message.success:
        peer.refused(message.index, _probe_from(state, message))
    elif message.index <= state.log.last_index and peer.acknowledged(message.index, state.log.first_index):
        advance_commit(state)


def handle_heartbeat(state: State, message: Heartbeat) -> None:
    """A follower's part of a heartbeat: it answers at once, as nothing is promised."""
    state.log.commit_to(message.commit)
    state.send(HeartbeatReply(state.id, message.sender, state.term, message.read_round))


def handle_snapshot(state: State, message: InstallSnapshot) -> None:
    """Begin again after a snapshot, unless this log already holds the place it covers (paper figure 13)."""
    meta = message.meta
    if meta.index <= state.log.commit:
        _acknowledge(state, message.sender, state.log.commit)
        return
    if state.log.matches(meta.index, meta.term):
        state.log.commit_to(meta.index)
    else:
        state.log.restore(meta)
    _acknowledge(state, message.sender, meta.index)


def advance_commit(state: State) -> None:
    """Commit what a quorum holds on disk, if the last of it is of the current term (thesis 3.6.2, paper
    figure 8).
    """
    if state.role is not Role.LEADER:
        return
    index = committed_index(state.membership, lambda node: _match(state, node))
    if index > state.log.commit and state.log.term(index) == state.term:
        state.log.commit_to(index)
        _release_uncommitted(state)
        _step_down_if_removed(state)


def append_own(state: State, entry: Entry) -> None:
    """Put a proposal at the end of the leader's log; it leaves with the next Ready.

    A membership holds from here on, long before it is committed (thesis 4.1).
    """
    state.log.append(entry)
    if entry.type is EntryType.MEMBERSHIP:
        state.adopt_membership()
    size_bytes = entry_size_bytes(entry)
    state.uncommitted.append((entry.index, size_bytes))
    state.uncommitted_bytes += size_bytes


def _step_down_if_removed(state: State) -> None:
    """A leader that a committed membership leaves out leads no longer than that (thesis 4.2.2); the others
    still hear from it that this is committed.
    """
    log = state.log
    if log.membership_index <= log.commit and not log.membership.is_voter(state.id):
        send_appends(state)
        state.become_follower(state.term, None)


def _match(state: State, node: NodeId) -> int:
    """What a node has synced, as far as is known; the leader's own copy counts only once it is synced,
    too.
    """
    if node == state.id:
        return state.log.stable
    peer = state.peers.get(node)
    return peer.match if peer else 0


def _release_uncommitted(state: State) -> None:
    """Give back the room of the proposals of this term that are committed now."""
    while state.uncommitted and state.uncommitted[0][0] <= state.log.commit:
        state.uncommitted_bytes -= state.uncommitted.popleft()[1]


def _send_append(state: State, node: NodeId, peer: Progress) -> None:
    log, previous = state.log, peer.next - 1
    if previous < log.first_index - 1:
        _offer_snapshot(state, node, peer)
        return
    entries = log.entries_from(peer.next, state.config.max_append_bytes)
    state.send(AppendEntries(state.id, node, state.term, previous, log.term(previous), entries, log.commit))
    size = sum(entry_size_bytes(entry) for entry in entries)
    peer.sent_append(previous + len(entries), size, log.commit)


def _offer_snapshot(state: State, node: NodeId, peer: Progress) -> None:
    """The peer needs what is compacted here: only a snapshot can help it."""
    meta = state.log.snapshot_to_offer()
    state.send(InstallSnapshot(state.id, node, state.term, meta))
    peer.sent_snapshot(meta.index)


def _acknowledge(state: State, leader: NodeId, index: int) -> None:
    state.send_when_durable(AppendEntriesReply(state.id, leader, state.term, True, index, 0, 0))


def _probe_from(state: State, message: AppendEntriesReply) -> int:
    """Where to probe next: in the leader's log, the last entry whose term isn't above the hint's (paper
    5.3).
    """
    if message.hint_index < state.log.first_index - 1:
        return message.hint_index
    return state.log.last_index_of_term_at_most(message.hint_index, message.hint_term)
