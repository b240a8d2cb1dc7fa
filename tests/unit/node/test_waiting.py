"""Those who wait: for outcomes, for confirmed reads, for verification; each is told once, and all are
bounded.
"""

import msgspec
import pytest

from consensus.errors import NoLeader
from consensus.messages import ReadState
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from ledger.outcome import Outcome
from node.barriers import MAX_BARRIERS, Barriers
from node.results import Stage, SubmitResult
from node.verifier import CHUNK_ENVELOPES, Verified, Verifier
from node.waiters import Waiters
from tests.simulation.cluster.bank import Bank, genesis_of
from tests.unit.node.harness import ALWAYS, ManualWorker

BANK = Bank(genesis_of(1))


def result(height: int) -> SubmitResult:
    """Something executed at a height."""
    return SubmitResult(Stage.EXECUTED, b"a", b"i", Outcome.EXECUTED, height, 0, 1)


def envelope(number: int, good: bool = True) -> Envelope:
    """A signed transaction, or one whose signature is broken."""
    raw = BANK.open_account("bank0", "anna", number.to_bytes(16, "big"), ALWAYS)
    broken = raw[:-1] + bytes([raw[-1] ^ 1])
    return decode_envelope(raw if good else broken, EnvelopeLimits(4_096, 16))


def test_a_waiter_hears_of_execution_and_later_of_the_certificate() -> None:
    """Once each, and not of other contents or lower certificates."""
    waiters, heard = Waiters(), list[SubmitResult]()
    waiters.add(b"one", heard.append)
    assert waiters.is_waited_for(b"one")
    waiters.execute(b"two", result(4), 0)
    waiters.execute(b"one", result(5), 4)
    waiters.certify(4)
    assert [r.stage for r in heard] == [Stage.EXECUTED]
    waiters.certify(6)
    waiters.certify(7)
    assert [r.stage for r in heard] == [Stage.EXECUTED, Stage.CERTIFIED]
    assert len(waiters) == 0


def test_a_waiter_hears_of_the_certificate_at_once_if_there_is_one() -> None:
    """Nothing is left waiting."""
    waiters, heard = Waiters(), list[SubmitResult]()
    waiters.tell_executed(heard.append, result(5), 5)
    assert [r.stage for r in heard] == [Stage.EXECUTED, Stage.CERTIFIED]
    assert len(waiters) == 0


def test_a_refusal_ends_the_wait() -> None:
    """All who wait for that content hear it, nobody a second time."""
    waiters, heard = Waiters(), list[SubmitResult]()
    refusal = SubmitResult(Stage.REFUSED, b"a", b"i", Outcome.EXPIRED)
    waiters.add(b"one", heard.append)
    waiters.add(b"one", heard.append)
    waiters.refuse(b"one", refusal)
    waiters.refuse(b"one", refusal)
    assert heard == [refusal, refusal]
    assert waiters.waited_for() == ()


def test_waiters_are_bounded_over_both_stages() -> None:
    """One waits for execution, one for a certificate: two are full."""
    waiters = Waiters(limit=2)
    full = [waiters.full]
    waiters.add(b"one", lambda r: None)
    full.append(waiters.full)
    waiters.tell_executed(lambda r: None, result(5), 4)
    full.append(waiters.full)
    waiters.certify(5)
    full.append(waiters.full)
    assert full == [False, False, True, False]


class Asked:
    """The rounds that were asked for; without a leader none can be."""

    def __init__(self) -> None:
        self.contexts: list[bytes] = []
        self.leader = True

    def __call__(self, context: bytes) -> None:
        if not self.leader:
            raise NoLeader
        self.contexts.append(context)


def barriers() -> tuple[Barriers, Asked, list[bool]]:
    """Barriers with a timeout of 1,000 ms, what they ask for, and a list for answers."""
    asked = Asked()
    return Barriers(bytes(16), asked, 1_000), asked, []


def test_reads_of_one_turn_share_a_round() -> None:
    """One context is asked for, and its answer serves both."""
    reads, asked, answers = barriers()
    reads.add(answers.append, 0)
    reads.add(answers.append, 0)
    reads.flush(0)
    reads.flush(0)
    assert len(asked.contexts) == 1
    reads.confirm(ReadState(3, asked.contexts[0]), executed=3)
    assert answers == [True, True]


def test_a_confirmed_read_waits_for_execution() -> None:
    """Up to the confirmed index, not less."""
    reads, asked, answers = barriers()
    reads.add(answers.append, 0)
    reads.flush(0)
    reads.confirm(ReadState(3, asked.contexts[0]), executed=2)
    reads.execute(2)
    assert answers == []
    reads.execute(3)
    assert answers == [True]
    assert len(reads) == 0


def test_an_answer_to_nothing_confirms_nothing() -> None:
    """A repeated or foreign context is ignored."""
    reads, _, answers = barriers()
    reads.add(answers.append, 0)
    reads.flush(0)
    reads.confirm(ReadState(3, b"foreign"), executed=3)
    assert answers == []


def test_a_round_without_an_answer_is_asked_again_under_a_new_context() -> None:
    """After half of the timeout; the old round's answer then counts for nothing."""
    reads, asked, answers = barriers()
    reads.add(answers.append, 0)
    reads.flush(0)
    reads.tick(499)
    reads.flush(499)
    assert len(asked.contexts) == 1
    reads.tick(500)
    reads.flush(500)
    first, second = asked.contexts
    reads.confirm(ReadState(1, first), executed=1)
    assert answers == []
    reads.confirm(ReadState(1, second), executed=1)
    assert answers == [True]


@pytest.mark.parametrize(("now_ms", "answers_then"), [(999, []), (1_000, [False])])
def test_a_read_is_given_up_at_its_deadline(now_ms: int, answers_then: list[bool]) -> None:
    """Without a leader nothing is asked for, and the reader isn't left hanging."""
    reads, asked, answers = barriers()
    asked.leader = False
    reads.add(answers.append, 0)
    reads.flush(0)
    reads.tick(now_ms)
    assert answers == answers_then
    assert asked.contexts == []


def test_reads_are_bounded() -> None:
    """One more than MAX_BARRIERS is told at once that it can't be confirmed."""
    reads, _, answers = barriers()
    for _ in range(MAX_BARRIERS):
        reads.add(lambda ok: None, 0)
    reads.add(answers.append, 0)
    assert answers == [False]
    assert len(reads) == MAX_BARRIERS


def test_envelopes_are_verified_in_chunks_and_decided_in_order() -> None:
    """The first goes at once, then all that gathered meanwhile up to a chunk; the bad one gets a reason."""
    worker, verified = ManualWorker(), Verified()
    decided: list[tuple[bytes, bool]] = []
    ends: list[int] = []
    verifier = Verifier(worker, verified, lambda error: None, lambda: ends.append(len(decided)))
    envelopes = [envelope(number, good=number != 2) for number in range(CHUNK_ENVELOPES + 2)]
    for item in envelopes:
        verifier.verify(item, lambda done, reason: decided.append((done.leaf_hash, reason is None)))
    assert len(worker.jobs) == 1
    while worker.run():
        pass
    assert ends == [1, CHUNK_ENVELOPES + 1, CHUNK_ENVELOPES + 2]
    assert decided == [(item.leaf_hash, place != 2) for place, item in enumerate(envelopes)]
    assert len(verified) == len(envelopes) - 1
    assert len(verifier) == 0


@pytest.mark.parametrize("good", [True, False])
def test_all_who_wait_for_the_same_bytes_are_told_of_one_verification(good: bool) -> None:
    """Each counts as waiting. A good one is remembered, so that who asks later is told at once."""
    worker, heard = ManualWorker(), list[bool]()
    verifier = Verifier(worker, Verified(), lambda error: None, lambda: None)
    for _ in range(3):
        verifier.verify(envelope(1, good), lambda done, reason: heard.append(reason is None))
    assert len(verifier) == 3
    worker.run()
    assert (heard, len(verifier), len(worker.jobs)) == ([good] * 3, 0, 0)
    verifier.verify(envelope(1, good), lambda done, reason: heard.append(reason is None))
    assert (len(heard), len(worker.jobs)) == ((4, 0) if good else (3, 1))


def test_the_oldest_verified_envelopes_are_forgotten() -> None:
    """The memory is bounded; what was executed is let go of sooner."""
    verified = Verified(limit=2)
    envelopes = [envelope(number) for number in range(3)]
    for item in envelopes:
        verified.add(item)
    assert [verified.get(item.leaf_hash) is not None for item in envelopes] == [False, True, True]
    verified.forget(envelopes[1].leaf_hash)
    assert len(verified) == 1


def test_an_envelope_is_known_to_be_under_way_until_it_is_decided() -> None:
    """So that what is forwarded twice is verified once."""
    worker, failures = ManualWorker(), list[BaseException]()
    verifier = Verifier(worker, Verified(), failures.append, lambda: None)
    verifier.verify(envelope(1), lambda done, reason: None)
    assert verifier.has_leaf(envelope(1).leaf_hash)
    assert not verifier.has_leaf(envelope(2).leaf_hash)
    worker.run()
    assert not verifier.has_leaf(envelope(1).leaf_hash)
    assert failures == []


def test_a_broken_job_is_handed_on() -> None:
    """The node then stops: an unknown failure is never swallowed."""
    worker, failures = ManualWorker(), list[BaseException]()
    verifier = Verifier(worker, Verified(), failures.append, lambda: None)
    broken = msgspec.structs.replace(envelope(1), payload=None)
    verifier.verify(broken, lambda done, reason: None)
    worker.run()
    assert isinstance(failures[0], AttributeError)
