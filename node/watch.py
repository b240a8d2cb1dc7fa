"""What a node notices about the others and about itself: a lost quorum, clocks apart, a disk that forgot.

It must not know how to mend any of it: it counts, logs, and tells the parts that act.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from consensus.raft import Raft, Role
from ledger.block import Header
from node.messages import Hello
from node.ports import Clock, Log
from node.standing import Standing
from node.store import Store

BEHIND_CLOCK_MS = 10_000
"""New blocks whose time is so far behind this node's clock raise an alarm."""


class LostState(Exception):
    """Another node holds signatures of this one that its store knows nothing of: it must stop."""

    def __init__(self, sender: str, told: tuple[int, int], known: tuple[int, int]) -> None:
        super().__init__(
            f"{sender} holds signatures of this node up to term {told[0]} and height {told[1]}, "
            f"but its store knows of term {known[0]} and height {known[1]}: it is an old copy, "
            "or its disk lost synced writes. Bring the bank back as a new node"
        )


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What is watched, and who is told. `election_ticks` is the shortest time in which elections begin, as
    the core has it; the longest is twice that.
    """

    raft: Raft
    store: Store
    standing: Standing
    clock: Clock
    log: Log
    counters: Counter[str]
    election_ticks: int
    quorum_lost: Callable[[], None]
    ask_transfer: Callable[[str], None]


class Watch:
    """Looks on at each tick, new block and Hello."""

    def __init__(self, parts: WatchParts) -> None:
        """A node that has just started counts as having a quorum until its patience is over."""
        self._parts = parts
        self._patience_ticks = parts.election_ticks // 2
        self._term = parts.raft.term
        self._led = False
        self._sealed = parts.store.last_own_seal()

    def tick(self) -> None:
        """Notice that no leader with a majority has been heard of for as long as patience lasts."""
        self._patience_ticks -= 1
        if self._parts.raft.term != self._term:
            self._take_heart()
        self._look()

    def lead_changed(self) -> None:
        """Somebody else leads, or nobody; a leader has a quorum behind it, or steps down (check-quorum)."""
        self._take_heart()
        self._led = self._parts.raft.role is Role.LEADER
        self._look()

    def _take_heart(self) -> None:
        """Wait for a new leader for half of the shortest time in which elections begin.

        Where a term has begun, whoever stands in it has been answered by a majority (pre-vote). Else a voter
        that led, and steps down, has waited for a quorum as long already; and nobody waits longer than the
        longest such time since a leader was heard.
        """
        raft, patience_ticks = self._parts.raft, self._parts.election_ticks // 2
        if raft.term == self._term and not self._led:
            patience_ticks = min(patience_ticks, self._longest_ticks - raft.unheard_ticks)
        elif raft.term == self._term and raft.membership.is_voter(raft.id):
            patience_ticks = 0
        self._patience_ticks, self._term = patience_ticks, raft.term

    @property
    def _longest_ticks(self) -> int:
        return 2 * self._parts.election_ticks

    def _look(self) -> None:
        """A learner never stands for election: to its core a leader leads until another one does."""
        parts, raft, standing = self._parts, self._parts.raft, self._parts.standing
        is_deaf = not standing.leads and raft.unheard_ticks >= self._longest_ticks
        if standing.leader_id is not None and not is_deaf:
            standing.has_quorum = True
        elif standing.has_quorum and (standing.leader_id is not None or self._patience_ticks <= 0):
            standing.has_quorum = False
            parts.counters["quorum_lost"] += 1
            parts.quorum_lost()

    def sealed(self, height: int) -> None:
        """This node's own seal of `height` is on the disk."""
        self._sealed = height

    def hear(self, sender: str, message: Hello) -> None:
        """What another node remembers of this one; raises LostState if that is more than is here."""
        parts = self._parts
        if message.network_id != parts.store.network_id:
            parts.log.error("hello_of_other_network", sender=sender, network=message.network_id.hex())
            return
        told = (message.your_term, message.your_seal_height)
        known = (parts.raft.term, self._sealed)
        if told[0] > known[0] or told[1] > known[1]:
            raise LostState(sender, told, known)

    def new_block(self, header: Header) -> None:
        """A leader whose clock is far behind dates payments wrongly: raise an alarm, ask for another."""
        behind_ms = self._parts.clock.now_ms() - header.time_ms
        if behind_ms < BEHIND_CLOCK_MS:
            return
        self._parts.counters["blocks_behind_clock"] += 1
        self._parts.log.error(
            "block_behind_clock", height=header.height, proposer=header.proposer, behind_ms=behind_ms
        )
        self._parts.ask_transfer("the time of new blocks is far behind this node's clock")
