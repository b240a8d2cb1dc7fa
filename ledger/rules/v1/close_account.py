"""close_account: an account that holds and owes nothing is closed for ever. Must not know other kinds."""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import CloseAccount, Flag
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.rules.base import Kind, teller
from ledger.rules.v1.accounts import change, changeable, own_or_member
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: CloseAccount) -> Outcome:
    """The account's own policy, or its member's teller policy; nobody may close an issuance account."""
    refusal = own_or_member(view, envelope, body.account, teller)
    if refusal:
        return refusal
    account = view.account_by_id(body.account)
    # Without it nothing could be issued or redeemed any more, and a code is never given out again.
    issuing = account is not None and view.registry.assets[account.asset].account == account.id
    return Outcome.NOT_PERMITTED if issuing else Outcome.EXECUTED


def check(view: View, envelope: Envelope, body: CloseAccount, height: int) -> Outcome:
    """The account is open, at the version expected, and everything on it is zero."""
    account = view.account_by_id(body.account)
    refusal = changeable(account, body.expected_version)
    if refusal or account is None:
        return refusal
    if account.balance or account.debits_pending or account.credits_pending:
        return Outcome.BALANCE_NOT_ZERO
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: CloseAccount) -> tuple[Touch, ...]:
    """Close the account; its other flags stay as they are."""
    account = draft.account_by_id(body.account)
    flags = Flag.CLOSED.value | (account.flags if account is not None else 0)
    return change(draft, body.account, flags=flags)


KIND: Final = Kind(
    number=bodies.Kind.CLOSE_ACCOUNT,
    name="close_account",
    body=CloseAccount,
    author="the account, or its member; an issuance account is never closed",
    authority="the account's policy; the member's teller policy",
    refusals=(
        Outcome.UNKNOWN_ACCOUNT,
        Outcome.ACCOUNT_CLOSED,
        Outcome.VERSION_MISMATCH,
        Outcome.BALANCE_NOT_ZERO,
    ),
    authorise=authorise,
    check=check,
    apply=apply,
)
