"""set_membership: the members decide which nodes make up the cluster; blocks then carry it out step by step.

One decision at a time, so that each is judged on the membership that the one before has come to. Must not
know other kinds, nor how the steps are taken (ledger/membership.py).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from ledger import bodies
from ledger.bodies import SetMembership
from ledger.codec import optional
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.membership import Decision
from ledger.outcome import Outcome
from ledger.parameters import BYZANTINE_LEAST_CERTIFIERS, CertificateRule
from ledger.records import RETIRED, Schedule
from ledger.registry import Registry
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.schedule import LOOK_BACK
from ledger.view import View


def check(view: View, envelope: Envelope, body: SetMembership, height: int) -> Outcome:
    """The version is the one expected, no decision is unfinished, and the nodes may come and go."""
    registry = view.registry
    if registry.membership_decisions.version != body.expected_version:
        return Outcome.VERSION_MISMATCH
    pending = registry.membership_pending(height)
    if not body.add and not body.remove:
        return _check_taking_back(registry) if pending else Outcome.NO_MEMBERSHIP_CHANGE_PENDING
    if pending:
        return _check_giving_up(registry, body, height)
    return _check_add(registry, body) or _check_remove(registry, body, height)


def _check_taking_back(registry: Registry) -> Outcome:
    """A decision is taken back once, and not while the old voters and the new decide jointly.

    Its next steps are void from the same height on as any decision is in force: those taken until then stay.
    """
    unfinished = registry.membership_decisions.entries[-1][1]
    begun = bool(registry.membership.outgoing)
    return Outcome.MEMBERSHIP_CHANGE_PENDING if begun or unfinished == Decision() else Outcome.EXECUTED


def _check_giving_up(registry: Registry, body: SetMembership, height: int) -> Outcome:
    """While a decision is unfinished, only what it adds may be removed; as far as it may have got by then."""
    unfinished = registry.membership_decisions.entries[-1][1]
    if body.add or not body.remove or body.remove != unfinished.add:
        return Outcome.MEMBERSHIP_CHANGE_PENDING
    current = registry.membership.membership
    left = {*current.voters, *current.outgoing} - {*unfinished.add, *unfinished.remove}
    # Of the only voter nothing is said here: whatever is decided, it never leaves.
    return _check_left(registry, left, height) if left else Outcome.EXECUTED


def _check_add(registry: Registry, body: SetMembership) -> Outcome:
    add, current = optional(body.add), registry.membership.membership
    if add is None:
        return Outcome.EXECUTED
    node = registry.nodes.get(add)
    if node is None:
        return Outcome.UNKNOWN_NODE
    if node.status == RETIRED:
        return Outcome.NODE_RETIRED
    if current.votes(add) or (add in current and not body.voting):
        return Outcome.NODE_IN_MEMBERSHIP
    voting_members = {registry.nodes[voter].member for voter in {*current.voters} - {*body.remove}}
    if body.voting and node.member in voting_members:
        return Outcome.MEMBER_HAS_VOTING_NODE
    return Outcome.EXECUTED


def _check_remove(registry: Registry, body: SetMembership, height: int) -> Outcome:
    remove, current = optional(body.remove), registry.membership.membership
    if remove is None:
        return Outcome.EXECUTED
    if remove not in current:
        return Outcome.NODE_NOT_IN_MEMBERSHIP
    added = {*body.add} if body.voting else set[str]()
    return _check_left(registry, ({*current.voters} | added) - {remove}, height)


def _check_left(registry: Registry, voters: Set[str], height: int) -> Outcome:
    """Enough voters are left for the rules of certificates in force from here on."""
    rules = {parameters.certificate_rule for parameters in registry.parameters_from(height)}
    least = BYZANTINE_LEAST_CERTIFIERS if CertificateRule.BYZANTINE in rules else 1
    return Outcome.EXECUTED if len(voters) >= least else Outcome.TOO_FEW_VOTERS


def apply(draft: Draft, envelope: Envelope, body: SetMembership) -> tuple[Touch, ...]:
    """Add the decision, in force from the first height at which every node is sure to know of it."""
    decided = draft.registry.membership_decisions
    entry = (draft.height + LOOK_BACK, Decision(body.add, body.voting, body.remove))
    schedule = Schedule(decided.version + 1, (*decided.entries, entry))
    draft.registry = draft.registry.with_membership_decisions(schedule)
    return ()


KIND: Final = Kind(
    number=bodies.Kind.SET_MEMBERSHIP,
    name="set_membership",
    body=SetMembership,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(
        Outcome.VERSION_MISMATCH,
        Outcome.NO_MEMBERSHIP_CHANGE_PENDING,
        Outcome.MEMBERSHIP_CHANGE_PENDING,
        Outcome.UNKNOWN_NODE,
        Outcome.NODE_RETIRED,
        Outcome.NODE_IN_MEMBERSHIP,
        Outcome.MEMBER_HAS_VOTING_NODE,
        Outcome.NODE_NOT_IN_MEMBERSHIP,
        Outcome.TOO_FEW_VOTERS,
    ),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
