"""The plan that a file of orders becomes, and its signed envelopes."""

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cli.settle.orders import Order, OrderFileError
from cli.settle.plan import Plan, make_plan, signing_banks
from cli.settle.signing import VALID_BEFORE_MS, VALID_FOR_MS, BankKeys, Desk
from ledger.bodies import OpenAccount, Transfer
from ledger.codec import MAX_INTEGER
from ledger.envelope import EnvelopeLimits, decode_envelope, verify_envelope

START_MS = 1_700_000_000_000
NOW_MS = START_MS + 1_000_000


def order(line: int, payer: str, payee: str, amount: int, bank: str = "yz") -> Order:
    """An order of a payer at `home`."""
    return Order(line, str(line), "home", payer, bank, payee, amount, "")


def plan(*orders: Order, batch: str = "may", asset: str = "CZK") -> Plan:
    """The plan of these orders."""
    return make_plan(orders, batch=batch, asset=asset, start_ms=START_MS)


ORDERS = (order(2, "1", "9", 100), order(3, "2", "9", 50), order(4, "1", "1", 7, bank="home2"))


def test_each_customer_is_opened_once_and_each_payer_funded_once() -> None:
    """Funding is the sum of a payer's orders; a payee that pays nothing is not funded."""
    made = plan(*ORDERS)
    assert [(c.bank, c.name) for c in made.customers] == [
        ("home", "1"),
        ("yz", "9"),
        ("home", "2"),
        ("home2", "1"),
    ]
    assert [(f.customer.name, f.amount) for f in made.fundings] == [("1", 107), ("2", 50)]
    assert [p.order.line for p in made.payments] == [2, 3, 4]


def test_ids_derive_from_batch_row_and_purpose() -> None:
    """Planned again, the same ids; another batch, other ids for payments and the same for accounts."""
    made, again, other = plan(*ORDERS), plan(*ORDERS), plan(*ORDERS, batch="june")
    assert made == again
    assert made.customers == other.customers
    ids = {p.tx_id for p in made.payments} | {f.tx_id for f in made.fundings}
    assert len(ids) == 5
    assert not ids & ({p.tx_id for p in other.payments} | {f.tx_id for f in other.fundings})


def test_customers_of_another_asset_have_other_accounts() -> None:
    """An account holds one asset."""
    assert plan(*ORDERS).customers[0].account != plan(*ORDERS, asset="EUR").customers[0].account


def test_a_total_beyond_what_the_ledger_counts_is_refused() -> None:
    """The largest sum is planned, one more is not."""
    plan(order(2, "1", "9", MAX_INTEGER - 1), order(3, "1", "9", 1))
    with pytest.raises(OrderFileError, match="add up to more"):
        plan(order(2, "1", "9", MAX_INTEGER), order(3, "2", "9", 1))


def test_only_banks_that_still_have_to_sign_are_needed() -> None:
    """At first every bank of a payer or payee; what is signed already needs no keys."""
    made = plan(*ORDERS)
    assert signing_banks(made, ()) == {"home", "yz", "home2"}
    openings = {customer.opening_tx_id for customer in made.customers}
    assert signing_banks(made, openings) == {"home"}
    assert signing_banks(made, openings | {payment.tx_id for payment in made.payments}) == frozenset()


@dataclass(frozen=True)
class PlayedKeys:
    """Keys made for a test, kept by bank."""

    banks: dict[str, BankKeys]
    issuer: ec.EllipticCurvePrivateKey

    def bank(self, name: str) -> BankKeys:
        """The keys of a bank."""
        return self.banks[name]

    def issuance(self) -> ec.EllipticCurvePrivateKey:
        """The issuer's key."""
        return self.issuer


def test_envelopes_are_signed_by_who_has_the_authority() -> None:
    """Tellers open, the issuer funds, customers pay; each envelope decodes and verifies."""
    made = plan(*ORDERS)
    banks = {bank: BankKeys(_key(), _key()) for bank in ("home", "yz", "home2")}
    issuance = made.customers[1].account
    desk = Desk(bytes(32), "CZK", issuance, PlayedKeys(banks, _key()), NOW_MS)
    limits = EnvelopeLimits(envelope_bytes=4096, signers=16)

    opening = decode_envelope(desk.opening(made.customers[0]), limits)
    funding = decode_envelope(desk.funding(made.fundings[0]), limits)
    payment = decode_envelope(desk.payment(made.payments[2]), limits)
    for envelope in (opening, funding, payment):
        verify_envelope(envelope)
        assert envelope.payload.valid_from_ms == NOW_MS - VALID_BEFORE_MS
        assert envelope.payload.valid_until_ms == NOW_MS + VALID_FOR_MS

    assert isinstance(opening.body, OpenAccount)
    assert opening.author_member == "home"
    assert opening.body.policy.keys[0].key == payment.payload.signers[0]
    assert isinstance(funding.body, Transfer)
    assert funding.author_account == issuance
    assert funding.body.amount == 107
    assert isinstance(payment.body, Transfer)
    assert payment.author_account == made.customers[0].account
    assert (payment.body.credit, payment.body.amount) == (made.customers[3].account, 7)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
