"""set_limit: an asset's issuer says how far below zero an account's balance may go.

Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetLimit
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.rules.base import Kind, admin
from ledger.rules.v1.accounts import change, changeable, issues
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: SetLimit) -> Outcome:
    """The admin policy of the issuer of the account's asset."""
    member = admin(view, envelope)
    if isinstance(member, Outcome):
        return member
    account = view.account_by_id(body.account)
    allowed = account is None or issues(view, member.id, account)
    return Outcome.EXECUTED if allowed else Outcome.NOT_PERMITTED


def check(view: View, envelope: Envelope, body: SetLimit, height: int) -> Outcome:
    """The account is open, at the version expected, and owes no more than the new limit."""
    account = view.account_by_id(body.account)
    refusal = changeable(account, body.expected_version)
    if refusal or account is None:
        return refusal
    if account.available - account.limit + body.limit < 0:
        return Outcome.LIMIT_BELOW_BALANCE
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: SetLimit) -> tuple[Touch, ...]:
    """Set the limit."""
    return change(draft, body.account, limit=body.limit)


KIND: Final = Kind(
    number=bodies.Kind.SET_LIMIT,
    name="set_limit",
    body=SetLimit,
    author="the asset's issuer",
    authority="its admin policy",
    refusals=(
        Outcome.UNKNOWN_ACCOUNT,
        Outcome.ACCOUNT_CLOSED,
        Outcome.VERSION_MISMATCH,
        Outcome.LIMIT_BELOW_BALANCE,
    ),
    authorise=authorise,
    check=check,
    apply=apply,
)
