"""Leadership transfer (thesis 3.10): bring the successor up to date, tell it to campaign, give up after a
timeout.

It must not know why leadership moves. A transfer in progress ends with the leadership: stepping down clears
it.
"""

from consensus.election import campaign
from consensus.errors import NotLeader, TransferInProgress, TransferRefused
from consensus.messages import NodeId, TimeoutNow
from consensus.state import Role, State


def transfer_leadership(state: State, to: NodeId) -> None:
    """Begin to hand over to `to`; raises NotLeader, TransferInProgress, or TransferRefused (not another
    voter).
    """
    if state.role is not Role.LEADER:
        raise NotLeader(state.leader_id)
    if state.transferee is not None:
        raise TransferInProgress(state.transferee)
    if to == state.id:
        raise TransferRefused(to, "it is the leader already")
    if not state.membership.is_voter(to):
        raise TransferRefused(to, "it isn't a voter; choose one of the voters")

    state.transferee = to
    state.transfer_elapsed = 0
    state.timeout_now_sent = False
    continue_transfer(state)


def continue_transfer(state: State) -> None:
    """Tell the successor to campaign, once, as soon as its log is complete.

    From then on another node may win at any moment, past all leases: none is used again in this term.
    """
    if state.transferee is None or state.timeout_now_sent:
        return
    if state.peers[state.transferee].match == state.log.last_index:
        state.timeout_now_sent = True
        state.reads.lease_lost = True
        state.send(TimeoutNow(state.id, state.transferee, state.term))


def tick_transfer(state: State) -> None:
    """After an election timeout the successor has failed, and this leader goes on."""
    if state.transferee is None:
        return
    state.transfer_elapsed += 1
    if state.transfer_elapsed >= state.config.election_ticks:
        state.transferee = None


def handle_timeout_now(state: State, message: TimeoutNow) -> None:
    """The leader hands over to this node: campaign at once, without a pre-vote, as voters still hear the
    leader.
    """
    if state.role is Role.FOLLOWER and state.leader_id == message.sender and state.may_campaign():
        campaign(state, by_transfer=True)
