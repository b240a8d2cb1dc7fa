"""Going on after a lost quorum: what stopped survivors hold, what to decide, and carrying the decision out.

The decision names the last block, and in its author the member whose node makes the recovery block: so there
is one such block, however often and wherever this runs. All others get it from that node. It must not know
keys but the node's own, nor how the members agree. Validity: ledger/recovery.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec

from consensus.messages import Entry, EntryType, HardState
from ledger.block import Block, InvalidBlock, decode_block, make_block
from ledger.bodies import Recover
from ledger.codec import encode
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope, verify_envelope
from ledger.keys import BadSignature, sign, tagged_hash
from ledger.outcome import OUTCOMES
from ledger.recovery import RECOVERY_KINDS, check_recovery, recovery_change
from ledger.registry import Registry
from ledger.rules import RULES
from ledger.state import State, basis_height
from node.executor import Committed, run
from node.log_tail import Checked
from node.ports import Database
from node.records import CorruptRecord, block_key
from node.staged import StagedDatabase
from node.store import LogWrite, Store

CUT_TAG = "evidence"
"""As all other blocks that are kept as evidence."""


class RecoveryRefused(Exception):
    """The chain can't be gone on with like that; the text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Survivor:
    """A stopped node: its id and key, and its store."""

    node: str
    key: ec.EllipticCurvePrivateKey
    database: Database
    genesis_raw: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stopped node's store goes; `known_term` is the highest term it knows of.

    `hashes` are those of its blocks from the executed one to the end of its log; `registry` is as executed.
    """

    node: str
    member: str
    epoch: int
    known_term: int
    executed: int
    certified: int
    log_end: int
    last_term: int
    hashes: tuple[bytes, ...]
    registry: Registry

    def hash_at(self, height: int) -> bytes | None:
        """The hash of the block at a height from the executed one on, where the log has one."""
        place = height - self.executed
        return self.hashes[place] if 0 <= place < len(self.hashes) else None


@dataclass(frozen=True, slots=True)
class Done:
    """What carrying out the decision did to one store."""

    node: str
    maker: str
    height: int
    term: int
    cut_blocks: int


def position(store: Store, state: State, node: str) -> Position:
    """Where a stopped node stands; raises CorruptRecord."""
    progress, record = state.progress, state.registry.nodes.get(node)
    blocks = [_block(store, height) for height in range(progress.height + 1, store.log_end + 1)]
    last_term = blocks[-1].header.term if blocks else progress.term
    return Position(
        node=node,
        member="" if record is None else record.member,
        epoch=progress.epoch,
        known_term=max(store.hard_state().term, last_term),
        executed=progress.height,
        certified=store.last_certified(),
        log_end=store.log_end,
        last_term=last_term,
        hashes=(progress.block_hash, *(block.hash for block in blocks)),
        registry=state.registry,
    )


def furthest(positions: Sequence[Position]) -> Position:
    """The survivor whose log is the most up to date (Raft paper, 5.4.1): whatever was acknowledged is in it,
    if any of them has it.
    """
    return max(positions, key=lambda each: (each.last_term, each.log_end, each.node))


def decision(
    positions: Sequence[Position], height: int | None = None, *, rehearsal: bool = False
) -> tuple[Recover, str]:
    """The decision to go on with these nodes, and the member whose node makes the recovery block.

    From the end of the furthest log, unless a height is given; a drill's is marked as a rehearsal. Raises
    RecoveryRefused where that would lose a certified block, or undo an executed one, or where the survivors
    are on different chains.
    """
    maker = furthest(positions)
    height = maker.log_end if height is None else height
    if not any(each.certified for each in positions):
        raise RecoveryRefused(
            "None of these stores holds a certificate: no quorum of banks has ever confirmed anything.",
            "Begin with a new network.",
        )
    for each in positions:
        _check_loses_nothing(each, height)
        _check_same_chain(each, maker)
    header_hash = maker.hash_at(height)
    if header_hash is None:
        raise RecoveryRefused(
            f"The furthest log, that of {maker.node}, has no block {height:,}: it ends at {maker.log_end:,}.",
            "Leave --height out, to go on from its end.",
        )
    term = max(each.known_term for each in positions) + 1
    voters = tuple(sorted(each.node for each in positions))
    certified = max(each.certified for each in positions)
    certifiers = maker.registry.certifiers_recovered(voters, height + 1)
    body = Recover(maker.epoch + 1, height, header_hash, term, certifiers, certified, rehearsal)
    return body, maker.member


def carry_out(
    survivor: Survivor, envelope_raw: bytes, now_ms: int, boot: bytes, *, rehearsal: bool = False
) -> Done:
    """Let a stopped node go on from the block that the signed decision names; all of it or nothing.

    The author's node executes up to that block, cuts its log above it and makes the recovery block. Another
    one cuts its log there, if it has that block, and is bound to the maker in the new term. Blocks that are
    cut off are kept as evidence. A drill's decision is carried out on its copies alone: only a drill gives
    `rehearsal`. Raises RecoveryRefused, Malformed, and what opening a store raises.
    """
    staged = StagedDatabase(survivor.database)
    store = Store.open(staged, survivor.genesis_raw, survivor.node)
    state = State.open(store)
    envelope, body = _checked_decision(state, envelope_raw, rehearsal)
    maker, found = _maker(state, envelope, body), position(store, state, survivor.node)
    _check_may_apply(found, body)
    if survivor.node == maker:
        cut = _make(survivor, store, state, (envelope, body), now_ms, boot)
    else:
        cut = _follow(store, found, body, maker)
    staged.commit()
    return Done(survivor.node, maker, body.height, body.term, cut)


def _checked_decision(state: State, envelope_raw: bytes, rehearsal: bool) -> tuple[Envelope, Recover]:
    parameters = state.parameters_at(state.progress.height)
    limits = EnvelopeLimits(parameters.envelope_bytes, parameters.signers)
    envelope = decode_envelope(envelope_raw, limits, RECOVERY_KINDS)
    body = envelope.body
    if not isinstance(body, Recover) or envelope.payload.network_id != state.progress.network_id:
        raise RecoveryRefused(
            "The file is no decision to recover this network.", "Have it proposed again, by a survivor."
        )
    if body.rehearsal and not rehearsal:
        raise RecoveryRefused(
            "The decision is a drill's rehearsal: it is for the copies of that drill alone.",
            "Have one proposed in earnest, with `nostro node recover --propose`.",
        )
    if state.progress.epoch >= body.epoch:
        raise RecoveryRefused(
            f"This store is in epoch {state.progress.epoch} already: the decision is carried out.",
            "Start the node.",
        )
    try:
        verify_envelope(envelope)
    except BadSignature as error:
        raise RecoveryRefused(
            f"The decision is not signed well: {error}.", "Have it signed again."
        ) from error
    _check_registered(state.registry, body)
    rules = RULES[state.registry.rules_at(state.progress.basis_height)]
    outcome, _ = rules.preview(state, envelope, body.height + 1)
    if outcome:
        raise RecoveryRefused(
            f"The decision would be refused: {OUTCOMES[outcome].name}. {OUTCOMES[outcome].sentence}",
            "Have it proposed again, and signed by more than half of the members.",
        )
    return envelope, body


def _check_registered(registry: Registry, body: Recover) -> None:
    """Who signed it let exactly these keys certify; one that isn't the node's own is no mistake of typing."""
    for named in body.certifiers.nodes:
        known = registry.nodes.get(named.node)
        if known is not None and (known.member, known.key) != (named.member, named.key):
            raise RecoveryRefused(
                f"The decision names another member or key for {named.node} than it is registered with.",
                "Sign none like it, and ask who proposed it: its signers let a stranger's key certify.",
            )


def _maker(state: State, envelope: Envelope, body: Recover) -> str:
    nodes = state.registry.nodes
    makers = [node for node in body.voters if nodes[node].member == envelope.author_member]
    if not makers:
        raise RecoveryRefused(
            f"No voter of the decision is a node of its author, {envelope.author_member}: nobody is to make "
            "the recovery block.",
            "Have it proposed again, with `nostro node recover --propose`.",
        )
    return makers[0]


def _check_may_apply(found: Position, body: Recover) -> None:
    if found.node not in body.voters:
        raise RecoveryRefused(
            f"The decision goes on without {found.node}: it retires.",
            "Keep its folder for inquiry, and don't start it again.",
        )
    if found.known_term >= body.term:
        raise RecoveryRefused(
            f"{found.node} knows of term {found.known_term}, and the decision is for term {body.term}.",
            "It has carried the decision out, or ran since: start it; if it finds no leader, propose anew.",
        )
    _check_loses_nothing(found, body.height)
    if found.certified > body.certified_height:
        raise RecoveryRefused(
            f"{found.node} holds the certificate of block {found.certified:,}, and the decision builds "
            f"on that of {body.certified_height:,}.",
            f"Have it proposed again, with the store of {found.node} among the survivors'.",
        )
    if body.height == found.executed and found.hashes[0] != body.header_hash:
        raise _other_chain(found.node, body.height)


def _check_loses_nothing(found: Position, height: int) -> None:
    if height < found.certified:
        raise RecoveryRefused(
            f"{found.node} holds the certificate of block {found.certified:,}: going on from {height:,} "
            "would lose what a quorum of banks has confirmed.",
            f"Go on from block {found.certified:,} or above.",
        )
    if height < found.executed:
        raise RecoveryRefused(
            f"{found.node} has executed block {found.executed:,}: going on from {height:,} would undo "
            "payments that it has told its clients of.",
            f"Go on from block {found.executed:,} or above, or without {found.node}.",
        )


def _check_same_chain(found: Position, maker: Position) -> None:
    """What a survivor has executed is in the furthest log too, where that one has not executed it yet."""
    differs = found.executed >= maker.executed and maker.hash_at(found.executed) != found.hashes[0]
    if found.epoch != maker.epoch or differs:
        raise _other_chain(found.node, found.executed)


def _other_chain(node: str, height: int) -> RecoveryRefused:
    return RecoveryRefused(
        f"{node} has another block {height:,} than the one to go on from.",
        "Compare the survivors' stores with `nostro audit` before anything else.",
    )


def _make(
    survivor: Survivor,
    store: Store,
    state: State,
    decision: tuple[Envelope, Recover],
    now_ms: int,
    boot: bytes,
) -> int:
    """Execute up to the named block, put the recovery block after it in place of the rest, execute it."""
    (envelope, body), signer = decision, (survivor.node, survivor.key)
    if store.log_end < body.height:
        raise RecoveryRefused(
            f"The log of {survivor.node} ends at {store.log_end:,}, below the block {body.height:,} "
            "to go on from.",
            "The block is made by the node whose log is the furthest: propose anew with its store.",
        )
    for height in range(state.progress.height + 1, body.height + 1):
        run(state, store, signer, RULES, Committed(_entry(store, height), None))
    if state.parent.hash != body.header_hash:
        raise _other_chain(survivor.node, body.height)
    block = _recovery_block(survivor, state, envelope, body, now_ms, boot)
    cut = _keep_cut(store, body.height)
    entry = Entry(block.header.height, body.term, EntryType.MEMBERSHIP, block.raw)
    store.write_log([LogWrite(HardState(body.term, survivor.node), (entry,))])
    run(state, store, signer, RULES, Committed(entry, Checked(block, (envelope,))))
    return cut


def _recovery_block(
    survivor: Survivor, state: State, envelope: Envelope, body: Recover, now_ms: int, boot: bytes
) -> Block:
    """The block, checked as everybody who takes it in will check it."""
    progress, height = state.progress, body.height + 1
    values = state.scheduled(height, basis_height(progress.term, progress.basis_height, height, body.term))
    block = make_block(
        parent=replace(state.parent, epoch=body.epoch),
        scheduled=values,
        term=body.term,
        time_ms=now_ms,
        proposer=survivor.node,
        boot=boot,
        body=[envelope.raw],
        sign=lambda digest: sign(survivor.key, digest),
        change=recovery_change(body, state.registry),
    )
    try:
        check_recovery(block, state.parent, values, RULES[block.header.rules], state)
    except InvalidBlock as error:
        raise RecoveryRefused(
            f"The recovery block would be invalid: {error.reason}.", "Propose anew, and have it signed."
        ) from error
    return block


def _follow(store: Store, found: Position, body: Recover, maker: str) -> int:
    """Vote for nobody but the maker from now on, and cut off what it will replace."""
    entries: tuple[Entry, ...] = ()
    cut = 0
    if found.hash_at(body.height) == body.header_hash and store.log_end > body.height > store.pruned:
        cut = _keep_cut(store, body.height)
        entries = (_entry(store, body.height),)
    store.write_log([LogWrite(HardState(body.term, maker), entries)])
    return cut


def _keep_cut(store: Store, height: int) -> int:
    """Keep the blocks above a height as evidence, for they are about to be cut off; how many they are."""
    for above in range(height + 1, store.log_end + 1):
        raw = encode(["cut off by a recovery", _entry(store, above).data])
        store.write_evidence(above, tagged_hash(CUT_TAG, raw), raw)
    return store.log_end - height


def _block(store: Store, height: int) -> Block:
    return decode_block(_entry(store, height).data)


def _entry(store: Store, height: int) -> Entry:
    entry = store.entry(height)
    if entry is None:
        raise CorruptRecord(block_key(height), height, "it is missing from the log")
    return entry
