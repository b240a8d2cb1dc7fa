"""Executing a block: each transaction decided and applied in order, then trees, seal and rows once for all.

Must not know any kind, where rows go, nor change the state: what a block came to is a value, taken over once
it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from ledger import merkle, records, registry_tree
from ledger.accounts_tree import leaf_hash
from ledger.block import Block
from ledger.certificate import SEAL_FORMAT, Seal, certifiers_hash, encode_seal, seal_hash
from ledger.draft import Draft, Touch
from ledger.electorate import electorate_hash
from ledger.envelope import Envelope
from ledger.leaves import outcome_leaf
from ledger.outcome import OUTCOMES, Outcome, OutcomeClass
from ledger.records import AccountNumber, ConsumedId, Progress, encode_record
from ledger.registry import changed_values, registry_leaves, registry_rows
from ledger.rules.base import Kind
from ledger.rules.v1.invariants import check_invariants
from ledger.state import Executed, State, basis_height, node_reader
from ledger.state_proof import state_root
from ledger.view import View

Place = tuple[int, int]

_DUPLICATE_OF: Final = Outcome.DUPLICATE_OF.value
_REPEATS: Final = (Outcome.DUPLICATE_OF, Outcome.ID_USED_WITH_OTHER_CONTENT)

CONSUMING: Final = frozenset(
    number.value
    for number, info in OUTCOMES.items()
    if info.on_chain and info.class_ is not OutcomeClass.AUTH and number not in _REPEATS
)
"""The numbers of the outcomes with which a transaction has used its id up (docs/formats.md, section 7).

Plain numbers: hashing an enumeration's member takes a call in Python, for every payment.
"""


def preview(
    kinds: Mapping[int, Kind[Any]], view: View, envelope: Envelope, height: int
) -> tuple[Outcome, Place | None]:
    """The outcome a transaction would have at this height, first match in the order of docs/kinds.md.

    For `duplicate_of` and `id_used_with_other_content` the place is that of the first use of the id.
    """
    payload, body = envelope.payload, envelope.body
    kind = kinds[payload.kind]
    first = view.seen(payload.author, payload.tx_id)
    # Before authority: keys may have changed since, and who retries must hear of the payment that was made.
    if first is not None and first.signing_hash == envelope.signing_hash:
        return Outcome.DUPLICATE_OF, (first.height, first.index)
    refusal = kind.authorise(view, envelope, body)
    if refusal:
        return refusal, None
    if first is not None:
        return Outcome.ID_USED_WITH_OTHER_CONTENT, (first.height, first.index)
    return kind.check(view, envelope, body, height), None


def execute(
    kinds: Mapping[int, Kind[Any]], state: State, block: Block, envelopes: Sequence[Envelope]
) -> Executed:
    """What the block comes to on this state, which stays as it is.

    `envelopes` are the block's own, decoded and verified. Raises InvariantViolated where the result breaks
    one: the node then stops, for no correct rule can do that.
    """
    draft = Draft(state, block.header.height)
    for change in block.header.change:
        draft.registry = draft.registry.with_change(change, draft.height)
    outcomes = tuple([_transact(kinds, draft, envelope) for envelope in envelopes])
    draft.registry = draft.registry.with_certifiers_after(draft.height).with_electorate_after(draft.height)
    check_invariants(draft)
    return _seal(draft, block, outcomes)


def _transact(
    kinds: Mapping[int, Kind[Any]], draft: Draft, envelope: Envelope
) -> tuple[Outcome, Place | None]:
    payload = envelope.payload
    outcome, first = preview(kinds, draft, envelope, draft.height)
    number = int(outcome)
    touches: tuple[Touch, ...] = ()
    if not number:
        touches = kinds[payload.kind].apply(draft, envelope, envelope.body)
    elif number in CONSUMING:
        author = draft.account_by_id(payload.author)
        touches = () if author is None else (Touch(author),)
    consumed: tuple[ConsumedId, ...] = ()
    if number in CONSUMING:
        consumed = (draft.consume_id(payload.author, payload.tx_id, envelope.signing_hash, number),)
    duplicate_of = first if number == _DUPLICATE_OF else None
    draft.record(
        outcome=number,
        duplicate_of=() if duplicate_of is None else (duplicate_of,),
        leaf_hash=envelope.leaf_hash,
        consumed=consumed,
        touches=touches,
    )
    return outcome, duplicate_of


_EXECUTED_LEAF_HASH: Final = merkle.leaf_hash(outcome_leaf(Outcome.EXECUTED))


def _outcomes_root(outcomes: Sequence[tuple[Outcome, Place | None]]) -> bytes:
    return merkle.root(
        [
            merkle.leaf_hash(outcome_leaf(outcome, first)) if outcome else _EXECUTED_LEAF_HASH
            for outcome, first in outcomes
        ]
    )


def _seal(draft: Draft, block: Block, outcomes: tuple[tuple[Outcome, Place | None], ...]) -> Executed:
    """Close the block: both trees, the log of ids, the seal over them, and every row to write."""
    state, header = draft.state, block.header
    account_rows = {account.number: encode_record(account) for account in draft.accounts.values()}
    tree = state.tree.update({number: leaf_hash(row) for number, row in account_rows.items()})
    values = changed_values(state.registry, draft.registry) | _opened_values(draft)
    registry = registry_tree.update(node_reader(state.reader), registry_leaves(values))
    basis = basis_height(state.progress.term, state.progress.basis_height, header.height, header.term)
    log = state.progress.log.append(draft.log_leaves)
    seal = Seal(
        format=SEAL_FORMAT,
        network_id=state.progress.network_id,
        epoch=header.epoch,
        height=header.height,
        header_hash=block.hash,
        parent_seal_hash=state.progress.seal_hash,
        outcomes_root=_outcomes_root(outcomes),
        log_root=log.root(),
        state_root=state_root(tree.root, registry.root),
        certifiers_hash=certifiers_hash(draft.registry.certifiers_at(header.height + 1)),
        electorate_hash=electorate_hash(draft.registry.electorate_at(header.height)),
    )
    progress = _progress(draft, block, seal, basis, tree.root, registry.root, log)
    changes = (
        {records.account_row_key(number): row for number, row in account_rows.items()}
        | registry_rows(values)
        | {records.NODE_PREFIX + path: row for path, row in registry.nodes.items()}
        | draft.id_changes
        | draft.history_changes
        | {records.PROGRESS_KEY: encode_record(progress)}
    )
    return Executed(
        height=header.height,
        outcomes=outcomes,
        changes=changes,
        seal=seal,
        seal_raw=progress.seal_raw,
        progress=progress,
        accounts=draft.accounts,
        registry=draft.registry,
        tree=tree,
    )


def _opened_values(draft: Draft) -> dict[bytes, bytes]:
    return {
        records.account_key(account_id): encode_record(AccountNumber(draft.accounts[account_id].number))
        for account_id, before in draft.before.items()
        if before is None
    }


def _progress(
    draft: Draft,
    block: Block,
    seal: Seal,
    basis: int,
    accounts_root: bytes,
    registry_root: bytes,
    log: merkle.Frontier,
) -> Progress:
    seal_raw = encode_seal(seal)
    return replace(
        draft.state.progress,
        epoch=block.header.epoch,
        height=block.header.height,
        header_raw=block.header_raw,
        block_hash=block.hash,
        term=block.header.term,
        time_ms=block.header.time_ms,
        basis_height=basis,
        account_count=draft.account_count,
        seal_raw=seal_raw,
        seal_hash=seal_hash(seal_raw),
        accounts_root=accounts_root,
        registry_root=registry_root,
        log=log,
    )
