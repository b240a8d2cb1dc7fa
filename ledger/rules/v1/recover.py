"""recover: after a lost quorum the members name the block to go on from, and who certifies from there.

It stands alone in a recovery block (ledger/recovery.py), whose header must agree with it; submitted like any
other transaction it is refused. Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from ledger import bodies, schedule
from ledger.bodies import Recover
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.membership import Decision
from ledger.outcome import Outcome
from ledger.parameters import BYZANTINE_LEAST_CERTIFIERS, CertificateRule, Parameters
from ledger.records import RETIRED, RecoveryRecord, Schedule
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.schedule import with_entry
from ledger.view import View


def authorise(view: View, envelope: Envelope, body: Recover) -> Outcome:
    """The members decide: those of now, and those whom the seal of the certified height names.

    The latter are the only ones that whoever holds no state can judge by (ledger/handovers.py).
    """
    refusal = governance.authorise(view, envelope, body)
    electorate = view.registry.electorate_at(body.certified_height)
    if refusal or electorate.has_majority(frozenset(envelope.payload.signers)):
        return refusal
    return Outcome.POLICY_NOT_MET


def check(view: View, envelope: Envelope, body: Recover, height: int) -> Outcome:
    """It is for the next block, on a certified height that counts; the certifiers are of the cluster, as they
    are registered, under the rule in force where they are enough for it.
    """
    registry = view.registry
    if body.height + 1 != height or registry.is_passed_over(body.certified_height):
        return Outcome.VERSION_MISMATCH
    nodes = [registry.nodes.get(node) for node in body.voters]
    if any(node is None for node in nodes):
        return Outcome.UNKNOWN_NODE
    found = [node for node in nodes if node is not None]
    if any(node.status == RETIRED for node in found):
        return Outcome.NODE_RETIRED
    if any(node.id not in registry.membership.membership for node in found):
        return Outcome.NODE_NOT_IN_MEMBERSHIP
    agree = body.certifiers == registry.certifiers_recovered(body.voters, height)
    return Outcome.EXECUTED if agree else Outcome.VERSION_MISMATCH


def apply(draft: Draft, envelope: Envelope, body: Recover) -> tuple[Touch, ...]:
    """Nothing decided before is carried on: who was to come or go may be lost with the others."""
    decided = draft.registry.membership_decisions
    # A decision for later gives way here at once, so that the newest is the last to take effect.
    void = tuple((min(from_height, draft.height), decision) for from_height, decision in decided.entries)
    decisions = Schedule(decided.version + 1, (*void, (draft.height, Decision())))
    recovery = RecoveryRecord(body.certified_height, envelope.raw)
    registry = draft.registry.with_membership_decisions(decisions)
    if len(body.voters) < BYZANTINE_LEAST_CERTIFIERS:
        registry = registry.with_parameters(_by_majority(registry.parameters, draft.height))
    draft.registry = registry.with_recovery(draft.height, recovery)
    return ()


def _by_majority(scheduled: Schedule[Parameters], height: int) -> Schedule[Parameters]:
    """The parameters with the rule of the majority from `height` on, where another was to be in force.

    Nothing else of them changes: blocks are judged by them up to 64 heights before this one is executed.
    """
    entries = with_entry(scheduled.entries, height, schedule.at(scheduled.entries, height))
    bent = tuple(
        (
            from_height,
            replace(value, certificate_rule=CertificateRule.MAJORITY.value)
            if from_height >= height
            else value,
        )
        for from_height, value in entries
    )
    if all(schedule.at(scheduled.entries, from_height) == value for from_height, value in bent):
        return scheduled
    return Schedule(scheduled.version + 1, bent)


KIND: Final = Kind(
    number=bodies.Kind.RECOVER,
    name="recover",
    body=Recover,
    author=governance.AUTHOR,
    authority=f"{governance.AUTHORITY}, of now and at the certified height",
    refusals=(
        Outcome.VERSION_MISMATCH,
        Outcome.UNKNOWN_NODE,
        Outcome.NODE_RETIRED,
        Outcome.NODE_NOT_IN_MEMBERSHIP,
    ),
    authorise=authorise,
    check=check,
    apply=apply,
)
