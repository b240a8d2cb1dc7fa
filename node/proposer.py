"""The leader's blocks: made, signed and proposed, opening a term first and then from the pool.

It must not know followers or the disk. Whether and when is the batcher's word; what is valid is the ledger's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from consensus.errors import ConsensusError, InvariantBroken
from consensus.raft import Raft, Role
from ledger.block import Block, Scheduled, make_block
from ledger.envelope import Envelope
from ledger.keys import sign
from ledger.membership import Change, is_finished
from ledger.rules.base import RuleSet
from ledger.state import scheduled
from node import batcher
from node.intake import Executed
from node.log_tail import Checked, LogTail
from node.membership import Situation, entry_type, step_due
from node.mempool import Mempool
from node.ports import Clock, TimerHandle, Timers


@dataclass(frozen=True, slots=True)
class ProposerParts:
    """What the proposer works with; `expire` takes what can't enter a block any more, `wake` starts a
    turn.
    """

    node_id: str
    boot: bytes
    key: ec.EllipticCurvePrivateKey
    clock: Clock
    timers: Timers
    raft: Raft
    tail: LogTail
    mempool: Mempool
    rules: Mapping[int, RuleSet]
    executed: Callable[[], Executed]
    certified: Callable[[], int]
    expire: Callable[[Envelope], None]
    wake: Callable[[], None]


class _LookedUp(NamedTuple):
    """The values in force at a height, and what they were looked up by."""

    executed: Executed
    height: int
    basis: int
    values: Scheduled


class Proposer:
    """Proposes while this node leads."""

    def __init__(self, parts: ProposerParts) -> None:
        """Nothing proposed yet."""
        self._parts = parts
        self._opened_term = 0
        self._last_ms = 0
        self._last_count = 0
        self._timer: TimerHandle | None = None
        self._looked_up: _LookedUp | None = None
        self.proposed_count = 0

    def lead(self) -> None:
        """This node leads now: what stands in its log's unexecuted end isn't to be proposed again."""
        hashes = [e.signing_hash for checked in self._parts.tail.unexecuted() for e in checked.envelopes]
        self._parts.mempool.mark_proposed(hashes, self._parts.raft.term)
        self._last_count = 0

    def open_term(self, term: int) -> bool:
        """Propose the block that opens this node's term; whether it entered the log."""
        parts = self._parts
        if parts.raft.role is not Role.LEADER or parts.raft.term != term or self._opened_term == term:
            return False
        block = self._make(self._values(opening=True), ())
        if not self._propose(Checked(block, ())):
            return False
        self._opened_term = term
        return True

    def propose(self) -> bool:
        """Close a block if it is time, else see that it will be; whether one entered the log."""
        parts = self._parts
        if parts.raft.role is not Role.LEADER or parts.raft.term != self._opened_term:
            return False
        values = self._values(opening=False)
        # What a recovery block in the log's end makes void is known once it is executed.
        recovers = parts.tail.last_link.parent.epoch > parts.executed().progress.epoch
        if recovers or values.rules not in parts.rules:
            return False
        change = self._change_due(values)
        if change is not None:
            return self._propose_batch(values, change)
        delay_ms = batcher.delay_ms(self._pace(values))
        if delay_ms is None:
            return False
        if delay_ms > 0:
            self._wake_in(delay_ms)
            return False
        return self._propose_batch(values)

    def _change_due(self, values: Scheduled) -> Change | None:
        """The change of the membership that the next block should carry, if that is for now."""
        parts = self._parts
        parent = parts.tail.last_link.parent
        if is_finished(parent.membership, values.membership_decision[1]):
            return None
        if parts.tail.last_height >= parts.tail.executed + batcher.MAX_UNEXECUTED:
            return None
        return step_due(Situation(parts.raft.status(), parent, values, parts.certified()))

    def _propose_batch(self, values: Scheduled, change: Change | None = None) -> bool:
        """Propose what waits and fits, in a block that takes this step of the membership, if any."""
        parts = self._parts
        time_ms = max(parts.clock.now_ms(), parts.tail.last_link.parent.time_ms)
        crowded = batcher.is_crowded(parts.mempool.waiting_count, parts.mempool.size_bytes, values)
        waiting = parts.mempool.waiting_in_turn() if crowded else parts.mempool.waiting()
        batch = batcher.choose(waiting, values, time_ms)
        for envelope in batch.expired:
            parts.expire(envelope)
        if not batch.envelopes and not values.activation_waits and change is None:
            return False
        block = self._make(values, batch.envelopes, change)
        if not self._propose(Checked(block, batch.envelopes)):
            return False
        hashes = [envelope.signing_hash for envelope in batch.envelopes]
        parts.mempool.mark_proposed(hashes, parts.raft.term)
        self._last_ms = parts.clock.monotonic_ms()
        self._last_count = len(batch.envelopes)
        self.proposed_count += 1
        return True

    def _propose(self, checked: Checked) -> bool:
        """Put a block into the log. Raft may refuse (handing over, or full): what waits goes on waiting."""
        parts = self._parts
        type_ = entry_type(checked.block, parts.tail.last_link.parent)
        parts.tail.stage(checked)
        try:
            parts.raft.propose(checked.block.raw, type_)
        except InvariantBroken:
            raise
        except ConsensusError:
            parts.tail.unstage()
            return False
        return True

    def _values(self, opening: bool) -> Scheduled:
        """The values in force for the next block, looked up at its basis height."""
        executed, link = self._parts.executed(), self._parts.tail.last_link
        height = link.parent.height + 1
        basis = link.basis if opening else height
        kept = self._looked_up
        # Asked every turn of a leader; what it rests on changes only with a block.
        if kept is None or kept.executed is not executed or (kept.height, kept.basis) != (height, basis):
            values = scheduled(executed.progress, executed.registry, height, basis)
            kept = self._looked_up = _LookedUp(executed, height, basis, values)
        return kept.values

    def _make(
        self, values: Scheduled, envelopes: tuple[Envelope, ...], change: Change | None = None
    ) -> Block:
        parts = self._parts
        return make_block(
            parent=parts.tail.last_link.parent,
            scheduled=values,
            term=parts.raft.term,
            time_ms=parts.clock.now_ms(),
            proposer=parts.node_id,
            boot=parts.boot,
            change=change,
            body=[envelope.raw for envelope in envelopes],
            leaf_hashes=tuple([envelope.leaf_hash for envelope in envelopes]),
            sign=lambda digest: sign(parts.key, digest),
        )

    def _pace(self, values: Scheduled) -> batcher.Pace:
        tail = self._parts.tail
        return batcher.Pace(
            waiting=self._parts.mempool.waiting_count,
            next_height=tail.last_height + 1,
            executed=tail.executed,
            in_flight=tail.last_height - tail.executed,
            last_count=self._last_count,
            since_last_ms=self._parts.clock.monotonic_ms() - self._last_ms,
            activation_waits=values.activation_waits,
        )

    def _wake_in(self, delay_ms: int) -> None:
        if self._timer is None:
            self._timer = self._parts.timers.call_later(delay_ms, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._parts.wake()
