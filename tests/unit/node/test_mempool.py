"""The pool: its bounds, its order, its sums, and that nothing stands in it twice."""

import pytest

from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from node.mempool import Full, Mempool, MempoolLimits
from tests.simulation.cluster.bank import Bank, genesis_of
from tests.unit.node.harness import ALWAYS

BANK = Bank(genesis_of(1))
ANNA = BANK.account("bank0", bytes(16))
BERT = BANK.account("bank0", bytes(15) + b"\x01")
ROOMY = MempoolLimits(100, 100_000, 100)


def payment(number: int, amount: int = 5) -> Envelope:
    """A transfer from Anna, told apart by its number."""
    raw = BANK.pay((ANNA, "anna"), BERT, amount, number.to_bytes(16, "big"), ALWAYS)
    return decode_envelope(raw, EnvelopeLimits(4_096, 16))


def filled(count: int, limits: MempoolLimits = ROOMY) -> tuple[Mempool, list[Envelope]]:
    """A pool with so many payments of bank0."""
    pool, envelopes = Mempool(limits), [payment(number) for number in range(count)]
    for envelope in envelopes:
        pool.add(envelope, "bank0", 0)
    return pool, envelopes


def test_what_is_held_is_found_by_content_id_and_bytes() -> None:
    """Signing hash, author with id, and leaf hash all lead to it, until it is removed."""
    pool, (envelope,) = filled(1)
    held = pool.get(envelope.signing_hash)
    assert held is not None
    assert held is pool.by_id(ANNA, envelope.payload.tx_id)
    assert pool.has_leaf(envelope.leaf_hash)
    assert pool.remove(envelope.signing_hash) is held
    assert pool.by_id(ANNA, envelope.payload.tx_id) is None
    assert not pool.has_leaf(envelope.leaf_hash)
    assert pool.remove(envelope.signing_hash) is None
    assert (len(pool), pool.size_bytes, pool.waiting_count) == (0, 0, 0)


@pytest.mark.parametrize(("limit", "full"), [(2, Full.POOL), (3, None)])
def test_the_number_of_transactions_is_bounded(limit: int, full: Full | None) -> None:
    """Two are held: a third has room up to a limit of three."""
    pool, _ = filled(2, MempoolLimits(limit, 100_000, 100))
    assert pool.why_full(payment(9), "bank0") is full


def test_the_bytes_are_bounded() -> None:
    """A payment that fits exactly has room, one byte less and it hasn't."""
    extra = payment(9)
    size = 2 * len(extra.raw)
    for limit, full in ((size, None), (size - 1, Full.POOL)):
        pool, _ = filled(1, MempoolLimits(100, limit, 100))
        assert pool.why_full(extra, "bank0") is full


@pytest.mark.parametrize(("limit", "full"), [(2, Full.MEMBER), (3, None)])
def test_each_member_has_a_share(limit: int, full: Full | None) -> None:
    """One member's share being used up leaves room for another's."""
    pool, envelopes = filled(2, MempoolLimits(100, 100_000, limit))
    assert pool.why_full(payment(9), "bank0") is full
    assert pool.why_full(payment(9), "bank1") is None
    pool.remove(envelopes[0].signing_hash)
    assert pool.why_full(payment(9), "bank0") is None


def test_queued_debits_add_up_and_go_away() -> None:
    """What held transfers will take from an account, in minor units."""
    pool, envelopes = filled(3)
    assert pool.queued_debit(ANNA) == 15
    assert pool.queued_debit(BERT) == 0
    for envelope in envelopes:
        pool.remove(envelope.signing_hash)
    assert pool.queued_debit(ANNA) == 0


def test_what_is_proposed_does_not_wait_until_the_lead_is_lost() -> None:
    """Order of arrival holds, also for what comes back."""
    pool, envelopes = filled(3)
    pool.mark_proposed([envelopes[0].signing_hash, envelopes[1].signing_hash], 1)
    assert [pending.envelope for pending in pool.waiting()] == envelopes[2:]
    pool.unmark_proposed()
    assert [pending.envelope for pending in pool.waiting()] == envelopes
    assert not any(pending.proposed for pending in pool.held())


def test_members_take_turns_and_each_members_own_order_stays() -> None:
    """One member's flood doesn't keep another's two payments out of the next block."""
    pool, flood = filled(4)
    late = [payment(number) for number in (10, 11)]
    for envelope in late:
        pool.add(envelope, "bank1", 0)
    pool.mark_proposed([flood[0].signing_hash], 1)
    in_turn = [pending.envelope for pending in pool.waiting_in_turn()]
    assert in_turn == [flood[1], late[0], flood[2], late[1], flood[3]]
    assert [pending.envelope for pending in pool.waiting()] == [*flood[1:], *late]
