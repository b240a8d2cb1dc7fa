"""Committed blocks executed one after the other beside the loop: rules, invariants, rows, and this node's
seal.

It must not know Raft, peers or clients. The State belongs to the execute worker; the loop sees only what a
finished job hands over.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from consensus.messages import Entry
from ledger.block import Block, decode_block, decode_body
from ledger.certificate import seal_hash
from ledger.envelope import Envelope
from ledger.keys import sign
from ledger.recovery import RECOVERY_KINDS, is_recovery
from ledger.rules.base import RuleSet
from ledger.state import Executed, State, basis_height
from node.log_tail import Checked
from node.ports import Worker
from node.records import SealedHeader
from node.rules_watch import rules_of
from node.store import OwnSeal, Store


class Done(NamedTuple):
    """One executed block: everything about it is on the disk. `own` is None where this node doesn't
    certify.
    """

    block: Block
    envelopes: tuple[Envelope, ...]
    executed: Executed
    own: OwnSeal | None


class Committed(NamedTuple):
    """A committed entry, and its decoded block if this process has checked it."""

    entry: Entry
    checked: Checked | None


class Executor:
    """The queue of committed blocks before the execute worker."""

    def __init__(
        self,
        state: State,
        store: Store,
        signer: tuple[str, ec.EllipticCurvePrivateKey],
        rules: Mapping[int, RuleSet],
        worker: Worker,
        done: Callable[[Done], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`signer` is this node's id and key; `done` hears of each block in order, `failed` what broke."""
        self._state = state
        self._store = store
        self._signer = signer
        self._rules = rules
        self._worker = worker
        self._done = done
        self._failed = failed
        self._queue: deque[Committed] = deque()
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._busy and not self._queue

    def execute(self, committed: Committed) -> None:
        """Execute this block after those before it."""
        self._queue.append(committed)
        self._next()

    def _next(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        committed = self._queue.popleft()
        self._worker.submit(
            lambda: run(self._state, self._store, self._signer, self._rules, committed),
            self._finished,
            self._failed,
        )

    def _finished(self, done: Done) -> None:
        self._busy = False
        self._next()
        self._done(done)


def run(
    state: State,
    store: Store,
    signer: tuple[str, ec.EllipticCurvePrivateKey],
    rules: Mapping[int, RuleSet],
    committed: Committed,
) -> Done:
    """Execute one block under its rules (which check the invariants), seal it, write it all. Runs on the
    execute worker.
    """
    block, envelopes = committed.checked or _decoded(state, rules, committed.entry)
    executed = rules_of(block.header, rules).execute(state, block, envelopes)
    own = _own_seal(signer, executed)
    header = SealedHeader(block.header.term, block.header_raw, executed.seal_raw)
    store.write_executed(executed.height, executed.changes, header, own)
    state.apply(executed)
    return Done(block, envelopes, executed, own)


def _decoded(state: State, rules: Mapping[int, RuleSet], entry: Entry) -> Checked:
    """A block from this node's own log, which was checked before it was acknowledged there."""
    block = decode_block(entry.data)
    progress = state.progress
    basis = basis_height(progress.term, progress.basis_height, block.header.height, block.header.term)
    scheduled = state.scheduled(block.header.height, basis)
    recovers = is_recovery(block, state.parent)
    bodies = RECOVERY_KINDS if recovers else rules_of(block.header, rules).bodies
    return Checked(block, decode_body(block, scheduled, bodies))


def _own_seal(signer: tuple[str, ec.EllipticCurvePrivateKey], executed: Executed) -> OwnSeal | None:
    """This node's signature over the block's seal, if it is a certifier at this height."""
    node_id, key = signer
    if executed.registry.certifiers_at(executed.height).key_of(node_id) is None:
        return None
    return OwnSeal(executed.seal_raw, sign(key, seal_hash(executed.seal_raw)))
