"""transfer: accepted, refused for each of its reasons, and at each boundary."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.bodies import Body, CloseAccount, OpenAccount, SetFlags, Transfer
from ledger.codec import MAX_INTEGER
from ledger.keys import account_id
from ledger.outcome import Outcome
from ledger.policy import Policy, PolicyKey
from ledger.records import account_row_key, encode_record
from ledger.rules.v1.transfer import check
from tests.unit.ledger.rules.world import ISSUANCE, ISSUED_LIMIT, TELLER, World, public_key

PAYER, PAYEE = 51, 52


@pytest.fixture
def accounts(world: World) -> tuple[bytes, bytes]:
    """A payer with 100 and a payee with nothing."""
    return world.open("alpha", PAYER, funds=100), world.open("beta", PAYEE)


def test_moves_the_amount(world: World, accounts: tuple[bytes, bytes]) -> None:
    """The payer is debited and the payee credited, nothing else changes."""
    payer, payee = accounts
    before = world.account(payer)
    assert world.outcome(payer, Transfer(payee, "EUR", 30), PAYER) is Outcome.EXECUTED
    assert (world.account(payer).debits_posted, world.account(payer).credits_posted) == (30, 100)
    assert (world.account(payee).debits_posted, world.account(payee).credits_posted) == (0, 30)
    assert world.account(payer).version == before.version


@pytest.mark.parametrize(("amount", "outcome"), [(100, Outcome.EXECUTED), (101, Outcome.INSUFFICIENT_FUNDS)])
def test_at_most_what_is_available(
    world: World, accounts: tuple[bytes, bytes], amount: int, outcome: Outcome
) -> None:
    """All that is there may be paid, and not one minor unit more."""
    payer, payee = accounts
    assert world.outcome(payer, Transfer(payee, "EUR", amount), PAYER) is outcome
    assert world.account(payee).balance == (0 if outcome else amount)


@pytest.mark.parametrize(("amount", "outcome"), [(150, Outcome.EXECUTED), (151, Outcome.INSUFFICIENT_FUNDS)])
def test_limit_extends_what_is_available(
    world: World, accounts: tuple[bytes, bytes], amount: int, outcome: Outcome
) -> None:
    """The balance may go down to minus the limit, and not below."""
    payer, payee = accounts
    assert world.set_limit(payer, 50) is Outcome.EXECUTED
    assert world.outcome(payer, Transfer(payee, "EUR", amount), PAYER) is outcome


def test_issuing_stops_at_the_issuance_limit(world: World) -> None:
    """The issuance account goes down to its limit: the supply is bounded by what the issuer set."""
    account = world.open("alpha", PAYER, funds=ISSUED_LIMIT)
    assert world.account(world.issuance()).balance == -ISSUED_LIMIT
    assert (
        world.outcome(world.issuance(), Transfer(account, "EUR", 1), ISSUANCE) is Outcome.INSUFFICIENT_FUNDS
    )


def test_unknown_credit_account(world: World, accounts: tuple[bytes, bytes]) -> None:
    """A credit account that was never opened is named as unknown, and the id is used up."""
    payer, _ = accounts
    assert world.outcome(payer, Transfer(bytes(21), "EUR", 1), PAYER) is Outcome.UNKNOWN_ACCOUNT
    assert world.account(payer).entry_count == 3


def test_unknown_author(world: World, accounts: tuple[bytes, bytes]) -> None:
    """A payer that was never opened is an unknown author."""
    assert world.outcome(bytes(21), Transfer(accounts[1], "EUR", 1), PAYER) is Outcome.UNKNOWN_AUTHOR
    assert world.outcome("nobody", Transfer(accounts[1], "EUR", 1), PAYER) is Outcome.UNKNOWN_AUTHOR


def test_member_may_not_author_a_transfer(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Only the account itself pays, whoever else signs."""
    outcome = world.outcome("alpha", Transfer(accounts[1], "EUR", 1), TELLER["alpha"])
    assert outcome is Outcome.NOT_PERMITTED


def test_policy_not_met(world: World, accounts: tuple[bytes, bytes]) -> None:
    """Another key than the payer's pays nothing and leaves no entry."""
    payer, payee = accounts
    assert world.outcome(payer, Transfer(payee, "EUR", 1), PAYEE) is Outcome.POLICY_NOT_MET
    assert world.account(payer).entry_count == 2


@pytest.mark.parametrize("closed", [0, 1])
def test_closed_accounts_neither_pay_nor_are_paid(
    world: World, accounts: tuple[bytes, bytes], closed: int
) -> None:
    """A closed account on either side refuses the payment."""
    ends = (world.open("alpha", PAYER), accounts[1]) if closed == 0 else accounts
    close = CloseAccount(ends[closed], world.version(ends[closed]))
    assert world.outcome(ends[closed], close, (PAYER, PAYEE)[closed]) is Outcome.EXECUTED
    assert world.outcome(ends[0], Transfer(ends[1], "EUR", 1), PAYER) is Outcome.ACCOUNT_CLOSED


@pytest.mark.parametrize(
    ("side", "flags", "by", "outcome"),
    [
        (0, 1, "alpha", Outcome.DEBIT_FROZEN),
        (0, 2, "alpha", Outcome.EXECUTED),
        (0, 8, "central", Outcome.DEBIT_FROZEN),
        (0, 16, "central", Outcome.EXECUTED),
        (1, 1, "beta", Outcome.EXECUTED),
        (1, 2, "beta", Outcome.CREDIT_FROZEN),
        (1, 8, "central", Outcome.EXECUTED),
        (1, 16, "central", Outcome.CREDIT_FROZEN),
    ],
)
def test_freezes(
    world: World, accounts: tuple[bytes, bytes], side: int, flags: int, by: str, outcome: Outcome
) -> None:
    """Each freeze stops its own direction, whoever of the two set it, and no other."""
    assert world.outcome(by, SetFlags(accounts[side], 1, flags), TELLER[by]) is Outcome.EXECUTED
    assert world.outcome(accounts[0], Transfer(accounts[1], "EUR", 1), PAYER) is outcome


@pytest.mark.parametrize(("asset", "credit"), [("USD", "EUR"), ("EUR", "USD"), ("USD", "USD")])
def test_wrong_asset(world: World, asset: str, credit: str) -> None:
    """Payer, payee and body must all be of one asset."""
    payer, payee = world.open("alpha", PAYER, funds=100), world.open("beta", PAYEE, credit)
    assert world.outcome(payer, Transfer(payee, asset, 1), PAYER) is Outcome.WRONG_ASSET


def test_same_account(world: World, accounts: tuple[bytes, bytes]) -> None:
    """An account does not pay itself."""
    assert world.outcome(accounts[0], Transfer(accounts[0], "EUR", 1), PAYER) is Outcome.SAME_ACCOUNT


@pytest.mark.parametrize(
    ("field", "side", "counter", "outcome"),
    [
        ("debits_posted", 0, MAX_INTEGER - 5, Outcome.EXECUTED),
        ("debits_posted", 0, MAX_INTEGER - 4, Outcome.AMOUNT_OVERFLOW),
        ("credits_posted", 1, MAX_INTEGER - 5, Outcome.EXECUTED),
        ("credits_posted", 1, MAX_INTEGER - 4, Outcome.AMOUNT_OVERFLOW),
    ],
)
def test_counters_end_at_the_largest_integer(
    world: World, accounts: tuple[bytes, bytes], field: str, side: int, counter: int, outcome: Outcome
) -> None:
    """A payment of 5 is taken as long as both counters stay within 2 to the 63rd minus 1."""
    other = {"debits_posted": "credits_posted", "credits_posted": "debits_posted"}[field]
    account = replace(world.account(accounts[side]), limit=10, **{field: counter, other: counter})
    world.rows.rows[account_row_key(account.number)] = encode_record(account)
    fresh = type(world.state)(world.rows, world.state.progress, world.state.registry, world.state.tree)
    body: Body = Transfer(accounts[1], "EUR", 5)
    envelope = world.envelope(accounts[0], body, [PAYER])
    assert isinstance(envelope.body, Transfer)
    assert check(fresh, envelope, envelope.body, 9) is outcome


def test_policy_of_several_keys(world: World) -> None:
    """A threshold of two takes two of the policy's keys; one is not enough, and strangers don't count."""
    shared = Policy(2, tuple(PolicyKey(key) for key in sorted(public_key(n) for n in (61, 62, 63))))
    tx_id = world.new_id()
    opening = world.envelope("alpha", OpenAccount("EUR", shared), [TELLER["alpha"]], tx_id=tx_id)
    assert world.outcomes(opening) == [Outcome.EXECUTED]
    account = account_id("alpha", "EUR", tx_id)
    assert world.outcome(world.issuance(), Transfer(account, "EUR", 10), ISSUANCE) is Outcome.EXECUTED
    body = Transfer(world.issuance(), "EUR", 1)
    assert world.outcome(account, body, 61) is Outcome.POLICY_NOT_MET
    assert world.outcome(account, body, 61, 99) is Outcome.POLICY_NOT_MET
    assert world.outcome(account, body, 61, 63) is Outcome.EXECUTED
