"""The plan that a file of orders becomes, and its signed envelopes."""

import pytest

from cli.settle.orders import OrderFileError
from cli.settle.plan import line_of, signing_banks
from cli.settle.signing import VALID_BEFORE_MS, VALID_FOR_MS
from ledger.bodies import OpenAccount, Transfer
from ledger.codec import MAX_INTEGER
from ledger.envelope import decode_envelope, verify_envelope
from tests.unit.settle.played import ISSUANCE, LIMITS, NOW_MS, START_MS, make_desk, order, plan

ORDERS = (order(2, "1", "9", 100), order(3, "2", "9", 50), order(4, "1", "1", 7, bank="home2"))


def test_each_customer_is_opened_once_and_each_order_funded_for_itself() -> None:
    """Whoever has several orders has one account; each order's funding has an id of its own."""
    made = plan(*ORDERS)
    assert [(c.bank, c.name) for c in made.customers] == [
        ("home", "1"),
        ("yz", "9"),
        ("home", "2"),
        ("home2", "1"),
    ]
    assert [p.order.line for p in made.payments] == [2, 3, 4]
    assert len({p.funding_tx_id for p in made.payments} | {p.tx_id for p in made.payments}) == 6


def test_orders_added_at_the_end_change_nothing_before_them() -> None:
    """Also those of a payer who has orders already: nothing that is signed has to be signed otherwise."""
    grown = plan(*ORDERS, order(5, "1", "9", 3), order(6, "3", "9", 4))
    assert grown.payments[:3] == plan(*ORDERS).payments


def test_an_id_says_which_line_it_is_of() -> None:
    """Fundings and payments alike; an account belongs to no line."""
    made = plan(*ORDERS)
    assert [line_of(p.tx_id, START_MS) for p in made.payments] == [2, 3, 4]
    assert [line_of(p.funding_tx_id, START_MS) for p in made.payments] == [2, 3, 4]
    assert {line_of(c.opening_tx_id, START_MS) for c in made.customers} == {0}


def test_ids_derive_from_batch_row_and_purpose() -> None:
    """Planned again, the same ids; another batch, other ids for payments and the same for accounts."""
    made, again, other = plan(*ORDERS), plan(*ORDERS), plan(*ORDERS, batch="june")
    assert made == again
    assert made.customers == other.customers
    ids = {tx_id for p in made.payments for tx_id in (p.tx_id, p.funding_tx_id)}
    assert not ids & {tx_id for p in other.payments for tx_id in (p.tx_id, p.funding_tx_id)}


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


def test_envelopes_are_signed_by_who_has_the_authority() -> None:
    """Tellers open, the issuer funds, customers pay; each envelope decodes and verifies."""
    made = plan(*ORDERS)
    desk = make_desk()
    opening = decode_envelope(desk.opening(made.customers[0]), LIMITS)
    funding = decode_envelope(desk.funding(made.payments[0]), LIMITS)
    payment = decode_envelope(desk.payment(made.payments[2]), LIMITS)
    for envelope in (opening, funding, payment):
        verify_envelope(envelope)
        assert envelope.payload.valid_from_ms == NOW_MS - VALID_BEFORE_MS
        assert envelope.payload.valid_until_ms == NOW_MS + VALID_FOR_MS

    assert isinstance(opening.body, OpenAccount)
    assert opening.author_member == "home"
    assert opening.body.policy.keys[0].key == payment.payload.signers[0]
    assert isinstance(funding.body, Transfer)
    assert funding.author_account == ISSUANCE
    assert (funding.body.credit, funding.body.amount) == (made.customers[0].account, 100)
    assert isinstance(payment.body, Transfer)
    assert payment.author_account == made.customers[0].account
    assert (payment.body.credit, payment.body.amount) == (made.customers[3].account, 7)
