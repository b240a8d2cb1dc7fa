"""When blocks are closed, and what goes into them: every decision at its boundary."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced

from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from ledger.state import scheduled
from node.batcher import (
    BUSY_BLOCK,
    FULL_BLOCK,
    MAX_PACES,
    MAX_UNEXECUTED,
    PACE_MS,
    Batch,
    Pace,
    choose,
    delay_ms,
    is_crowded,
)
from node.mempool import Pending
from tests.unit.node.harness import NOW_MS, Node

IDLE = Pace(1, 11, 10, 0, 1, 10_000, False)
BUSY = replace(IDLE, in_flight=1, since_last_ms=20)
NODE = Node()


def payment(number: int, valid_ms: tuple[int, int] = (NOW_MS, NOW_MS + 10)) -> Pending:
    """A held payment; who pays whom doesn't matter to the batcher."""
    account = NODE.bank.account("bank0", bytes(16))
    raw = NODE.bank.pay((account, "anna"), NODE.bank.issuance, 1, number.to_bytes(16, "big"), valid_ms)
    return Pending(decode_envelope(raw, EnvelopeLimits(4_096, 16)), "bank0", None, 0)


def chosen(pending: list[Pending], time_ms: int = NOW_MS, **parameters: int) -> Batch:
    """What the batcher chooses under the parameters of genesis, some of them changed."""
    executed = NODE.driver.executed
    values = scheduled(executed.progress, executed.registry, 1, 1)
    return choose(pending, replace(values, parameters=replaced(values.parameters, **parameters)), time_ms)


def test_an_idle_leader_closes_a_block_at_once() -> None:
    """One payment waits for nobody."""
    assert delay_ms(IDLE) == 0


def test_nothing_waiting_makes_no_block() -> None:
    """There are no empty blocks but for an activation."""
    assert delay_ms(replace(IDLE, waiting=0)) is None


def test_empty_blocks_fill_up_to_an_activation_at_the_pace() -> None:
    """They come one pace after the other."""
    filling = replace(IDLE, waiting=0, activation_waits=True)
    assert delay_ms(replace(filling, since_last_ms=PACE_MS - 1)) == 1
    assert delay_ms(replace(filling, since_last_ms=PACE_MS)) == 0


@pytest.mark.parametrize(("next_height", "expected"), [(10 + MAX_UNEXECUTED, 0), (11 + MAX_UNEXECUTED, None)])
def test_no_block_is_proposed_too_far_above_the_executed_one(next_height: int, expected: int | None) -> None:
    """Up to MAX_UNEXECUTED above it, full or not."""
    assert delay_ms(replace(IDLE, next_height=next_height, waiting=FULL_BLOCK)) == expected


def test_blocks_are_paced_while_one_is_under_way() -> None:
    """The rest of the pace is waited for."""
    assert delay_ms(BUSY) == PACE_MS - 20
    assert delay_ms(replace(BUSY, since_last_ms=PACE_MS + 1)) == 0


@pytest.mark.parametrize(
    ("in_flight", "paces"), [(1, 1), (2, 2), (MAX_PACES, MAX_PACES), (MAX_PACES + 1, MAX_PACES)]
)
def test_blocks_that_pile_up_are_closed_further_apart(in_flight: int, paces: int) -> None:
    """By one pace for each that is under way, up to MAX_PACES."""
    assert delay_ms(replace(BUSY, in_flight=in_flight)) == paces * PACE_MS - 20


def test_a_large_last_block_shows_load() -> None:
    """After BUSY_BLOCK or more the next is paced though nothing is under way."""
    assert delay_ms(replace(IDLE, last_count=BUSY_BLOCK - 1, since_last_ms=0)) == 0
    assert delay_ms(replace(IDLE, last_count=BUSY_BLOCK, since_last_ms=0)) == PACE_MS


def test_a_full_block_does_not_wait_for_the_pace() -> None:
    """FULL_BLOCK waiting payments close it."""
    assert delay_ms(replace(BUSY, waiting=FULL_BLOCK)) == 0
    assert delay_ms(replace(BUSY, waiting=FULL_BLOCK - 1)) == PACE_MS - 20


def envelopes(pending: list[Pending]) -> tuple[Envelope, ...]:
    """Their envelopes."""
    return tuple(held.envelope for held in pending)


def test_the_first_that_fit_are_chosen_in_order() -> None:
    """By number and by bytes, each exactly up to its limit."""
    pending = [payment(number) for number in range(4)]
    size = len(pending[0].envelope.raw)
    assert chosen(pending).envelopes == envelopes(pending)
    assert chosen(pending, block_envelopes=2).envelopes == envelopes(pending[:2])
    assert chosen(pending, block_bytes=3 * size).envelopes == envelopes(pending[:3])
    assert chosen(pending, block_bytes=3 * size - 1).envelopes == envelopes(pending[:2])


def test_nothing_early_or_expired_is_chosen() -> None:
    """valid_from <= time < valid_until; the expired are told apart from the early."""
    early, now, late = (
        payment(1, (NOW_MS + 1, NOW_MS + 9)),
        payment(2, (NOW_MS, NOW_MS + 1)),
        payment(3, (NOW_MS - 9, NOW_MS)),
    )
    assert chosen([early, now, late]) == Batch(envelopes([now]), envelopes([late]))


def test_limits_that_have_shrunk_since_admission_leave_envelopes_out() -> None:
    """A block must not become invalid by an envelope that was fine when it came in."""
    pending = [payment(1)]
    size = len(pending[0].envelope.raw)
    assert chosen(pending, envelope_bytes=size).envelopes == envelopes(pending)
    assert chosen(pending, envelope_bytes=size - 1).envelopes == ()
    assert chosen(pending, signers=0).envelopes == ()


@pytest.mark.parametrize(
    ("waiting", "held_bytes", "crowded"),
    [(5_000, 1_048_576, False), (5_001, 1_048_576, True), (5_000, 1_048_577, True)],
)
def test_members_take_turns_once_more_waits_than_a_block_holds(
    waiting: int, held_bytes: int, crowded: bool
) -> None:
    """By number or by bytes, at the limits of genesis."""
    executed = NODE.driver.executed
    assert is_crowded(waiting, held_bytes, scheduled(executed.progress, executed.registry, 1, 1)) is crowded
