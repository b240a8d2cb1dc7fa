"""set_parameters: the members schedule other parameters, from a height far enough ahead.

Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetParameters
from ledger.codec import Malformed
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.parameters import BYZANTINE_LEAST_CERTIFIERS, CertificateRule, Parameters, check_parameters
from ledger.records import Schedule
from ledger.registry import Registry
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.schedule import with_entry
from ledger.view import View


def check(view: View, envelope: Envelope, body: SetParameters, height: int) -> Outcome:
    """The schedule is at the version expected, the height not too near or far, every value in range."""
    scheduled = view.registry.parameters
    if scheduled.version != body.expected_version:
        return Outcome.VERSION_MISMATCH
    refusal = governance.activation(body.from_height, height)
    if refusal:
        return refusal
    try:
        check_parameters(body.parameters)
    except Malformed:
        return Outcome.PARAMETER_OUT_OF_RANGE
    return _certifiable(view.registry, body.parameters, height)


def _certifiable(registry: Registry, parameters: Parameters, height: int) -> Outcome:
    """The byzantine rule needs four voters, however a change of the membership that is under way ends."""
    if parameters.certificate_rule != CertificateRule.BYZANTINE:
        return Outcome.EXECUTED
    if registry.membership_pending(height):
        return Outcome.MEMBERSHIP_CHANGE_PENDING
    enough = len(registry.membership.voters) >= BYZANTINE_LEAST_CERTIFIERS
    return Outcome.EXECUTED if enough else Outcome.TOO_FEW_VOTERS


def apply(draft: Draft, envelope: Envelope, body: SetParameters) -> tuple[Touch, ...]:
    """Add the parameters to the schedule."""
    scheduled = draft.registry.parameters
    entries = with_entry(scheduled.entries, body.from_height, body.parameters)
    draft.registry = draft.registry.with_parameters(Schedule(scheduled.version + 1, entries))
    return ()


KIND: Final = Kind(
    number=bodies.Kind.SET_PARAMETERS,
    name="set_parameters",
    body=SetParameters,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(
        Outcome.VERSION_MISMATCH,
        Outcome.ACTIVATION_TOO_EARLY,
        Outcome.PARAMETER_OUT_OF_RANGE,
        Outcome.MEMBERSHIP_CHANGE_PENDING,
        Outcome.TOO_FEW_VOTERS,
    ),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
