"""The recovery block: how a chain whose cluster has lost its quorum goes on, for everybody to see.

It follows the last block that the surviving members stand by, in a new epoch, and carries nothing but their
decision. Unlike all other blocks it is judged on the state executed at its parent. It must not know how
survivors agree on a block, nor logs or files. Layouts: formats.md, section 6.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from ledger.block import Block, InvalidBlock, Parent, Scheduled, check_apart_from_change, decode_body
from ledger.bodies import Body, Recover
from ledger.envelope import Envelope, verify_envelope
from ledger.keys import BadSignature
from ledger.membership import Change, Membership
from ledger.outcome import OUTCOMES
from ledger.registry import Registry
from ledger.rules.base import RECOVER, RuleSet
from ledger.view import View

RECOVERY_KINDS: Final[Mapping[int, type[Body]]] = MappingProxyType({RECOVER: Recover})
"""What may stand in a recovery block."""


def is_recovery(block: Block, parent: Parent) -> bool:
    """Whether the block begins a new epoch, which nothing but a recovery does."""
    return block.header.epoch > parent.epoch


def recovery_change(body: Recover, registry: Registry) -> Change:
    """The membership that a recovery puts in force, as a decision of its own: its voters, nobody else."""
    return Change(registry.membership_decisions.version + 1, body.voters, (), ())


def check_recovery(
    block: Block, parent: Parent, scheduled: Scheduled, rules: RuleSet, state: View
) -> tuple[Envelope, ...]:
    """Check a recovery block against its parent and the state executed there; gives its one envelope.

    Raises InvalidBlock. `scheduled` is that of the block's height, looked up at its parent's basis height.
    """
    place, envelopes = f"block {block.header.height}", decode_body(block, scheduled, RECOVERY_KINDS)
    body = envelopes[0].body if len(envelopes) == 1 else None
    if not isinstance(body, Recover):
        raise InvalidBlock(f"{place}: a recovery block holds one decision and nothing else")
    _check_agrees(block, parent, state.registry, body)
    # Its proposer votes in the membership that it begins; for the rest it is as any block of its term.
    begun = replace(parent, epoch=body.epoch, term=body.term, membership=Membership(body.voters))
    check_apart_from_change(block, begun, scheduled)
    try:
        verify_envelope(envelopes[0])
    except BadSignature as error:
        raise InvalidBlock(f"{place}: its decision: {error}") from error
    outcome, _ = rules.preview(state, envelopes[0], block.header.height)
    if outcome:
        raise InvalidBlock(f"{place}: its decision is refused: {OUTCOMES[outcome].name}")
    return envelopes


def _check_agrees(block: Block, parent: Parent, registry: Registry, body: Recover) -> None:
    """The header says what was decided, and the decision is about this parent."""
    header = block.header
    if (body.epoch, body.height, body.header_hash) != (parent.epoch + 1, parent.height, parent.hash):
        raise InvalidBlock(f"block {header.height}: its decision is to go on from another block or epoch")
    if body.term != header.term or body.term <= parent.term:
        raise InvalidBlock(f"block {header.height}: its decision is for term {body.term}")
    if header.change != (recovery_change(body, registry),):
        raise InvalidBlock(f"block {header.height}: its membership is not the one decided")
