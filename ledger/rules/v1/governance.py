"""Governance: what the members decide together, by the signatures on one envelope.

Must not know what is decided.
"""

from __future__ import annotations

from typing import Final

from ledger.bodies import Body
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.registry import electorate_of
from ledger.rules.base import member_author
from ledger.schedule import LOOK_BACK
from ledger.view import View

ACTIVATION_HORIZON: Final = 100_000
"""An activation lies at most this many blocks ahead: until it comes, the chain fills with empty blocks."""

AUTHOR: Final = "a member"
AUTHORITY: Final = "governance: the admin policies of more than half of the members"


def authorise(view: View, envelope: Envelope, body: Body) -> Outcome:
    """The author is a member, and the signers meet the admin policies of more than half of the members."""
    author = member_author(view, envelope)
    if isinstance(author, Outcome):
        return author
    members, signers = electorate_of(view.registry.members), frozenset(envelope.payload.signers)
    return Outcome.EXECUTED if members.has_majority(signers) else Outcome.POLICY_NOT_MET


def replaceable(version: int, expected_version: int) -> Outcome:
    """The compare-and-set of governed records: version 0 stands for one that is not there yet."""
    if version == expected_version:
        return Outcome.EXECUTED
    return Outcome.VERSION_MISMATCH if expected_version else Outcome.ALREADY_EXISTS


def activation(from_height: int, height: int) -> Outcome:
    """Whether a decision at `height` may take effect at `from_height`: neither too near nor too far."""
    if from_height < height + LOOK_BACK:
        return Outcome.ACTIVATION_TOO_EARLY
    if from_height > height + ACTIVATION_HORIZON:
        return Outcome.PARAMETER_OUT_OF_RANGE
    return Outcome.EXECUTED
