"""When leadership is given away: this node stops, an operator wants it, or a follower asks with a reason.

It must not know why a follower asks, nor elections: Raft does the transfer.
"""

from dataclasses import dataclass

from consensus.errors import ConsensusError, InvariantBroken, NotLeader, TransferInProgress, TransferRefused
from consensus.raft import Raft, Role
from node.messages import AskTransfer
from node.ports import Clock, Log, Peers

TRANSFER_PAUSE_MS = 60_000
"""A leader hands over at most this often because a follower asks: followers can't chase leadership around."""


class HandoverRefused(Exception):
    """Leadership can't be handed over as an operator asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class HandoverParts:
    """What a transfer needs."""

    raft: Raft
    peers: Peers
    clock: Clock
    log: Log


class Handover:
    """Asks for transfers and grants them."""

    def __init__(self, parts: HandoverParts) -> None:
        """Nothing asked or granted."""
        self._parts = parts
        self._asked_term = 0
        self._granted_ms: int | None = None

    def ask(self, reason: str) -> None:
        """Ask the leader to hand over, once a term."""
        raft = self._parts.raft
        leader = raft.leader_id
        if leader is None or leader == raft.id or self._asked_term == raft.term:
            return
        self._asked_term = raft.term
        self._parts.log.warning("transfer_asked", leader=leader, term=raft.term, reason=reason)
        self._parts.peers.send(leader, AskTransfer(raft.term, reason))

    def grant(self, sender: str, message: AskTransfer) -> None:
        """Hand over because a follower asks, unless the last such transfer was a moment ago.

        Not to the follower that asks, if there is another: asking mustn't be a way to lead, and it may be
        the one whose clock is wrong.
        """
        raft, now_ms = self._parts.raft, self._parts.clock.monotonic_ms()
        if raft.role is not Role.LEADER or raft.term != message.term:
            return
        if self._granted_ms is not None and now_ms - self._granted_ms < TRANSFER_PAUSE_MS:
            return
        self._granted_ms = now_ms
        to = self._furthest(without=sender) or sender
        self._parts.log.warning(
            "transfer_granted", asked_by=sender, to=to, term=raft.term, reason=message.reason
        )
        self._transfer(to)

    def give_away(self) -> bool:
        """Hand over to whoever is furthest along; whether there is anybody."""
        to = self._furthest()
        if self._parts.raft.role is not Role.LEADER or to is None:
            return False
        self._transfer(to)
        return True

    def give_to(self, to: str | None) -> str:
        """Begin to hand over to a voter, or to whoever is furthest along; who it is.

        Raises HandoverRefused where this node doesn't lead, or nobody like that can be reached.
        """
        raft = self._parts.raft
        if raft.role is not Role.LEADER:
            raise HandoverRefused(str(NotLeader(raft.leader_id)))
        chosen = self._furthest() if to is None else to
        if chosen is None or chosen not in self._parts.peers.connected() | {raft.id}:
            raise HandoverRefused(
                f"no link stands to {to or 'any other voter'}; start it, or name another node"
            )
        try:
            raft.transfer_leadership(chosen)
        except (TransferInProgress, TransferRefused) as error:
            raise HandoverRefused(str(error)) from error
        self._parts.log.info("transfer_by_operator", to=chosen, term=raft.term)
        return chosen

    def _furthest(self, without: str | None = None) -> str | None:
        """The connected voter whose log matches furthest, other than `without`; None if there is none."""
        raft, connected = self._parts.raft, self._parts.peers.connected()
        candidates = [
            (peer.match, peer.id)
            for peer in raft.status().peers
            if peer.id in connected and peer.id in raft.membership.voters and peer.id != without
        ]
        return max(candidates)[1] if candidates else None

    def _transfer(self, to: str) -> None:
        try:
            self._parts.raft.transfer_leadership(to)
        except InvariantBroken:
            raise
        except ConsensusError as error:
            self._parts.log.info("transfer_refused", to=to, reason=str(error))
