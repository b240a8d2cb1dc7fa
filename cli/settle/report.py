"""What became of a file of orders: settled, not paid and why, and each bank's net position.

Pure; it must not know how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.settle.ending import Ending
from cli.settle.orders import BadLine, Order
from cli.settle.plan import Customer, Payment, Plan
from cli.settle.runner import Carried
from ledger.amounts import format_amount


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An order that is not paid, and why: its own ending, or, where it wasn't `sent`, that of the opening or
    funding that it needs.
    """

    order: Order
    ending: Ending
    sent: bool


@dataclass(frozen=True, slots=True)
class Unprepared:
    """An account that is not open, or an order (by its line) whose payer is not funded."""

    customer: Customer
    line: int | None
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
    """The sums of a run over a file.

    An order is settled; or refused: the chain refused its payment; or withheld: it refused what the payment
    needs, so it was not sent; or open: the chain has decided nothing yet.
    """

    orders: int
    settled: int
    settled_earlier: int
    amount: int
    refused: tuple[Unpaid, ...]
    withheld: tuple[Unpaid, ...]
    open: tuple[Unpaid, ...]
    unprepared: tuple[Unprepared, ...]
    bad_lines: tuple[BadLine, ...]
    positions: tuple[NetPosition, ...]
    accounts: int
    seconds: float


def make_report(carried: Carried, bad_lines: Iterable[BadLine]) -> Report:
    """The report of a run; a payment counts as settled earlier where its block was there before the run."""
    plan, endings = carried.plan, carried.endings
    unpaid = [_unpaid(payment, endings) for payment in plan.payments]
    settled = [payment for payment, why in zip(plan.payments, unpaid, strict=True) if why is None]
    heights = [endings[payment.tx_id].height or 0 for payment in settled]
    decided = [why for why in unpaid if why is not None and why.ending.decided]
    return Report(
        orders=len(plan.payments),
        settled=len(settled),
        settled_earlier=sum(1 for height in heights if height <= carried.start_height),
        amount=sum(payment.order.amount for payment in settled),
        refused=tuple(why for why in decided if why.sent),
        withheld=tuple(why for why in decided if not why.sent),
        open=tuple(why for why in unpaid if why is not None and not why.ending.decided),
        unprepared=tuple(_unprepared(plan, endings)),
        bad_lines=tuple(bad_lines),
        positions=net_positions(settled),
        accounts=sum(1 for customer in plan.customers if endings[customer.opening_tx_id].executed),
        seconds=carried.seconds,
    )


def _unpaid(payment: Payment, endings: Mapping[bytes, Ending]) -> Unpaid | None:
    """Why an order is not paid; None where it is."""
    own = endings.get(payment.tx_id)
    if own is not None:
        return None if own.executed else Unpaid(payment.order, own, sent=True)
    needed = (payment.payer.opening_tx_id, payment.payee.opening_tx_id, payment.funding_tx_id)
    missing = (endings[tx_id] for tx_id in needed if not endings[tx_id].executed)
    return Unpaid(payment.order, next(missing), sent=False)


def _unprepared(plan: Plan, endings: Mapping[bytes, Ending]) -> Iterator[Unprepared]:
    for customer in plan.customers:
        ending = endings[customer.opening_tx_id]
        if not ending.executed:
            yield Unprepared(customer, None, ending)
    for payment in plan.payments:
        funding = endings.get(payment.funding_tx_id)
        if funding is not None and not funding.executed:
            yield Unprepared(payment.payer, payment.order.line, funding)


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
        "refused": [_unpaid_form(unpaid) for unpaid in report.refused],
        "withheld": [_unpaid_form(unpaid) for unpaid in report.withheld],
        "open": [_unpaid_form(unpaid) for unpaid in report.open],
        "unprepared": [_unprepared_form(unprepared) for unprepared in report.unprepared],
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


def _unpaid_form(unpaid: Unpaid) -> dict[str, Any]:
    order = unpaid.order
    return {"line": order.line, "order": order.order, "sent": unpaid.sent, **_ending_form(unpaid.ending)}


def _unprepared_form(unprepared: Unprepared) -> dict[str, Any]:
    return {
        "what": "opening" if unprepared.line is None else "funding",
        "line": unprepared.line,
        "bank": unprepared.customer.bank,
        "account": unprepared.customer.name,
        **_ending_form(unprepared.ending),
    }


def _ending_form(ending: Ending) -> dict[str, Any]:
    return {
        "outcome": None if ending.outcome is None else ending.outcome.name.lower(),
        "decided_by": ending.decided_by,
        "sentence": ending.sentence,
    }
