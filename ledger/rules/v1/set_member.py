"""set_member: a bank joins, or its name and policies change. Must not know other kinds."""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetMember
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import MemberRecord
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.view import View


def check(view: View, envelope: Envelope, body: SetMember, height: int) -> Outcome:
    """The member stands at the version expected, 0 for one that joins."""
    known = view.registry.members.get(body.id)
    return governance.replaceable(known.version if known else 0, body.expected_version)


def apply(draft: Draft, envelope: Envelope, body: SetMember) -> tuple[Touch, ...]:
    """Put the member's record; a new one takes the next number."""
    known = draft.registry.members.get(body.id)
    member = MemberRecord(
        number=known.number if known else len(draft.registry.members),
        id=body.id,
        name=body.name,
        admin_policy=body.admin_policy,
        teller_policy=body.teller_policy,
        version=body.expected_version + 1,
        since_height=known.since_height if known else draft.height,
    )
    draft.registry = draft.registry.with_member(member)
    return ()


KIND: Final = Kind(
    number=bodies.Kind.SET_MEMBER,
    name="set_member",
    body=SetMember,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(Outcome.VERSION_MISMATCH, Outcome.ALREADY_EXISTS),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
