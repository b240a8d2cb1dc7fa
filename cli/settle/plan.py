"""What a file of orders becomes: accounts to open, and for each order a funding of its payer and a payment,
each with an id of its own.

Pure: the same orders on the same network give the same ids, so a second run can pay nothing twice. It must
not know files, keys' secrets or the network.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cli.settle.orders import Order, OrderFileError
from ledger.codec import MAX_INTEGER
from ledger.keys import account_id
from wallet.ids import derived_tx_id

ACCOUNTS_BATCH = "accounts"
"""Opening ids derive from the account's name alone: next month's file finds the accounts that this month's
opened.
"""
_TIME_BYTES = 6


class Purpose(StrEnum):
    """What a transaction of the batch is for, in the order in which they are sent."""

    OPEN = "open"
    FUND = "fund"
    PAY = "pay"


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer's account: `name` is the bank's number for it, `account` its id on the ledger."""

    bank: str
    name: str
    opening_tx_id: bytes
    account: bytes

    @property
    def label(self) -> str:
        """The label under which the bank derives this customer's key."""
        return f"customer {self.name}"


@dataclass(frozen=True, slots=True)
class Payment:
    """One order as a transfer between two customers, which the issuer funds with one of the same amount."""

    tx_id: bytes
    funding_tx_id: bytes
    order: Order
    payer: Customer
    payee: Customer


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a batch does. `start_ms` is the network's genesis time, from which its ids are laid out."""

    batch: str
    start_ms: int
    customers: tuple[Customer, ...]
    payments: tuple[Payment, ...]


def make_plan(orders: Sequence[Order], *, batch: str, asset: str, start_ms: int) -> Plan:
    """The plan of a batch. `start_ms` is the network's genesis time: ids are laid out from it in row order.

    Raises OrderFileError where the orders add up to more than the ledger can count.
    """
    if sum(order.amount for order in orders) > MAX_INTEGER:
        raise OrderFileError(
            f"The orders add up to more than {MAX_INTEGER:,} minor units.", "Split the file."
        )
    customers = _customers(orders, asset, start_ms)
    payments = tuple(
        Payment(
            _tx_id(start_ms, batch, order.line, Purpose.PAY),
            _tx_id(start_ms, batch, order.line, Purpose.FUND),
            order,
            customers[order.payer_bank, order.payer],
            customers[order.payee_bank, order.payee],
        )
        for order in orders
    )
    return Plan(batch, start_ms, tuple(customers.values()), payments)


def line_of(tx_id: bytes, start_ms: int) -> int:
    """The line that the id of a funding or payment was laid out from; 0 for an account's opening."""
    return int.from_bytes(tx_id[:_TIME_BYTES]) - start_ms


def signing_banks(plan: Plan, signed: Container[bytes]) -> frozenset[str]:
    """The banks whose keys the plan still needs, when the transactions with the ids in `signed` need none."""
    opening = (customer.bank for customer in plan.customers if customer.opening_tx_id not in signed)
    paying = (payment.payer.bank for payment in plan.payments if payment.tx_id not in signed)
    return frozenset((*opening, *paying))


def _customers(orders: Sequence[Order], asset: str, start_ms: int) -> dict[tuple[str, str], Customer]:
    """Every payer and payee once, in the order in which the file first names them."""
    names = dict.fromkeys(
        name
        for order in orders
        for name in ((order.payer_bank, order.payer), (order.payee_bank, order.payee))
    )
    return {name: _customer(name, asset, start_ms) for name in names}


def _customer(name: tuple[str, str], asset: str, start_ms: int) -> Customer:
    bank, number = name
    tx_id = derived_tx_id(start_ms, ACCOUNTS_BATCH, 0, f"{Purpose.OPEN.value} {asset} {bank} {number}")
    return Customer(bank, number, tx_id, account_id(bank, asset, tx_id))


def _tx_id(start_ms: int, batch: str, line: int, purpose: Purpose) -> bytes:
    """Neighbouring rows get neighbouring ids, which the store likes."""
    return derived_tx_id(start_ms + line, batch, line, purpose.value)
