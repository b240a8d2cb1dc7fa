"""A file that says otherwise than its batch's earlier runs is refused, by line; one that only grew is not."""

import pytest

from cli.settle.plan import Plan
from cli.settle.unchanged import FileChanged, check_signed
from ledger.codec import Malformed
from tests.unit.settle.played import SCALE, make_desk, order, plan

A, B, C = ("1", "9", 1000), ("2", "9", 2000), ("1", "8", 1000)
DESK = make_desk()


def rows(*orders: tuple[str, str, int] | None, asset: str = "CZK") -> Plan:
    """The plan of orders in rows from line 2 on; None is a line that is no order."""
    numbered = [(line, row) for line, row in enumerate(orders, start=2) if row is not None]
    return plan(*(order(line, *row) for line, row in numbered), asset=asset)


def signed(made: Plan, paid: int | None = None) -> dict[bytes, bytes]:
    """What an earlier run signed of a plan: all accounts and fundings, and the first `paid` payments."""
    openings = {customer.opening_tx_id: DESK.opening(customer) for customer in made.customers}
    fundings = {payment.funding_tx_id: DESK.funding(payment) for payment in made.payments}
    payments = {payment.tx_id: DESK.payment(payment) for payment in made.payments[:paid]}
    return openings | fundings | payments


@pytest.mark.parametrize("paid", [None, 1, 0])
@pytest.mark.parametrize("now", [(A, B, C), (A, B, C, A), (A, B, C, None, B)])
def test_the_same_lines_and_new_ones_at_the_end_are_taken(
    now: tuple[tuple[str, str, int] | None, ...], paid: int | None
) -> None:
    """However far the earlier run came."""
    check_signed(rows(*now), signed(rows(A, B, C), paid), DESK, SCALE)


def test_a_line_that_was_no_order_may_become_one() -> None:
    """Nothing was signed of it: a mended line is paid, and all others stay as they are."""
    check_signed(rows(A, C, B), signed(rows(A, None, B)), DESK, SCALE)


@pytest.mark.parametrize(
    ("now", "line", "what"),
    [
        ((("1", "9", 9900), B, C), 2, "the amount was 10.00 and is 99.00"),
        ((A, ("3", "9", 2000), C), 3, "the payer is another"),
        ((A, B, ("1", "7", 1000)), 4, "the payee is another"),
        ((B, A, B, C), 2, "the payer is another"),
        ((C, A, B, C), 2, "the payee is another"),
        ((A, A, B, C), 3, "the payer is another"),
        ((B, C), 2, "the payer is another"),
        ((A, C), 3, "the payer is another"),
        ((A, B), 4, "an order was there, and now there is none"),
        ((A, None, C), 3, "an order was there, and now there is none"),
        ((), 2, "an order was there, and now there is none"),
    ],
)
def test_the_first_line_that_is_not_what_it_was_is_named(
    now: tuple[tuple[str, str, int] | None, ...], line: int, what: str
) -> None:
    """Changed, put in or taken out, at any place."""
    with pytest.raises(FileChanged) as caught:
        check_signed(rows(*now), signed(rows(A, B, C)), DESK, SCALE)
    assert f"Line {line} is not what it was in an earlier run of the batch 'may': {what}." in str(
        caught.value
    )
    assert "Restore the lines" in caught.value.explained.remedy
    assert "--batch NAME" in caught.value.explained.remedy


def test_an_order_that_was_funded_and_not_yet_paid_is_held_to_its_funding() -> None:
    """A run that died between the phases leaves payers and amounts on record."""
    with pytest.raises(FileChanged, match="the amount was"):
        check_signed(rows(A, ("2", "9", 1), C), signed(rows(A, B, C), paid=0), DESK, SCALE)


def test_the_same_rows_in_another_asset_are_another_batch() -> None:
    """Nothing is paid a second time in another currency under the same name."""
    other = make_desk(asset="EUR")
    with pytest.raises(FileChanged, match="the payer is another"):
        check_signed(rows(A, asset="EUR"), signed(rows(A)), other, SCALE)


def test_bytes_under_an_order_s_id_that_are_no_transfer_are_never_sent() -> None:
    """Whole envelopes of another kind, and no envelopes at all."""
    made = rows(A)
    with pytest.raises(FileChanged, match="it was no transfer"):
        check_signed(made, {made.payments[0].tx_id: DESK.opening(made.customers[0])}, DESK, SCALE)
    with pytest.raises(Malformed):
        check_signed(made, {made.payments[0].tx_id: b"junk"}, DESK, SCALE)
