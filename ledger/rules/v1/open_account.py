"""open_account: a member opens an account in one asset. Must not know other kinds."""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import OpenAccount
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.keys import account_id
from ledger.outcome import Outcome
from ledger.rules.base import Kind, teller
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: OpenAccount) -> Outcome:
    """The member's teller policy."""
    member = teller(view, envelope)
    return member if isinstance(member, Outcome) else Outcome.EXECUTED


def check(view: View, envelope: Envelope, body: OpenAccount, height: int) -> Outcome:
    """The asset is known, and no account was opened under this very id (by create_asset)."""
    if body.asset not in view.registry.assets:
        return Outcome.UNKNOWN_ASSET
    if view.account_by_id(_new_id(envelope, body)) is not None:
        return Outcome.ALREADY_EXISTS
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: OpenAccount) -> tuple[Touch, ...]:
    """Open the account."""
    member = envelope.author_member or ""
    account = draft.new_account(_new_id(envelope, body), member, body.asset, body.policy, body.reference)
    return (Touch(account),)


def _new_id(envelope: Envelope, body: OpenAccount) -> bytes:
    return account_id(envelope.author_member or "", body.asset, envelope.payload.tx_id)


KIND: Final = Kind(
    number=bodies.Kind.OPEN_ACCOUNT,
    name="open_account",
    body=OpenAccount,
    author="the member that opens it",
    authority="its teller policy",
    refusals=(Outcome.UNKNOWN_ASSET, Outcome.ALREADY_EXISTS),
    authorise=authorise,
    check=check,
    apply=apply,
)
