"""What a kind of transaction is made of, and who may author one.

A kind declares its body and its words for people, says who authorises it, checks, and applies. Must not
know any single kind, nor the order in which the steps are taken (execute.py of each version).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ledger.block import Block
from ledger.bodies import Body
from ledger.bodies import Kind as KindNumber
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.policy import is_met
from ledger.records import Account, MemberRecord
from ledger.state import Executed, State
from ledger.view import View

B = TypeVar("B", bound=Body)
B_contra = TypeVar("B_contra", bound=Body, contravariant=True)


RECOVER: Final = KindNumber.RECOVER.value
"""The kind that stands alone in a recovery block, and in no other (ledger/recovery.py)."""


class InvariantViolated(Exception):
    """A rule has broken what must always hold; `name` is the invariant, `what` the account, asset or row."""

    def __init__(self, name: str, what: str) -> None:
        """Name the invariant and the thing it is broken at."""
        super().__init__(f"invariant {name} is broken: {what}")
        self.name = name
        self.what = what


@dataclass(frozen=True, slots=True)
class Kind(Generic[B]):
    """One kind of transaction.

    `authorise(view, envelope, body)` says whether the author exists and may do this: EXECUTED, or an
    outcome of class auth. `check(view, envelope, body, height)` gives EXECUTED or the first refusal, in the
    order of `refusals`. `apply(draft, envelope, body)` makes the changes and answers with every account it
    touches, the author's among them where the author is an account; it is called only after both, and must
    not fail.
    """

    number: int
    name: str
    body: type[B]
    author: str
    authority: str
    refusals: tuple[Outcome, ...]
    authorise: Callable[[View, Envelope, B], Outcome]
    check: Callable[[View, Envelope, B, int], Outcome]
    apply: Callable[[Draft, Envelope, B], tuple[Touch, ...]]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One version of the rules.

    `execute(state, block, envelopes)` computes a block without changing the state; `preview(view, envelope,
    height)` is the outcome that one transaction would have now at that height, with the place of the first
    for a duplicate.
    """

    version: int
    kinds: Mapping[int, Kind[Body]]
    execute: Callable[[State, Block, Sequence[Envelope]], Executed]
    preview: Callable[[View, Envelope, int], tuple[Outcome, tuple[int, int] | None]]

    @property
    def bodies(self) -> Mapping[int, type[Body]]:
        """The bodies that may stand in an ordinary block of this version, by the numbers of their kinds."""
        return {number: kind.body for number, kind in self.kinds.items() if number != RECOVER}


def account_author(view: View, envelope: Envelope) -> Account | Outcome:
    """The account that authored this, its policy met; else the refusal.

    A member may not author such a kind.
    """
    author = envelope.payload.author
    account = view.account_by_id(author) if author[0] == 0 else None
    if account is not None:
        return account if is_met(account.policy, envelope.payload.signers) else Outcome.POLICY_NOT_MET
    known = envelope.author_member in view.registry.members
    return Outcome.NOT_PERMITTED if known else Outcome.UNKNOWN_AUTHOR


def member_author(view: View, envelope: Envelope) -> MemberRecord | Outcome:
    """The member that authored this, whichever policy it needs; else the refusal."""
    member = view.registry.members.get(envelope.author_member or "")
    if member is not None:
        return member
    account = envelope.author_account
    known = account is not None and view.account_by_id(account) is not None
    return Outcome.NOT_PERMITTED if known else Outcome.UNKNOWN_AUTHOR


def teller(view: View, envelope: Envelope) -> MemberRecord | Outcome:
    """The member that authored this, its teller policy met; else the refusal."""
    member = member_author(view, envelope)
    if isinstance(member, Outcome) or is_met(member.teller_policy, envelope.payload.signers):
        return member
    return Outcome.POLICY_NOT_MET


def admin(view: View, envelope: Envelope) -> MemberRecord | Outcome:
    """The member that authored this, its admin policy met; else the refusal."""
    member = member_author(view, envelope)
    if isinstance(member, Outcome) or is_met(member.admin_policy, envelope.payload.signers):
        return member
    return Outcome.POLICY_NOT_MET
