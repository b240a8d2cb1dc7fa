"""set_flags: an account's member or its asset's issuer freezes it, or lifts its own freeze.

The body carries all flags as they shall be; what its author may not change must stay as it is. Must not
know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetFlags
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import ISSUER_FLAGS, MEMBER_FLAGS
from ledger.rules.base import Kind, teller
from ledger.rules.v1.accounts import change, changeable, issues
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: SetFlags) -> Outcome:
    """The teller policy of the account's member or of the asset's issuer."""
    member = teller(view, envelope)
    if isinstance(member, Outcome):
        return member
    account = view.account_by_id(body.account)
    allowed = account is None or account.member == member.id or issues(view, member.id, account)
    return Outcome.EXECUTED if allowed else Outcome.NOT_PERMITTED


def check(view: View, envelope: Envelope, body: SetFlags, height: int) -> Outcome:
    """The account is open, at the version expected, and only the author's own flags change."""
    account = view.account_by_id(body.account)
    refusal = changeable(account, body.expected_version)
    if refusal or account is None:
        return refusal
    own = MEMBER_FLAGS if account.member == envelope.author_member else 0
    if issues(view, envelope.author_member or "", account):
        own |= ISSUER_FLAGS
    if (account.flags ^ body.flags) & ~own:
        return Outcome.FLAGS_NOT_PERMITTED
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: SetFlags) -> tuple[Touch, ...]:
    """Set the flags."""
    return change(draft, body.account, flags=body.flags)


KIND: Final = Kind(
    number=bodies.Kind.SET_FLAGS,
    name="set_flags",
    body=SetFlags,
    author="the account's member, or the asset's issuer",
    authority="its teller policy",
    refusals=(
        Outcome.UNKNOWN_ACCOUNT,
        Outcome.ACCOUNT_CLOSED,
        Outcome.VERSION_MISMATCH,
        Outcome.FLAGS_NOT_PERMITTED,
    ),
    authorise=authorise,
    check=check,
    apply=apply,
)
