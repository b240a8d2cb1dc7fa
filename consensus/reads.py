"""Linearizable reads: by ReadIndex rounds, or by a lease where that is switched on (thesis 6.4, 6.4.1).

It must not know what is read, nor who waits for the answer: a read is its context, and the caller that lost
an answer (a change of leader drops waiting reads) asks again.
"""

from consensus.errors import MalformedMessage, NoLeader, TooManyReads
from consensus.messages import (
    MAX_CONTEXT_BYTES,
    HeartbeatReply,
    ReadIndexReply,
    ReadIndexRequest,
    ReadState,
)
from consensus.read_rounds import Read
from consensus.replication import send_heartbeats
from consensus.state import Role, State


def read_index(state: State, context: bytes) -> None:
    """Ask for a read index: of oneself as leader, else of the leader; raises NoLeader or TooManyReads."""
    if len(context) > MAX_CONTEXT_BYTES:
        raise MalformedMessage(
            f"a read's context has {len(context)} bytes; at most {MAX_CONTEXT_BYTES} are taken"
        )
    if state.leader_id is None:
        raise NoLeader
    if state.role is Role.LEADER:
        state.reads.add(Read(state.id, context))
    else:
        state.send(ReadIndexRequest(state.id, state.leader_id, state.term, context))


def handle_read_request(state: State, message: ReadIndexRequest) -> None:
    """A follower's read joins the leader's next round; over the limit it is dropped, and the follower asks
    again.
    """
    if state.role is not Role.LEADER:
        return
    try:
        state.reads.add(Read(message.sender, message.context))
    except TooManyReads:
        return


def handle_read_reply(state: State, message: ReadIndexReply) -> None:
    """The leader has confirmed a read of this node."""
    state.outbox.read_states.append(ReadState(message.index, message.context))


def handle_heartbeat_reply(state: State, message: HeartbeatReply) -> None:
    """A follower confirms that this is its leader as of the echoed round; a quorum releases the round's
    reads.
    """
    peer = state.peers[message.sender]
    peer.recently_active = True
    peer.heartbeat_answered(state.log.last_index)
    state.reads.acknowledge(message.sender, message.read_round)
    _release(state)


def wants_round(state: State) -> bool:
    """Whether reads wait for a round that may begin: none may before the leader has committed in its own
    term.
    """
    return state.role is Role.LEADER and state.reads.has_new() and state.has_committed_in_term()


def start_round(state: State) -> None:
    """Begin the round for the reads that have come since the last one; a lease, where used, answers them at
    once.
    """
    if state.config.lease_reads and state.reads.holds_lease(state.ticks, lease_ticks(state)):
        for read in state.reads.take_new():
            _answer(state, read, state.log.commit)
        return
    state.reads.acknowledge(state.id, state.reads.start_round(state.log.commit, state.ticks))
    send_heartbeats(state)
    _release(state)


def renew_lease(state: State) -> None:
    """Where leases are used, every heartbeat is a round, so that its answers prolong the lease."""
    if state.config.lease_reads and state.has_committed_in_term():
        state.reads.acknowledge(state.id, state.reads.start_round(state.log.commit, state.ticks))


def lease_ticks(state: State) -> int:
    """Half of what voters grant: clocks may run up to twice as fast as one another."""
    return state.config.election_ticks // 2


def _release(state: State) -> None:
    for confirmed in state.reads.release(state.membership):
        for read in confirmed.reads:
            _answer(state, read, confirmed.index)


def _answer(state: State, read: Read, index: int) -> None:
    if read.requester == state.id:
        state.outbox.read_states.append(ReadState(index, read.context))
    else:
        state.send(ReadIndexReply(state.id, read.requester, state.term, index, read.context))
