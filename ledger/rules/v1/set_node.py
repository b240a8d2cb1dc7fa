"""set_node: a member's node is registered, or moves to another address.

A node's key and member never change: what it signed must stay provable. Must not know other kinds.
"""

from __future__ import annotations

from typing import Final

from ledger import bodies
from ledger.bodies import SetNode
from ledger.draft import Draft, Touch
from ledger.envelope import Envelope
from ledger.outcome import Outcome
from ledger.records import REGISTERED, NodeRecord
from ledger.rules.base import Kind
from ledger.rules.v1 import governance
from ledger.view import View


def check(view: View, envelope: Envelope, body: SetNode, height: int) -> Outcome:
    """The node stands at the version expected, its member is known, and its key is its own for ever."""
    known = view.registry.nodes.get(body.id)
    refusal = governance.replaceable(known.version if known else 0, body.expected_version)
    if refusal is Outcome.VERSION_MISMATCH:
        return refusal
    if body.member not in view.registry.members:
        return Outcome.UNKNOWN_MEMBER
    if refusal or any(n.key == body.key and n.id != body.id for n in view.registry.nodes.values()):
        return Outcome.ALREADY_EXISTS
    if known and (known.key, known.member) != (body.key, body.member):
        return Outcome.KEY_NOT_REPLACEABLE
    return Outcome.EXECUTED


def apply(draft: Draft, envelope: Envelope, body: SetNode) -> tuple[Touch, ...]:
    """Put the node's record."""
    known = draft.registry.nodes.get(body.id)
    node = NodeRecord(
        id=body.id,
        member=body.member,
        key=body.key,
        address=body.address,
        status=known.status if known else REGISTERED,
        version=body.expected_version + 1,
        since_height=known.since_height if known else draft.height,
    )
    draft.registry = draft.registry.with_node(node)
    return ()


KIND: Final = Kind(
    number=bodies.Kind.SET_NODE,
    name="set_node",
    body=SetNode,
    author=governance.AUTHOR,
    authority=governance.AUTHORITY,
    refusals=(
        Outcome.VERSION_MISMATCH,
        Outcome.UNKNOWN_MEMBER,
        Outcome.ALREADY_EXISTS,
        Outcome.KEY_NOT_REPLACEABLE,
    ),
    authorise=governance.authorise,
    check=check,
    apply=apply,
)
