"""What became of a file of orders: settled, refused and why, and each bank's net position.

Pure; it must not know how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.settle.orders import BadLine, Order
from cli.settle.plan import Payment
from cli.settle.runner import Carried, Ending
from ledger.amounts import format_amount


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that was not paid, for good."""

    order: Order
    ending: Ending


@dataclass(frozen=True, slots=True)
class NetPosition:
    """What a bank's customers received and paid in the file's settled orders (minor units)."""

    bank: str
    received: int
    paid: int

    @property
    def net(self) -> int:
        """Received less paid: positive where the others owe the bank."""
        return self.received - self.paid


@dataclass(frozen=True, slots=True)
class Report:
    """The sums of a run over a file."""

    orders: int
    settled: int
    settled_earlier: int
    amount: int
    refused: tuple[Refusal, ...]
    unknown: int
    bad_lines: tuple[BadLine, ...]
    positions: tuple[NetPosition, ...]
    accounts: int
    seconds: float


def make_report(carried: Carried, bad_lines: Iterable[BadLine]) -> Report:
    """The report of a run; a payment counts as settled earlier where its block was there before the run."""
    pairs = list(zip(carried.plan.payments, carried.payments, strict=True))
    settled = [(payment, ending) for payment, ending in pairs if ending.executed]
    earlier = sum(1 for _, ending in settled if (ending.height or 0) <= carried.start_height)
    known = [(payment, ending) for payment, ending in pairs if ending.outcome is not None]
    return Report(
        orders=len(pairs),
        settled=len(settled),
        settled_earlier=earlier,
        amount=sum(payment.order.amount for payment, _ in settled),
        refused=tuple(Refusal(payment.order, ending) for payment, ending in known if not ending.executed),
        unknown=len(pairs) - len(known),
        bad_lines=tuple(bad_lines),
        positions=net_positions(payment for payment, _ in settled),
        accounts=sum(1 for ending in carried.openings if ending.executed),
        seconds=carried.seconds,
    )


def net_positions(payments: Iterable[Payment]) -> tuple[NetPosition, ...]:
    """Every bank that took part, by id; the net positions add up to zero."""
    received: dict[str, int] = {}
    paid: dict[str, int] = {}
    for payment in payments:
        order = payment.order
        received[order.payee_bank] = received.get(order.payee_bank, 0) + order.amount
        paid[order.payer_bank] = paid.get(order.payer_bank, 0) + order.amount
    banks = sorted(received.keys() | paid.keys())
    return tuple(NetPosition(bank, received.get(bank, 0), paid.get(bank, 0)) for bank in banks)


def signed_amount(amount: int, scale: int) -> str:
    """A net amount as text, with its sign."""
    return ("-" if amount < 0 else "") + format_amount(abs(amount), scale)


def to_document(report: Report, batch: str, asset: str, scale: int) -> dict[str, Any]:
    """The report as the JSON document of `nostro settle --json`; amounts are decimal strings."""
    return {
        "batch": batch,
        "asset": asset,
        "orders": report.orders,
        "settled": report.settled,
        "settled_earlier": report.settled_earlier,
        "amount": format_amount(report.amount, scale),
        "refused": [_refusal(refusal) for refusal in report.refused],
        "unknown": report.unknown,
        "bad_lines": [{"line": bad.line, "reason": bad.reason} for bad in report.bad_lines],
        "net_positions": [
            {
                "bank": position.bank,
                "received": format_amount(position.received, scale),
                "paid": format_amount(position.paid, scale),
                "net": signed_amount(position.net, scale),
            }
            for position in report.positions
        ],
        "accounts": report.accounts,
        "seconds": round(report.seconds, 3),
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    outcome = refusal.ending.outcome
    return {
        "line": refusal.order.line,
        "order": refusal.order.order,
        "outcome": None if outcome is None else outcome.name.lower(),
        "decided_by": refusal.ending.decided_by,
        "sentence": refusal.ending.sentence,
    }
