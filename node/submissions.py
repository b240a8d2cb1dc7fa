"""One transaction's way through this node: admission, the pool, on to the leader, out with its outcome.

It must not know Raft, blocks or the disk. The driver tells it what was executed and who leads.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.envelope import Envelope
from ledger.merkle import leaf_hash
from ledger.outcome import OUTCOMES, Outcome, OutcomeClass
from ledger.view import Seen
from node.admission import Admission, Refusal, executed_result, refused, repeated_result, why_not_now
from node.copies import Taken, may_be_executed
from node.executor import Done
from node.forwarding import Forwarding
from node.mempool import Full, Mempool, Pending
from node.messages import Forward, Refused
from node.ports import Clock, Peers
from node.results import Stage, SubmitResult
from node.standing import Standing
from node.verifier import Verifier
from node.waiters import Report, Waiters

MAX_VERIFYING = 20_000
"""Envelopes waiting for the verify worker; more are refused as overload."""
PASSED_OVER_MS = 5_000
"""A leader that executes what came so much later than something it was given passes that over."""
EXPIRY_GRACE_MS = 5_000
"""What has expired stays in the pool this long: a block that holds it may be under way."""
MAX_PUT_OFF = 10_000
"""Envelopes whose refusal the leader puts off until it has executed more; others are refused as overload."""

NO_QUORUM = Refusal(
    Outcome.NO_QUORUM, "no majority of nodes follows a leader now; this node holds it, and it may happen yet"
)
STOPPING = Refusal(Outcome.STOPPING, "this node is stopping")


class Origin(NamedTuple):
    """Who is told: a submitter here, or the node that forwarded it, in which message."""

    report: Report | None
    sender: str = ""
    message: Forward | None = None


class PutOff(NamedTuple):
    """A transaction that the leader would refuse on an executed state that is behind its log: judged again
    once `height` is executed, since what its submitter has seen elsewhere may stand in between.
    """

    height: int
    envelope: Envelope
    origin: Origin


@dataclass(frozen=True, slots=True)
class Parts:
    """What the submissions work with; `log_end` gives the height of the newest block in the log, `boot` tells
    this process from earlier ones.
    """

    boot: bytes
    admission: Admission
    mempool: Mempool
    verifier: Verifier
    waiters: Waiters
    standing: Standing
    clock: Clock
    peers: Peers
    log_end: Callable[[], int]


class Submissions:
    """All that were submitted here or forwarded to here and aren't over."""

    def __init__(self, parts: Parts) -> None:
        """None yet."""
        self._parts = parts
        self._forwarding = Forwarding(parts.boot, parts.mempool, parts.standing, parts.clock, parts.peers)
        self._executed_term = 0
        self._taken = Taken()
        self._put_off: deque[PutOff] = deque()
        self._lent_put_off: set[bytes] = set()
        self.refused_count = 0
        self.dropped_count = 0

    def submit(self, raw: bytes, report: Report) -> None:
        """Take an envelope from a submitter here."""
        self._take(raw, Origin(report))

    def take_forwarded(self, sender: str, message: Forward) -> None:
        """Take what another node forwards for the term that this node leads; what is here already costs one
        hash.
        """
        if not (self._leads(message.term) and self._taken.take(sender, message.boot, message.number)):
            self.dropped_count += 1
            return
        mempool, verifier = self._parts.mempool, self._parts.verifier
        for raw in message.envelopes:
            leaf = leaf_hash(raw)
            if not (mempool.has_leaf(leaf) or verifier.has_leaf(leaf) or leaf in self._lent_put_off):
                self._take(raw, Origin(None, sender, message), leaf)

    def take_refusals(self, message: Refused) -> None:
        """The leader leaves these out: the end of what it was given last, now or soon (see node.copies)."""
        for pending in self._forwarding.refused(message):
            self._end_if_final(pending)

    def simulate(self, raw: bytes, report: Report) -> None:
        """Say what would become of it now, and keep nothing."""
        envelope = self._parts.admission.decode(raw)
        if isinstance(envelope, Refusal):
            report(refused_unread(envelope))
            return
        self._parts.verifier.verify(envelope, lambda done, reason: self._simulated(done, reason, report))

    def execute(self, done: Done, time_ms: int) -> bool:
        """A block is executed: let go of what it holds, answer who waits.

        True if the leader passed over something held here in favour of what came long after it.
        """
        mempool, waiters = self._parts.mempool, self._parts.waiters
        newest_ms = 0
        for index, envelope in enumerate(done.envelopes):
            signing_hash = envelope.signing_hash
            pending = mempool.remove(signing_hash)
            if pending is not None:
                newest_ms = pending.arrived_ms
                self._forwarding.forget(signing_hash)
            if waiters.is_waited_for(signing_hash):
                # Whoever waits for this content came before it first stood on the chain: it is no duplicate.
                outcome = done.executed.outcomes[index][0]
                result = executed_result(envelope, outcome, (done.executed.height, index), time_ms)
                waiters.execute(signing_hash, result, self._parts.standing.certified)
        self._judge_again(done.executed.height)
        self._end_what_is_final()
        oldest = next(mempool.held(), None)
        return oldest is not None and newest_ms - oldest.arrived_ms >= PASSED_OVER_MS

    def lead_changed(self) -> None:
        """Another node leads, or this one, or nobody, or in another term: all that is held for submitters
        here is to reach who does, and all that was forwarded to here is forgotten (see node.copies).

        What was put off isn't this node's to judge any more if it led, and the height it waits for may
        never come.
        """
        self._taken = Taken()
        for pending in [pending for pending in self._parts.mempool.held() if pending.lent]:
            self._parts.mempool.remove(pending.envelope.signing_hash)
        self._lent_put_off.clear()
        put_off, self._put_off = self._put_off, deque()
        for late in put_off:
            self._judge_now(late)
        self._forwarding.begin_again()

    def quorum_lost(self) -> None:
        """Tell all who wait that nobody can decide now; what they submitted stays held."""
        for signing_hash in self._parts.waiters.waited_for():
            pending = self._parts.mempool.get(signing_hash)
            if pending is not None:
                self._parts.waiters.refuse(signing_hash, refused(pending.envelope, NO_QUORUM, held=True))

    def flush(self) -> None:
        """Send what has gathered: refusals to forwarders, and what is held to the leader."""
        self._forwarding.flush()

    def tick(self) -> None:
        """Forward again what the leader has had for long."""
        self._forwarding.tick()

    def sweep(self) -> None:
        """Drop what expired a while ago by this node's clock and stands in no block that it knows of."""
        limit_ms = self._parts.clock.now_ms() - EXPIRY_GRACE_MS
        expired = [
            pending.envelope
            for pending in self._parts.mempool.held()
            if pending.envelope.payload.valid_until_ms <= limit_ms and not pending.proposed
        ]
        for envelope in expired:
            self.expire(envelope)

    def expire(self, envelope: Envelope) -> None:
        """Let go of what has expired by this node's clock, unless it may be executed by another's.

        Such a one is forwarded again, and refused by the leader for the same reason. A forwarder isn't told:
        it hears so when it asks again.
        """
        pending = self._parts.mempool.get(envelope.signing_hash)
        if pending is not None and pending.lent:
            self._parts.mempool.remove(envelope.signing_hash)
            return
        if pending is not None and may_be_executed(pending, self._parts.admission.progress):
            return
        until_ms = envelope.payload.valid_until_ms
        reason = f"it was valid until {until_ms} and stood in no block by then"
        self._drop(envelope, Refusal(Outcome.EXPIRED, reason))

    def _take(self, raw: bytes, origin: Origin, leaf_hash: bytes | None = None) -> None:
        parts = self._parts
        envelope = parts.admission.decode(raw, leaf_hash)
        if isinstance(envelope, Refusal):
            self.refused_count += 1
            if origin.report is not None:
                origin.report(refused_unread(envelope))
            return
        if self._is_known(envelope, origin):
            return
        refusal = why_not_now(envelope, parts.clock.now_ms()) or self._why_not_here()
        if refusal is not None:
            self._refuse(envelope, refusal, origin)
            return
        parts.verifier.verify(envelope, lambda done, reason: self._verified(done, reason, origin))

    def _verified(self, envelope: Envelope, reason: str | None, origin: Origin) -> None:
        if reason is not None:
            self._refuse(envelope, Refusal(Outcome.BAD_SIGNATURE, reason), origin)
        elif not self._is_pooled(envelope, origin):
            self._admit(envelope, origin, may_put_off=True)

    def _admit(self, envelope: Envelope, origin: Origin, *, may_put_off: bool) -> None:
        """Hold it, or refuse it: at once, or once more is executed if the state is behind the log.

        What was forwarded for a term that this node leads no more is dropped.
        """
        if origin.message is not None and not self._leads(origin.message.term):
            self.dropped_count += 1
            return
        refusal = self._why_stopping() or self._why_not_admitted(envelope) or self._why_no_room(envelope)
        if refusal is None:
            self._hold(envelope, origin)
        elif refusal.outcome is Outcome.DUPLICATE_OF and self._is_known(envelope, origin):
            return
        elif may_put_off and self._is_behind(refusal):
            self._put_it_off(envelope, origin)
        else:
            self._refuse(envelope, refusal, origin)

    def _put_it_off(self, envelope: Envelope, origin: Origin) -> None:
        if len(self._put_off) >= MAX_PUT_OFF:
            full = Refusal(Outcome.OVERLOADED, f"{MAX_PUT_OFF} submissions wait to be judged")
            self._refuse(envelope, full, origin)
            return
        self._put_off.append(PutOff(self._parts.log_end(), envelope, origin))
        if origin.message is not None:
            self._lent_put_off.add(envelope.leaf_hash)

    def _leads(self, term: int) -> bool:
        return self._parts.standing.leads and self._parts.standing.term == term

    def _is_behind(self, refusal: Refusal) -> bool:
        """Whether what the log holds above the executed state could still turn this refusal."""
        if OUTCOMES[refusal.outcome].class_ is OutcomeClass.NODE:
            return False
        return self._parts.admission.executed_height < self._parts.log_end()

    def _judge_again(self, executed: int) -> None:
        """Admit or refuse what was put off until the height that is executed now."""
        while self._put_off and self._put_off[0].height <= executed:
            late = self._put_off.popleft()
            self._lent_put_off.discard(late.envelope.leaf_hash)
            self._judge_now(late)

    def _judge_now(self, late: PutOff) -> None:
        if not self._is_known(late.envelope, late.origin):
            self._admit(late.envelope, late.origin, may_put_off=False)

    def _is_known(self, envelope: Envelope, origin: Origin) -> bool:
        """Whether the chain or the pool has this content; who submitted it is told, or waits with it."""
        first = self._parts.admission.first(envelope)
        if first is not None:
            if origin.report is not None:
                self._tell_first(envelope, first, origin.report)
            return True
        return self._is_pooled(envelope, origin)

    def _is_pooled(self, envelope: Envelope, origin: Origin) -> bool:
        """Whether the pool has this content; who submitted it then waits with it, and it is lent no more."""
        pending = self._parts.mempool.get(envelope.signing_hash)
        if pending is None:
            return False
        if origin.report is not None:
            pending.lent = False
            self._wait(envelope, origin.report)
        return True

    def _tell_first(self, envelope: Envelope, first: Seen, report: Report) -> None:
        time_ms = self._parts.admission.time_at(first.height)
        result = executed_result(envelope, Outcome(first.outcome), (first.height, first.index), time_ms)
        self._parts.waiters.tell_executed(report, repeated_result(result), self._parts.standing.certified)

    def _why_stopping(self) -> Refusal | None:
        """Asked before the state is: a node that stops over rules that it lacks can't judge by them."""
        return STOPPING if self._parts.standing.stopping else None

    def _why_not_here(self) -> Refusal | None:
        if self._parts.standing.stopping:
            return STOPPING
        if len(self._parts.verifier) >= MAX_VERIFYING:
            return Refusal(Outcome.OVERLOADED, f"{MAX_VERIFYING} submissions wait to be verified")
        if self._parts.waiters.full:
            return Refusal(Outcome.OVERLOADED, "as many submitters wait as may")
        return None

    def _why_not_admitted(self, envelope: Envelope) -> Refusal | None:
        """What is wrong with it. Only the leader, which knows what is queued, judges it by the state; a
        follower knows only of ids that are taken.
        """
        admission, payload = self._parts.admission, envelope.payload
        if self._parts.mempool.by_id(payload.author, payload.tx_id) is not None:
            return Refusal(Outcome.ID_USED_WITH_OTHER_CONTENT, "another transaction with this id waits here")
        if self._parts.standing.leads:
            outcome = admission.preview(envelope)
            reason = "judged by the executed state and by what waits before it"
            return None if outcome is Outcome.EXECUTED else Refusal(outcome, reason)
        if admission.seen(payload.author, payload.tx_id) is not None:
            return Refusal(Outcome.ID_USED_WITH_OTHER_CONTENT, "the chain has another one with this id")
        return None

    def _why_no_room(self, envelope: Envelope) -> Refusal | None:
        match self._parts.mempool.why_full(envelope, self._parts.admission.member_of(envelope)):
            case Full.POOL:
                return Refusal(Outcome.OVERLOADED, "the pool is full")
            case Full.MEMBER:
                return Refusal(Outcome.TOO_MANY_PENDING, "the member has its share of the pool in use")
            case None:
                return self._why_not_here()

    def _hold(self, envelope: Envelope, origin: Origin) -> None:
        parts = self._parts
        member = parts.admission.member_of(envelope)
        pending = parts.mempool.add(envelope, member, parts.clock.monotonic_ms())
        pending.lent = origin.report is None
        if not parts.standing.leads:
            self._forwarding.add(envelope.signing_hash)
        if origin.report is not None:
            self._wait(envelope, origin.report)

    def _wait(self, envelope: Envelope, report: Report) -> None:
        if self._parts.waiters.full:
            full = Refusal(Outcome.OVERLOADED, "as many submitters wait as may")
            report(refused(envelope, full, held=True))
            return
        if not self._parts.standing.has_quorum:
            report(refused(envelope, NO_QUORUM, held=True))
            return
        payload = envelope.payload
        report(SubmitResult(Stage.PENDING, payload.author, payload.tx_id, Outcome.UNKNOWN))
        self._parts.waiters.add(envelope.signing_hash, report)

    def _refuse(self, envelope: Envelope, refusal: Refusal, origin: Origin) -> None:
        self.refused_count += 1
        if origin.report is not None:
            origin.report(refused(envelope, refusal))
        if origin.message is not None:
            self._forwarding.refuse(origin.sender, origin.message, envelope.signing_hash, refusal.outcome)

    def _end_if_final(self, pending: Pending) -> None:
        """Tell a leader's refusal once no copy from an earlier term can be executed (see node.copies)."""
        if pending.verdict is not None and pending.given_term <= self._parts.admission.progress.term:
            self._drop(pending.envelope, Refusal(pending.verdict, "the leader leaves it out"))

    def _end_what_is_final(self) -> None:
        """The executed block may be the first of its term: tell what waited for that."""
        term = self._parts.admission.progress.term
        if term == self._executed_term:
            return
        self._executed_term = term
        for pending in list(self._parts.mempool.held()):
            self._end_if_final(pending)

    def _drop(self, envelope: Envelope, refusal: Refusal) -> None:
        self.refused_count += 1
        self._parts.mempool.remove(envelope.signing_hash)
        self._forwarding.forget(envelope.signing_hash)
        self._parts.waiters.refuse(envelope.signing_hash, refused(envelope, refusal))

    def _simulated(self, envelope: Envelope, reason: str | None, report: Report) -> None:
        parts = self._parts
        refusal = self._why_stopping() or why_not_now(envelope, parts.clock.now_ms())
        if reason is not None:
            refusal = Refusal(Outcome.BAD_SIGNATURE, reason)
        if refusal is not None:
            report(refused(envelope, refusal))
            return
        payload = envelope.payload
        outcome = parts.admission.preview(envelope)
        report(SubmitResult(Stage.PENDING, payload.author, payload.tx_id, outcome))


def refused_unread(refusal: Refusal) -> SubmitResult:
    """The refusal of what wasn't read, or can't be: it names no transaction."""
    return SubmitResult(Stage.REFUSED, b"", b"", refusal.outcome, reason=refusal.reason)
