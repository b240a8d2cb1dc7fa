"""transfer: the author account is debited and another account in the same asset is credited.

Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import Flag, Transfer
from ledger.codec import MAX_INTEGER
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import CREDIT_FREEZES, DEBIT_FREEZES, Account
from ledger.rules.base import Kind, account_author
from ledger.view import View

_CLOSED: Final = Flag.CLOSED.value


def authorise(view: View, envelope: Envelope, body: Transfer) -> Outcome:
    """The debited account's policy."""
    author = account_author(view, envelope)
    return author if isinstance(author, Outcome) else Outcome.EXECUTED


def check(view: View, envelope: Envelope, body: Transfer, height: int) -> Outcome:
    """Both accounts are open, unfrozen, different and in this asset, and the money is there."""
    debited = view.account_by_id(envelope.payload.author)
    credited = view.account_by_id(body.credit)
    if debited is None or credited is None:
        return Outcome.UNKNOWN_ACCOUNT
    if debited.flags or credited.flags:
        refusal = _flags_refusal(debited, credited)
        if refusal:
            return refusal
    if debited.asset != body.asset or credited.asset != body.asset:
        return Outcome.WRONG_ASSET
    if debited.number == credited.number:
        return Outcome.SAME_ACCOUNT
    if debited.available < body.amount:
        return Outcome.INSUFFICIENT_FUNDS
    if max(debited.debits_posted, credited.credits_posted) > MAX_INTEGER - body.amount:
        return Outcome.AMOUNT_OVERFLOW
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: Transfer) -> tuple[Touch, ...]:
    """Post the amount to both accounts."""
    debited = draft.account_by_id(envelope.payload.author)
    credited = draft.account_by_id(body.credit)
    if debited is None or credited is None:
        raise LookupError("A transfer passed its checks but one of its accounts is not there.")
    return (Touch(debited, body.amount), Touch(credited, 0, body.amount))


def _flags_refusal(debited: Account, credited: Account) -> Outcome:
    if (debited.flags | credited.flags) & _CLOSED:
        return Outcome.ACCOUNT_CLOSED
    if debited.flags & DEBIT_FREEZES:
        return Outcome.DEBIT_FROZEN
    if credited.flags & CREDIT_FREEZES:
        return Outcome.CREDIT_FROZEN
    return Outcome.EXECUTED


KIND: Final = Kind(
    number=bodies.Kind.TRANSFER,
    name="transfer",
    body=Transfer,
    author="the debited account",
    authority="its policy",
    refusals=(
        Outcome.UNKNOWN_ACCOUNT,
        Outcome.ACCOUNT_CLOSED,
        Outcome.DEBIT_FROZEN,
        Outcome.CREDIT_FROZEN,
        Outcome.WRONG_ASSET,
        Outcome.SAME_ACCOUNT,
        Outcome.INSUFFICIENT_FUNDS,
        Outcome.AMOUNT_OVERFLOW,
    ),
    authorise=authorise,
    check=check,
    apply=apply,
)
