"""What the kinds that change one account share: who stands to it in which relation, and the compare-and-set.

Must not know what any of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.bodies import Flag
from ledger.draft import Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import Account, MemberRecord
from ledger.rules.base import account_author
from ledger.view import View


def own_or_member(
    view: View,
    envelope: Envelope,
    account_id: bytes,
    member_with_policy: Callable[[View, Envelope], MemberRecord | Outcome],
) -> Outcome:
    """Authority of the account by its policy, or of its member by one of the member's policies."""
    if envelope.author_account is not None:
        author = account_author(view, envelope)
        if isinstance(author, Outcome):
            return author
        return Outcome.EXECUTED if author.id == account_id else Outcome.NOT_PERMITTED
    member = member_with_policy(view, envelope)
    if isinstance(member, Outcome):
        return member
    account = view.account_by_id(account_id)
    # Whether an unknown account is this member's cannot be said; the kind's own check then names it.
    allowed = account is None or account.member == member.id
    return Outcome.EXECUTED if allowed else Outcome.NOT_PERMITTED


def issues(view: View, member: str, account: Account) -> bool:
    """Whether the member issues the asset that the account holds."""
    return view.registry.assets[account.asset].issuer == member


def changeable(account: Account | None, expected_version: int) -> Outcome:
    """Whether the account exists, is open, and stands at the version that its author saw."""
    if account is None:
        return Outcome.UNKNOWN_ACCOUNT
    if account.flags & Flag.CLOSED:
        return Outcome.ACCOUNT_CLOSED
    if account.version != expected_version:
        return Outcome.VERSION_MISMATCH
    return Outcome.EXECUTED


def change(view: View, account_id: bytes, **changed: Any) -> tuple[Touch, ...]:
    """The touch that sets these fields of a known account and raises its version."""
    account = view.account_by_id(account_id)
    if account is None:
        raise LookupError(f"Account {account_id.hex()} passed its checks but is not there.")
    return (Touch(account, changed={**changed, "version": account.version + 1}),)
