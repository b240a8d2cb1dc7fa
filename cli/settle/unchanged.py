"""Refuses a file that says otherwise than what was signed or settled of its batch before.

An id stands for a line. Were an order paid under another line's id, it would be paid twice, and the report
would tell of payments that the chain doesn't have. So a batch only grows: lines may be added at the end, and
a line of which nothing was signed may become an order. It must not know nodes or keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.errors import CommandError
from cli.exits import Exit
from cli.settle.plan import Payment, Plan, line_of
from cli.settle.signing import Desk
from cli.settle.terms import Terms, difference, signed_terms

REMEDY = (
    "Restore the lines as they were, with new orders after the last, and run again; or put what is still to "
    "be paid in a file of its own. As a new batch (--batch NAME) this file pays all its lines, paid or not."
)


class FileChanged(CommandError):
    """The file says otherwise than an earlier run of its batch; nothing of this run was signed or sent."""

    def __init__(self, line: int, batch: str, what: str) -> None:
        super().__init__(
            f"Line {line} is not what it was in an earlier run of the batch {batch!r}: {what}. "
            "Nothing was sent.",
            REMEDY,
            Exit.REFUSED,
        )


def check_signed(plan: Plan, signed: Mapping[bytes, bytes], desk: Desk, scale: int) -> None:
    """Compares a plan with the envelopes, by id, that earlier runs signed.

    Raises FileChanged for the first line that differs.
    """
    changed = min((*_differing(plan, signed, desk, scale), *_gone(plan, signed)), default=None)
    if changed is not None:
        raise FileChanged(changed[0], plan.batch, changed[1])


def funding_difference(then: Terms | None, payment: Payment, desk: Desk, scale: int) -> str | None:
    """What an order says otherwise than its funding under the same id did."""
    return difference(then, desk.funding_terms(payment), "issuer", "payer", scale)


def payment_difference(then: Terms | None, payment: Payment, desk: Desk, scale: int) -> str | None:
    """What an order says otherwise than its payment under the same id did."""
    return difference(then, desk.payment_terms(payment), "payer", "payee", scale)


def _differing(
    plan: Plan, signed: Mapping[bytes, bytes], desk: Desk, scale: int
) -> Iterator[tuple[int, str]]:
    for payment in plan.payments:
        for tx_id, compare in (
            (payment.funding_tx_id, funding_difference),
            (payment.tx_id, payment_difference),
        ):
            raw = signed.get(tx_id)
            what = None if raw is None else compare(signed_terms(raw), payment, desk, scale)
            if what is not None:
                yield payment.order.line, what


def _gone(plan: Plan, signed: Mapping[bytes, bytes]) -> Iterator[tuple[int, str]]:
    planned = {tx_id for payment in plan.payments for tx_id in (payment.funding_tx_id, payment.tx_id)}
    for tx_id in signed:
        line = line_of(tx_id, plan.start_ms)
        if line > 0 and tx_id not in planned:
            yield line, "an order was there, and now there is none"
