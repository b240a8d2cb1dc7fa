"""Governance: what the members decide together, by the signatures on one envelope.

Must not know what is decided.
"""

from __future__ import annotations

from typing import Final

from ledger.bodies import Body
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.policy import is_met
from ledger.rules.base import member_author
from ledger.view import View

AUTHOR: Final = "a member"
AUTHORITY: Final = "governance: the admin policies of more than half of the members"


def authorise(view: View, envelope: Envelope, body: Body) -> Outcome:
    """The author is a member, and the signers meet the admin policies of more than half of the members."""
    author = member_author(view, envelope)
    if isinstance(author, Outcome):
        return author
    members, signers = view.registry.members, frozenset(envelope.payload.signers)
    in_favour = sum(is_met(member.admin_policy, signers) for member in members.values())
    return Outcome.EXECUTED if in_favour * 2 > len(members) else Outcome.POLICY_NOT_MET


def replaceable(version: int, expected_version: int) -> Outcome:
    """The compare-and-set of governed records: version 0 stands for one that is not there yet."""
    if version == expected_version:
        return Outcome.EXECUTED
    return Outcome.VERSION_MISMATCH if expected_version else Outcome.ALREADY_EXISTS
