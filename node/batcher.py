"""When the leader closes a block, and what goes into it: at once while idle, paced under load, never too far
ahead.

It must not know Raft, the disk or clients. Times are the caller's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.block import Scheduled
from ledger.envelope import Envelope
from node.mempool import Pending

MAX_UNEXECUTED = 32
"""Ordinary blocks are proposed up to this many above the executed height (docs/formats.md, look-back)."""
FULL_BLOCK = 1_000
"""Waiting transactions that close a block at once under load."""
BUSY_BLOCK = 64
"""A block of so many or more shows load: the next one is paced."""
PACE_MS = 50
"""Under load a block is closed this long after the one before, if it isn't full sooner."""
MAX_PACES = 4
"""Each block under way beyond the first lengthens the wait by another pace, up to so many: where blocks pile
up the network is saturated, and fewer and larger ones cost it less."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the decision is made on. `since_last_ms` is the time since this leader's last ordinary block."""

    waiting: int
    next_height: int
    executed: int
    in_flight: int
    last_count: int
    since_last_ms: int
    activation_waits: bool


def delay_ms(pace: Pace) -> int | None:
    """How long to wait before closing a block (0: now), or None if something else must happen first."""
    if pace.next_height > pace.executed + MAX_UNEXECUTED:
        return None
    if not pace.waiting:
        return max(0, PACE_MS - pace.since_last_ms) if pace.activation_waits else None
    if pace.waiting >= FULL_BLOCK:
        return 0
    if pace.in_flight == 0 and pace.last_count < BUSY_BLOCK:
        return 0
    paces = min(max(1, pace.in_flight), MAX_PACES)
    return max(0, paces * PACE_MS - pace.since_last_ms)


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into the next block, and what can't any more."""

    envelopes: tuple[Envelope, ...]
    expired: tuple[Envelope, ...]


def is_crowded(waiting: int, held_bytes: int, values: Scheduled) -> bool:
    """Whether what waits may be more than one block takes, so that members must take turns."""
    parameters = values.parameters
    return waiting > parameters.block_envelopes or held_bytes > parameters.block_bytes


def choose(waiting: Iterable[Pending], values: Scheduled, time_ms: int) -> Batch:
    """The first transactions that are valid at the block's time and fit its limits, in the order given."""
    parameters = values.parameters
    chosen: list[Envelope] = []
    expired: list[Envelope] = []
    size = 0
    for pending in waiting:
        envelope = pending.envelope
        payload = envelope.payload
        if len(chosen) >= parameters.block_envelopes or size + len(envelope.raw) > parameters.block_bytes:
            break
        if payload.valid_until_ms <= time_ms:
            expired.append(envelope)
        elif payload.valid_from_ms <= time_ms and _within(envelope, values):
            chosen.append(envelope)
            size += len(envelope.raw)
    return Batch(tuple(chosen), tuple(expired))


def _within(envelope: Envelope, values: Scheduled) -> bool:
    """Whether the limits of one envelope, which may have changed since its admission, still allow it."""
    parameters = values.parameters
    return (
        len(envelope.raw) <= parameters.envelope_bytes and len(envelope.payload.signers) <= parameters.signers
    )
