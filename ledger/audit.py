"""Replaying a whole chain from genesis and checking every promise it makes (docs/formats.md).

An audit trusts the network id alone, or nothing: it executes every block again and compares outcomes, seals,
certificates and every stored row with what it finds. It goes on after a finding for as long as there is
something to go on with. Must not know where the chain is kept, nor use the state that it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ledger import records
from ledger.audit_report import AuditReport, ChainReader, Check, Finding, MemoryScratch, Scratch, Verify
from ledger.audit_seals import check_handovers, check_seals
from ledger.audit_work import Work
from ledger.block import Block, InvalidBlock, Scheduled, check_header, decode_block, decode_body, is_due
from ledger.bodies import Transfer
from ledger.codec import Malformed, decode
from ledger.envelope import Envelope, signature_checks
from ledger.genesis import network_id as network_id_of
from ledger.keys import BadSignature, verify
from ledger.outcome import Outcome
from ledger.parameters import PARAMETER_RANGES
from ledger.records import Account
from ledger.recovery import check_recovery, is_recovery
from ledger.rules import RULES
from ledger.rules.base import InvariantViolated, RuleSet
from ledger.rules.v1.invariants import check_whole
from ledger.state import Executed, State, basis_height

SIGNATURE_CHUNK: Final = 2_000
"""So many signatures, or a few more, are given to the verifier at once."""


def verify_here(checks: Sequence[Check]) -> Sequence[int]:
    """Verify in this thread, one after the other."""
    failed = []
    for position, (key, digest, signature) in enumerate(checks):
        try:
            verify(key, digest, signature)
        except (BadSignature, Malformed):
            failed.append(position)
    return failed


def audit(
    chain: ChainReader,
    *,
    network_id: bytes | None = None,
    own_node: str | None = None,
    verify: Verify = verify_here,
    progress: Callable[[int, int], None] = lambda height, tip: None,
    scratch: Scratch | None = None,
    rules: Mapping[int, RuleSet] = RULES,
) -> AuditReport:
    """Replay the chain and check everything it claims.

    `network_id` is the one to trust, where it is known; `own_node` is the node whose seals and rows these
    are, and without it its seals' signatures and their completeness are not checked; `progress(height, tip)`
    is called after each block; the replay is kept in `scratch`, in memory unless one is given; `rules` are
    the versions that the software has.
    """
    work, kept, tip = Work(verify, rules), scratch or MemoryScratch(), chain.tip()
    state = _open_genesis(work, chain, network_id, kept)
    if state is not None:
        for height in range(1, tip + 1):
            if not _replay(work, chain, state, kept, height, own_node):
                break
            work.verify_pending(SIGNATURE_CHUNK)
            progress(height, tip)
        work.verify_pending()
        check_handovers(work)
        _check_accounts(work, state)
        if state.progress.height == tip:
            _compare_rows(work, chain, kept)
        else:
            what = f"executed up to {state.progress.height} of {tip}; rows could not be compared"
            work.found("replay_stopped", state.progress.height + 1, None, what)
    return _report(work, tip, state)


def other_genesis(raw: bytes, trusted: bytes | None) -> Finding | None:
    """What is found where a genesis document isn't of the network that is trusted; None where it is."""
    found = network_id_of(raw)
    if trusted is None or found == trusted:
        return None
    return Finding("genesis_mismatch", 0, None, f"its network id is {found.hex()}, not {trusted.hex()}")


def _open_genesis(work: Work, chain: ChainReader, expected: bytes | None, kept: Scratch) -> State | None:
    raw = chain.genesis()
    other = other_genesis(raw, expected)
    if other is not None:
        work.findings.append(other)
    try:
        rows = State.from_genesis(raw)
    except Malformed as error:
        work.found("genesis_malformed", 0, None, str(error))
        return None
    kept.write(rows)
    return State.open(kept)


def _replay(
    work: Work, chain: ChainReader, state: State, kept: Scratch, height: int, own_node: str | None
) -> bool:
    """Check and execute one block; False where the replay cannot go on."""
    block = _read_block(work, chain, height)
    if block is None:
        return False
    progress = state.progress
    basis = basis_height(progress.term, progress.basis_height, height, block.header.term)
    scheduled = state.scheduled(height, basis)
    rules = _rules(work, block)
    if rules is None:
        return False
    read = _read_recovery if is_recovery(block, state.parent) else _read_ordinary
    envelopes = read(work, block, state, scheduled, rules)
    if envelopes is None:
        return False
    _expect_signatures(work, height, envelopes)
    executed = _execute(work, rules, state, block, envelopes)
    if executed is None:
        return False
    check_seals(work, chain, executed, own_node)
    _count(work, state, executed, envelopes)
    _check_ids(work, kept, executed)
    kept.write(executed.changes)
    state.apply(executed)
    return True


def _read_block(work: Work, chain: ChainReader, height: int) -> Block | None:
    raw = chain.block(height)
    if raw is None:
        work.found("block_missing", height, None, "the block is not there")
        return None
    try:
        block = decode_block(raw)
    except Malformed as error:
        work.found("block_malformed", height, None, str(error))
        return None
    if block.header.height != height:
        work.found("block_malformed", height, None, f"the block says its height is {block.header.height}")
        return None
    return block


def _rules(work: Work, block: Block) -> RuleSet | None:
    """The rules that the block follows, or None where this software doesn't have them."""
    rules = work.rules.get(block.header.rules)
    if rules is None:
        what = f"version {block.header.rules} of the rules is not known to this software"
        work.found("rules_unknown", block.header.height, None, what)
    return rules


def _read_ordinary(
    work: Work, block: Block, state: State, scheduled: Scheduled, rules: RuleSet
) -> tuple[Envelope, ...] | None:
    """Check the block and give its transactions; None where it can't be executed."""
    try:
        check_header(block, state.parent, scheduled)
    except InvalidBlock as error:
        work.found("block_invalid", block.header.height, None, error.reason)
    envelopes = _read_envelopes(work, block, scheduled, rules)
    return envelopes if is_due(block, state.parent, scheduled) else None


def _read_recovery(
    work: Work, block: Block, state: State, scheduled: Scheduled, rules: RuleSet
) -> tuple[Envelope, ...] | None:
    """The same for a block that begins a new epoch, which is judged on the state of its parent."""
    try:
        return check_recovery(block, state.parent, scheduled, rules, state)
    except InvalidBlock as error:
        work.found("block_invalid", block.header.height, None, error.reason)
        return None


def _read_envelopes(
    work: Work, block: Block, scheduled: Scheduled, rules: RuleSet
) -> tuple[Envelope, ...] | None:
    """The block's transactions, or None where they cannot be executed: a place has but two bytes of index."""
    if len(block.body) <= PARAMETER_RANGES["block_envelopes"][1]:
        try:
            return decode_body(block, scheduled, rules.bodies)
        except InvalidBlock as error:
            reason = error.reason
    else:
        reason = f"{len(block.body)} transactions are more than any network allows"
    height = block.header.height
    work.found("block_invalid", height, None, f"{reason}; its transactions cannot be executed")
    return None


def _expect_signatures(work: Work, height: int, envelopes: Sequence[Envelope]) -> None:
    for index, envelope in enumerate(envelopes):
        for check in signature_checks(envelope):
            what = f"transaction {envelope.payload.tx_id.hex()}: bad signature by key {check[0].hex()}"
            work.expect_signature(check, Finding("signature_bad", height, index, what))


def _execute(
    work: Work, rules: RuleSet, state: State, block: Block, envelopes: Sequence[Envelope]
) -> Executed | None:
    try:
        return rules.execute(state, block, envelopes)
    except InvariantViolated as error:
        work.found("invariant_broken", block.header.height, None, str(error))
        return None


def _check_ids(work: Work, kept: Scratch, executed: Executed) -> None:
    """No id is consumed that an earlier block has consumed.

    The rules' own invariants look at one block only: looking further back costs a read a transaction.
    """
    for key in executed.changes:
        if key[:1] == records.ID_PREFIX and kept.get(key) is not None:
            broken = InvariantViolated("ids_consumed_once", f"the id of row {key.hex()} was consumed before")
            work.found("invariant_broken", executed.height, None, str(broken))


def _count(work: Work, state: State, executed: Executed, envelopes: Sequence[Envelope]) -> None:
    work.count("blocks")
    work.count("transactions", len(envelopes))
    issuance = {asset.account for asset in state.registry.assets.values()}
    for envelope, (outcome, _) in zip(envelopes, executed.outcomes, strict=True):
        transferred = _transferred(envelope) if outcome is Outcome.EXECUTED else None
        if transferred is None:
            continue
        work.count("payments")
        credit, amount = transferred
        debited, credited = executed.accounts[envelope.payload.author], executed.accounts[credit]
        if debited.id in issuance or credited.id in issuance:
            sign = 1 if debited.id in issuance else -1
            work.issued[debited.asset] = work.issued.get(debited.asset, 0) + sign * amount
        elif debited.member != credited.member:
            positions = work.positions.setdefault(debited.asset, {})
            positions[debited.member] = positions.get(debited.member, 0) - amount
            positions[credited.member] = positions.get(credited.member, 0) + amount


def _transferred(envelope: Envelope) -> tuple[bytes, int] | None:
    body = envelope.body
    return (body.credit, body.amount) if isinstance(body, Transfer) else None


def _check_accounts(work: Work, state: State) -> None:
    rows = state.reader.scan(records.ACCOUNT_PREFIX)
    try:
        work.supply = check_whole(decode(row, Account) for _, row in rows)
    except InvariantViolated as error:
        work.found("invariant_broken", state.progress.height, None, str(error))


def _compare_rows(work: Work, chain: ChainReader, kept: Scratch) -> None:
    for prefix in records.STATE_PREFIXES:
        stored, replayed = chain.scan(prefix), kept.scan(prefix)
        found, expected = next(stored, None), next(replayed, None)
        while found is not None or expected is not None:
            work.count("rows")
            if expected is None or (found is not None and found[0] < expected[0]):
                work.found(
                    "row_extra", None, None, f"row {found[0].hex() if found else ''} should not be there"
                )
                found = next(stored, None)
            elif found is None or expected[0] < found[0]:
                work.found("row_missing", None, None, f"row {expected[0].hex()} is missing")
                expected = next(replayed, None)
            else:
                if found[1] != expected[1]:
                    work.found("row_differs", None, None, f"row {found[0].hex()} differs from the replay")
                found, expected = next(stored, None), next(replayed, None)


def _report(work: Work, tip: int, state: State | None) -> AuditReport:
    return AuditReport(
        findings=tuple(work.findings),
        findings_omitted=work.omitted,
        tip=tip,
        replayed=0 if state is None else state.progress.height,
        certified=work.certified,
        supply=work.supply,
        positions=work.positions,
        issued=work.issued,
        scales={} if state is None else state.registry.scales,
        **{
            name: work.counts.get(name, 0)
            for name in (
                "blocks",
                "payments",
                "transactions",
                "signatures",
                "certificates",
                "own_seals",
                "rows",
            )
        },
    )
