"""Elections: timeouts, pre-votes, votes, and stepping down when the quorum is silent (paper 5.2, 5.4.1;
thesis 6.2, 9.6).

It must not know replication, reads, or how the caller persists: a candidate's own vote comes to it through
`count_vote`.
"""

from consensus.errors import InvariantBroken
from consensus.messages import NodeId, RequestVote, RequestVoteReply
from consensus.quorum import VoteResult, has_quorum, vote_result
from consensus.state import Role, State


def tick_follower(state: State) -> None:
    """A follower or candidate's tick: stand for election once the leader (or the election) has taken too
    long.
    """
    state.election_elapsed += 1
    if state.election_elapsed >= state.election_timeout and state.may_campaign():
        campaign(state)


def campaign(state: State, by_transfer: bool = False) -> None:
    """Begin an election, with a pre-vote first unless the leader itself asked for it (thesis 3.10, 9.6)."""
    if state.config.pre_vote and not by_transfer:
        _ask_pre_votes(state)
    else:
        _ask_votes(state, by_transfer)


def check_quorum(state: State) -> None:
    """Once an election timeout: a leader that a quorum hasn't answered since the last check steps down
    (thesis 6.2).
    """
    active = [node for node, peer in state.peers.items() if peer.recently_active]
    if not has_quorum(state.membership, [state.id, *active]):
        state.become_follower(state.term, None)
        return
    for peer in state.peers.values():
        peer.recently_active = False


def is_bound_by_lease(state: State) -> bool:
    """Whether this node may have granted a lease that still holds, where leases are used (thesis 6.4.1).

    A change of term doesn't end it. Nor does a restart: a node that has just started can't remember.
    """
    return state.config.lease_reads and state.ticks - state.heard_leader_tick < state.config.election_ticks


def handle_vote_request(state: State, message: RequestVote) -> None:
    """Take a request of any term (paper figure 2; thesis 9.6): ignore it, refuse it, or decide.

    A node that hears from its leader helps nobody to replace it, unless the leader itself asked for that.
    An older term is answered with this node's, so that the candidate learns it; a newer one is adopted, but
    not for a pre-vote.
    """
    if not message.transfer and _is_bound(state, message):
        return
    if message.term < state.term:
        _reply(state, message, granted=False)
        return
    if message.term > state.term and not message.pre_vote:
        state.become_follower(message.term, None)
    _decide(state, message)


def _is_bound(state: State, message: RequestVote) -> bool:
    """Whether this node keeps to the leader it has, or has had (thesis 4.2.3, 6.2)."""
    if is_bound_by_lease(state):
        return True
    if message.term <= state.term or not state.config.check_quorum or state.leader_id is None:
        return False
    return state.election_elapsed < state.config.election_ticks


def _decide(state: State, message: RequestVote) -> None:
    """Grant if this node is free to, and the candidate's log is at least as up to date (paper 5.4.1)."""
    free = state.vote == message.sender or (state.vote is None and state.leader_id is None)
    if message.pre_vote:
        free = free or message.term > state.term
    granted = free and state.log.is_up_to_date(message.last_log_index, message.last_log_term)
    if granted and not message.pre_vote:
        state.vote = message.sender
        state.election_elapsed = 0
    _reply(state, message, granted)


def _reply(state: State, message: RequestVote, granted: bool) -> None:
    """A granted pre-vote carries the asked term; anything else this node's term, so that a stale candidate
    learns it.
    """
    term = message.term if granted else state.term
    reply = RequestVoteReply(state.id, message.sender, term, granted, message.pre_vote)
    if granted and not message.pre_vote:
        state.send_when_durable(reply)
    else:
        state.send(reply)


def handle_vote_reply(state: State, message: RequestVoteReply) -> None:
    """Count an answer to the election that is under way; answers to others are stale."""
    if message.pre_vote:
        wanted = state.role is Role.PRE_CANDIDATE and (not message.granted or message.term == state.term + 1)
    else:
        wanted = state.role is Role.CANDIDATE and message.term == state.term
    if wanted:
        count_vote(state, message.sender, message.granted)


def count_vote(state: State, voter: NodeId, granted: bool) -> None:
    """Note one node's answer (the first counts) and move on if that decides the election."""
    state.votes.setdefault(voter, granted)
    result = vote_result(state.membership, state.votes)
    if result is VoteResult.LOST:
        state.become_follower(state.term, None)
    elif result is VoteResult.WON and state.role is Role.PRE_CANDIDATE:
        _ask_votes(state, by_transfer=False)
    elif result is VoteResult.WON:
        state.become_leader()


def count_own_durable_vote(state: State) -> None:
    """After a Ready was synced: a candidate's vote for itself counts now, like anybody's, and not before."""
    if state.role is Role.CANDIDATE and state.durable_hard_state == state.hard_state:
        if state.vote != state.id:
            raise InvariantBroken(f"a candidate of term {state.term} has voted for {state.vote}")
        count_vote(state, state.id, True)


def _ask_pre_votes(state: State) -> None:
    state.become_pre_candidate()
    _send_requests(state, state.term + 1, pre_vote=True, transfer=False)
    count_vote(state, state.id, True)


def _ask_votes(state: State, by_transfer: bool) -> None:
    state.become_candidate()
    _send_requests(state, state.term, pre_vote=False, transfer=by_transfer)


def _send_requests(state: State, term: int, pre_vote: bool, transfer: bool) -> None:
    """Ask every other voter. A candidacy waits for the disk: it promises this node's own vote and log."""
    send = state.send if pre_vote else state.send_when_durable
    for node in state.membership.all_nodes():
        if node != state.id and state.membership.is_voter(node):
            log = state.log
            send(RequestVote(state.id, node, term, log.last_index, log.last_term, pre_vote, transfer))
