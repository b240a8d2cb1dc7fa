"""The kinds that open, change and close an account: accepted, refused, and at their boundaries."""

from __future__ import annotations

import pytest

from ledger.bodies import CloseAccount, CreateAsset, OpenAccount, SetFlags, SetLimit, SetPolicy, Transfer
from ledger.keys import account_id
from ledger.outcome import Outcome
from tests.unit.ledger.rules.world import ADMIN, ISSUANCE, TELLER, World, policy

OWNER, OTHER = 51, 52


@pytest.fixture
def account(world: World) -> bytes:
    """An account at alpha with 100."""
    return world.open("alpha", OWNER, funds=100)


def test_open_account_takes_the_next_number(world: World) -> None:
    """A new account stands under the id that follows from member, asset and transaction id."""
    tx_id, reference = world.new_id(), bytes(range(32))
    body = OpenAccount("EUR", policy(OWNER), (reference,))
    assert world.outcomes(world.envelope("alpha", body, [TELLER["alpha"]], tx_id=tx_id)) == [Outcome.EXECUTED]
    opened = world.account(account_id("alpha", "EUR", tx_id))
    assert (opened.number, opened.member, opened.asset, opened.version) == (2, "alpha", "EUR", 1)
    assert (opened.opened_height, opened.entry_count, opened.limit, opened.flags) == (1, 1, 0, 0)
    assert opened.reference == (reference,)


def test_open_account_needs_the_teller(world: World, account: bytes) -> None:
    """Admins open no accounts, nor another bank's teller, nor an account itself."""
    body = OpenAccount("EUR", policy(OWNER))
    assert world.outcome("alpha", body, ADMIN["alpha"]) is Outcome.POLICY_NOT_MET
    assert world.outcome("alpha", body, TELLER["beta"]) is Outcome.POLICY_NOT_MET
    assert world.outcome("gamma", body, TELLER["alpha"]) is Outcome.UNKNOWN_AUTHOR
    assert world.outcome(account, body, OWNER) is Outcome.NOT_PERMITTED
    assert world.outcome(bytes(21), body, OWNER) is Outcome.UNKNOWN_AUTHOR


def test_open_account_in_an_unknown_asset(world: World) -> None:
    """An account holds an asset that exists."""
    body = OpenAccount("XAU", policy(OWNER))
    assert world.outcome("alpha", body, TELLER["alpha"]) is Outcome.UNKNOWN_ASSET


def test_open_account_under_the_id_of_an_issuance_account(world: World) -> None:
    """A member can't open over the issuance account that governance opened for it under the same tx id."""
    tx_id = world.new_id()
    create = CreateAsset("XAU", 2, "alpha", policy(ISSUANCE))
    created = world.envelope("beta", create, [ADMIN["alpha"], ADMIN["beta"]], tx_id=tx_id)
    opened = world.envelope("alpha", OpenAccount("XAU", policy(OWNER)), [TELLER["alpha"]], tx_id=tx_id)
    assert world.outcomes(created, opened) == [Outcome.EXECUTED, Outcome.ALREADY_EXISTS]


def test_set_policy_rotates_keys(world: World, account: bytes) -> None:
    """After rotation the new key pays and the old one does not."""
    assert world.outcome(account, SetPolicy(account, 1, policy(OTHER)), OWNER) is Outcome.EXECUTED
    assert world.version(account) == 2
    pay = Transfer(world.issuance(), "EUR", 1)
    assert world.outcome(account, pay, OWNER) is Outcome.POLICY_NOT_MET
    assert world.outcome(account, pay, OTHER) is Outcome.EXECUTED


def test_set_policy_recovers_by_the_members_admin(world: World, account: bytes) -> None:
    """The account's own bank recovers it with its admin policy; its teller may not, nor another bank."""
    body = SetPolicy(account, 1, policy(OTHER))
    assert world.outcome("alpha", body, TELLER["alpha"]) is Outcome.POLICY_NOT_MET
    assert world.outcome("beta", body, ADMIN["beta"]) is Outcome.NOT_PERMITTED
    assert world.outcome("alpha", body, ADMIN["alpha"]) is Outcome.EXECUTED


def test_set_policy_of_another_account(world: World, account: bytes) -> None:
    """An account changes its own policy only."""
    other = world.open("alpha", OTHER)
    assert world.outcome(other, SetPolicy(account, 1, policy(OTHER)), OTHER) is Outcome.NOT_PERMITTED
    assert world.outcome(bytes(21), SetPolicy(account, 1, policy(OTHER)), OTHER) is Outcome.UNKNOWN_AUTHOR


@pytest.mark.parametrize("version", [0, 2])
def test_version_mismatch_everywhere(world: World, account: bytes, version: int) -> None:
    """One below and one above the present version are refused by each compare-and-set."""
    admin, teller = ADMIN["central"], TELLER["alpha"]
    assert (
        world.outcome(account, SetPolicy(account, version, policy(OTHER)), OWNER) is Outcome.VERSION_MISMATCH
    )
    assert world.outcome("central", SetLimit(account, version, 5), admin) is Outcome.VERSION_MISMATCH
    assert world.outcome("alpha", SetFlags(account, version, 1), teller) is Outcome.VERSION_MISMATCH
    assert world.outcome("alpha", CloseAccount(account, version), teller) is Outcome.VERSION_MISMATCH
    assert world.version(account) == 1


def test_unknown_account_everywhere(world: World) -> None:
    """Each kind that changes an account names one that does not exist as unknown."""
    nowhere = bytes(21)
    assert world.outcome("alpha", SetPolicy(nowhere, 1, policy(1)), ADMIN["alpha"]) is Outcome.UNKNOWN_ACCOUNT
    assert world.outcome("central", SetLimit(nowhere, 1, 5), ADMIN["central"]) is Outcome.UNKNOWN_ACCOUNT
    assert world.outcome("alpha", SetFlags(nowhere, 1, 1), TELLER["alpha"]) is Outcome.UNKNOWN_ACCOUNT
    assert world.outcome("alpha", CloseAccount(nowhere, 1), TELLER["alpha"]) is Outcome.UNKNOWN_ACCOUNT


def test_closed_is_for_ever(world: World) -> None:
    """A closed account refuses every change, a second closing included."""
    account = world.open("alpha", OWNER)
    assert world.outcome(account, CloseAccount(account, 1), OWNER) is Outcome.EXECUTED
    assert world.account(account).flags == 4
    assert world.outcome(account, SetPolicy(account, 2, policy(OTHER)), OWNER) is Outcome.ACCOUNT_CLOSED
    assert world.outcome("central", SetLimit(account, 2, 5), ADMIN["central"]) is Outcome.ACCOUNT_CLOSED
    assert world.outcome("alpha", SetFlags(account, 2, 0), TELLER["alpha"]) is Outcome.ACCOUNT_CLOSED
    assert world.outcome(account, CloseAccount(account, 2), OWNER) is Outcome.ACCOUNT_CLOSED
    assert world.version(account) == 2


@pytest.mark.parametrize(("limit", "outcome"), [(40, Outcome.EXECUTED), (39, Outcome.LIMIT_BELOW_BALANCE)])
def test_limit_may_not_cut_off_what_is_owed(
    world: World, account: bytes, limit: int, outcome: Outcome
) -> None:
    """With 40 owed the limit goes down to 40, and no further."""
    assert world.set_limit(account, 60) is Outcome.EXECUTED
    assert world.outcome(account, Transfer(world.issuance(), "EUR", 140), OWNER) is Outcome.EXECUTED
    assert world.set_limit(account, limit) is outcome


def test_only_the_issuer_sets_limits(world: World, account: bytes) -> None:
    """The account's own bank grants no credit in another's money, nor the issuer's teller."""
    body = SetLimit(account, 1, 5)
    assert world.outcome("alpha", body, ADMIN["alpha"]) is Outcome.NOT_PERMITTED
    assert world.outcome("central", body, TELLER["central"]) is Outcome.POLICY_NOT_MET
    assert world.outcome(account, body, OWNER) is Outcome.NOT_PERMITTED
    assert world.outcome("central", body, ADMIN["central"]) is Outcome.EXECUTED


@pytest.mark.parametrize(
    ("by", "start", "flags", "outcome"),
    [
        ("alpha", 0, 3, Outcome.EXECUTED),
        ("alpha", 3, 0, Outcome.EXECUTED),
        ("alpha", 0, 8, Outcome.FLAGS_NOT_PERMITTED),
        ("alpha", 0, 4, Outcome.FLAGS_NOT_PERMITTED),
        ("central", 0, 24, Outcome.EXECUTED),
        ("central", 0, 1, Outcome.FLAGS_NOT_PERMITTED),
        ("central", 3, 24, Outcome.FLAGS_NOT_PERMITTED),
        ("central", 3, 27, Outcome.EXECUTED),
    ],
)
def test_each_authority_changes_its_own_flags(
    world: World, account: bytes, by: str, start: int, flags: int, outcome: Outcome
) -> None:
    """The member sets bits 1 and 2, the issuer 8 and 16; neither closes, nor lifts the other's freeze."""
    if start:
        assert world.outcome("alpha", SetFlags(account, 1, start), TELLER["alpha"]) is Outcome.EXECUTED
    assert world.outcome(by, SetFlags(account, world.version(account), flags), TELLER[by]) is outcome
    assert world.account(account).flags == (start if outcome else flags)


def test_member_that_issues_changes_all_four_flags(world: World) -> None:
    """On its own accounts in its own asset the issuer is both authorities, but closes none by flags."""
    own = world.open("central", OWNER)
    assert world.outcome("central", SetFlags(own, 1, 27), TELLER["central"]) is Outcome.EXECUTED
    assert world.outcome("central", SetFlags(own, 2, 31), TELLER["central"]) is Outcome.FLAGS_NOT_PERMITTED


def test_flags_need_a_party_to_the_account(world: World, account: bytes) -> None:
    """Neither a third bank nor the account itself may freeze it; nor its bank by its admin policy."""
    assert world.outcome("beta", SetFlags(account, 1, 1), TELLER["beta"]) is Outcome.NOT_PERMITTED
    assert world.outcome(account, SetFlags(account, 1, 1), OWNER) is Outcome.NOT_PERMITTED
    assert world.outcome("alpha", SetFlags(account, 1, 1), ADMIN["alpha"]) is Outcome.POLICY_NOT_MET


def test_close_account_by_its_member(world: World) -> None:
    """The bank's teller closes an empty account, another bank's does not; other flags stay."""
    account = world.open("alpha", OWNER)
    assert world.outcome("alpha", SetFlags(account, 1, 3), TELLER["alpha"]) is Outcome.EXECUTED
    assert world.outcome("beta", CloseAccount(account, 2), TELLER["beta"]) is Outcome.NOT_PERMITTED
    assert world.outcome("alpha", CloseAccount(account, 2), TELLER["alpha"]) is Outcome.EXECUTED
    assert world.account(account).flags == 7


def test_issuance_accounts_are_never_closed(world: World) -> None:
    """Neither by their own policy nor by their bank's tellers, for the asset could never be issued again."""
    issuance = world.issuance()
    body = CloseAccount(issuance, 1)
    assert world.account(issuance).balance == 0
    assert world.outcome(issuance, body, ISSUANCE) is Outcome.NOT_PERMITTED
    assert world.outcome("central", body, TELLER["central"]) is Outcome.NOT_PERMITTED
    assert world.outcome("beta", body, TELLER["beta"]) is Outcome.NOT_PERMITTED
    assert world.outcome(issuance, body, OWNER) is Outcome.POLICY_NOT_MET


@pytest.mark.parametrize("left", [0, 1, -1])
def test_close_account_needs_a_balance_of_zero(world: World, account: bytes, left: int) -> None:
    """One minor unit held or owed keeps an account open."""
    assert world.set_limit(account, 1) is Outcome.EXECUTED
    assert world.outcome(account, Transfer(world.issuance(), "EUR", 100 - left), OWNER) is Outcome.EXECUTED
    expected = Outcome.BALANCE_NOT_ZERO if left else Outcome.EXECUTED
    assert world.outcome(account, CloseAccount(account, 2), OWNER) is expected
