"""set_rules: the members decide from which height on blocks follow a newer version of the rules.

Which versions there are no rule knows: a node whose program lacks one says so at once and stops before it.
Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetRules
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import Schedule
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.schedule import with_entry
from ledger.view import View


def check(view: View, envelope: Envelope, body: SetRules, height: int) -> Outcome:
    """The schedule is at the version expected, the height not too near or far, the rules newer than any."""
    scheduled = view.registry.rules
    newest_from, newest = scheduled.entries[-1]
    if scheduled.version != body.expected_version:
        return Outcome.VERSION_MISMATCH
    refusal = governance.activation(body.from_height, height)
    if refusal:
        return refusal
    if body.rules <= newest:
        return Outcome.RULES_NOT_NEWER
    # Below the newest one's height the rules would go back there.
    return Outcome.ACTIVATION_TOO_EARLY if body.from_height < newest_from else Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: SetRules) -> tuple[Touch, ...]:
    """Add the version to the schedule."""
    scheduled = draft.registry.rules
    entries = with_entry(scheduled.entries, body.from_height, body.rules)
    draft.registry = draft.registry.with_rules(Schedule(scheduled.version + 1, entries))
    return ()


KIND: Final = Kind(
    number=bodies.Kind.SET_RULES,
    name="set_rules",
    body=SetRules,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(
        Outcome.VERSION_MISMATCH,
        Outcome.ACTIVATION_TOO_EARLY,
        Outcome.PARAMETER_OUT_OF_RANGE,
        Outcome.RULES_NOT_NEWER,
    ),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
