"""set_policy: an account's keys are replaced, by itself (rotation) or by its member (recovery).

Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetPolicy
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.rules.base import Kind, admin
from ledger.rules.v1.accounts import change, changeable, own_or_member
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: SetPolicy) -> Outcome:
    """The account's own policy, or its member's admin policy."""
    return own_or_member(view, envelope, body.account, admin)


def check(view: View, envelope: Envelope, body: SetPolicy, height: int) -> Outcome:
    """The account is open and at the version expected."""
    return changeable(view.account_by_id(body.account), body.expected_version)


def apply(draft: Draft, envelope: Envelope, body: SetPolicy) -> tuple[Touch, ...]:
    """Set the policy."""
    return change(draft, body.account, policy=body.policy)


KIND: Final = Kind(
    number=bodies.Kind.SET_POLICY,
    name="set_policy",
    body=SetPolicy,
    author="the account, or its member",
    authority="the account's policy; the member's admin policy",
    refusals=(Outcome.UNKNOWN_ACCOUNT, Outcome.ACCOUNT_CLOSED, Outcome.VERSION_MISMATCH),
    authorise=authorise,
    check=check,
    apply=apply,
)
