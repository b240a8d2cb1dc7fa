"""Auditing: a clean chain is clean, and each thing forged in it is named by block, payment and key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from ledger import keys
from ledger.audit import SIGNATURE_CHUNK, audit, verify_here
from ledger.audit_report import AuditReport, Check, MemoryScratch
from ledger.audit_work import MAX_FINDINGS
from ledger.block import Block, decode_block, encode_block, make_block
from ledger.bodies import OpenAccount, Transfer
from ledger.certificate import decode_seal, encode_seal
from ledger.codec import encode
from ledger.envelope import Envelope
from ledger.parameters import PARAMETER_RANGES
from ledger.records import ACCOUNT_PREFIX, ID_PREFIX, account_row_key, history_row_key
from ledger.rules import RULES
from ledger.state import Executed, State
from tests.unit.ledger.audited import BUILT, Chain, certified, copy_of_built, run, sealed
from tests.unit.ledger.rules.world import (
    ISSUANCE,
    NODE,
    TELLER,
    World,
    policy,
    private_key,
    public_key,
)


@pytest.fixture
def chain() -> Chain:
    """The chain, a copy for each test to spoil."""
    return copy_of_built()


def codes(report: AuditReport) -> list[tuple[str, int | None, int | None]]:
    """What was found, and where."""
    return [(finding.code, finding.height, finding.index) for finding in report.findings]


def test_a_clean_chain_is_clean(chain: Chain) -> None:
    """Everything is counted, supplies and net positions are right, and nothing is found."""
    report = run(chain)
    assert report.findings == ()
    assert report.clean
    assert (report.tip, report.replayed, report.blocks, report.transactions) == (8, 8, 8, 8)
    assert (report.payments, report.certificates, report.own_seals) == (5, 8, 8)
    assert report.certified == 8
    assert report.signatures == 8 + 8
    assert report.rows == len(chain.rows)
    assert report.supply == {"EUR": 993, "USD": 0}
    assert report.issued == {"EUR": 993}
    assert report.scales == {"EUR": 2, "USD": 2}
    assert report.positions == {"EUR": {"alpha": -25, "beta": 25}}


def test_progress_and_scratch_are_the_callers(chain: Chain) -> None:
    """Progress comes after each block, and the replay is left in the scratch that was given."""
    heights, scratch = list[tuple[int, int]](), MemoryScratch()
    audit(chain, progress=lambda height, tip: heights.append((height, tip)), scratch=scratch)
    assert heights == [(height, 8) for height in range(1, 9)]
    assert dict(scratch.scan(b"")) == chain.rows


def test_an_id_that_is_consumed_in_two_blocks_is_found(chain: Chain) -> None:
    """Rules that lose sight of an earlier block's ids write a row of one again."""
    consumed: dict[bytes, bytes] = {}

    def forgetful(state: State, block: Block, envelopes: Sequence[Envelope]) -> Executed:
        executed = RULES[1].execute(state, block, envelopes)
        consumed.update((key, row) for key, row in executed.changes.items() if key[:1] == ID_PREFIX)
        if block.header.height < 8:
            return executed
        return dataclasses.replace(executed, changes={**executed.changes, **consumed})

    report = audit(chain, rules={1: dataclasses.replace(RULES[1], execute=forgetful)})
    ids = [finding for finding in report.findings if "ids_consumed_once" in finding.what]
    assert {(finding.code, finding.height) for finding in ids} == {("invariant_broken", 8)}
    assert len(ids) == len(consumed) - 1


def test_another_network_is_named(chain: Chain) -> None:
    """An audit that trusts another network id says so first."""
    report = audit(chain, network_id=bytes(32))
    assert codes(report) == [("genesis_mismatch", 0, None)]


def test_genesis_that_is_none(chain: Chain) -> None:
    """Without a genesis nothing can be replayed, and that is what is said."""
    chain.genesis_raw = b"\x90"
    assert [code for code, *_ in codes(run(chain))] == ["genesis_mismatch", "genesis_malformed"]


def test_forged_payment_signature_is_named_by_block_payment_and_key(chain: Chain) -> None:
    """A payment signed by nobody is found although everything else agrees with it."""
    world = World()
    world.block(term=1)
    forged = world.envelope(world.issuance(), Transfer(bytes(21), "EUR", 5), [ISSUANCE])
    good = world.envelope("alpha", OpenAccount("EUR", policy(1)), [TELLER["alpha"]], signed=True)
    world.block(good, forged)
    seals = {height: (raw, sealed(raw)) for height, raw in enumerate(world.seals, 1)}
    forged_chain = Chain(
        world.genesis_raw, {b.header.height: b.raw for b in world.blocks}, seals, {}, world.rows.rows
    )
    report = audit(forged_chain, own_node="alpha-1")
    assert codes(report) == [("signature_bad", 2, 1)]
    assert public_key(ISSUANCE).hex() in report.findings[0].what
    assert forged.payload.tx_id.hex() in report.findings[0].what


def test_verifier_is_the_callers(chain: Chain) -> None:
    """Every signature passes through the callable that was given, in one batch here."""
    batches = list[int]()

    def count(checks: Sequence[Check]) -> Sequence[int]:
        batches.append(len(checks))
        return verify_here(checks)

    report = audit(chain, own_node="alpha-1", verify=count)
    assert report.clean
    assert batches == [16]
    assert SIGNATURE_CHUNK > 16


@pytest.mark.parametrize("height", [1, 4, 8])
def test_missing_and_malformed_blocks_stop_the_replay(chain: Chain, height: int) -> None:
    """A block that is not there or not readable is named, and the replay says how far it came."""
    raw = chain.blocks.pop(height)
    report = run(chain)
    assert codes(report) == [("block_missing", height, None), ("replay_stopped", height, None)]
    assert report.replayed == height - 1
    chain.blocks[height] = raw[:-1]
    assert codes(run(chain)) == [("block_malformed", height, None), ("replay_stopped", height, None)]
    chain.blocks[height] = BUILT.blocks[3 if height != 3 else 2]
    assert codes(run(chain)) == [("block_malformed", height, None), ("replay_stopped", height, None)]


def test_block_signed_by_a_stranger_goes_on(chain: Chain) -> None:
    """A proposer's bad signature is found; what the block holds is replayed all the same."""
    block = decode_block(chain.blocks[5])
    signature = keys.sign(private_key(99), block.hash)
    chain.blocks[5] = encode_block(block.header_raw, signature, block.body)
    report = run(chain)
    assert codes(report) == [("block_invalid", 5, None)]
    assert "alpha-1" in report.findings[0].what
    assert report.replayed == 8


def test_left_out_payment_is_found(chain: Chain) -> None:
    """A block emptied of its payment contradicts its header, its seal, the certificates and the rows."""
    block = decode_block(chain.blocks[5])
    chain.blocks[5] = encode_block(block.header_raw, block.signature, [])
    report = run(chain)
    found = codes(report)
    assert found[0] == ("block_invalid", 5, None)
    assert ("own_seal_differs", 5, None) in found
    assert ("certificate_differs", 8, None) in found
    assert {"row_differs", "row_extra"} <= {code for code, *_ in found}
    assert report.replayed == 8


def test_expired_payment_cannot_be_executed(chain: Chain) -> None:
    """A block with a payment outside its time is invalid, and the replay stops there."""
    world = World()
    late = world.envelope("alpha", OpenAccount("EUR", policy(1)), [TELLER["alpha"]], signed=True)
    block = make_block(
        parent=world.state.parent,
        scheduled=world.state.scheduled(1, 1),
        term=0,
        time_ms=2**62,
        proposer="alpha-1",
        boot=bytes(16),
        body=[late.raw],
        sign=lambda digest: keys.sign(private_key(NODE["alpha-1"]), digest),
    )
    chain = Chain(world.genesis_raw, {1: block.raw}, {1: (b"", b"")}, {}, world.rows.rows)
    report = audit(chain)
    assert codes(report) == [("block_invalid", 1, None), ("replay_stopped", 1, None)]
    assert "transaction 0" in report.findings[0].what


SPOILS: list[tuple[str, Callable[[Chain], None], list[tuple[str, int | None, int | None]]]] = [
    (
        "own seal with another state root",
        lambda c: c.seals.__setitem__(4, other_seal(4)),
        [("own_seal_differs", 4, None)],
    ),
    (
        "own seal that is none",
        lambda c: c.seals.__setitem__(4, (b"x", sealed(b"x"))),
        [("own_seal_differs", 4, None)],
    ),
    (
        "own seal signed by another node",
        lambda c: c.seals.__setitem__(4, (c.seals[4][0], sealed(c.seals[4][0], "beta-1"))),
        [("own_seal_signature_bad", 4, None)],
    ),
    (
        "certificate of another seal",
        lambda c: c.certificates.__setitem__(4, certified(other_seal(4)[0])),
        [("certificate_differs", 4, None)],
    ),
    (
        "certificate by too few",
        lambda c: c.certificates.__setitem__(4, certified(c.seals[4][0], ["alpha-1"])),
        [("certificate_invalid", 4, None)],
    ),
    (
        "certificate that is none",
        lambda c: c.certificates.__setitem__(4, b"\x90"),
        [("certificate_invalid", 4, None)],
    ),
    ("own seal missing", lambda c: c.seals.__delitem__(4), [("own_seal_missing", 4, None)]),
    ("row missing", lambda c: c.rows.__delitem__(history_row_key(5, 0)), [("row_missing", None, None)]),
    ("row too many", lambda c: c.rows.__setitem__(history_row_key(99, 0), b""), [("row_extra", None, None)]),
    ("last row of all missing", lambda c: c.rows.__delitem__(b"S"), [("row_missing", None, None)]),
    (
        "balance changed",
        lambda c: c.rows.__setitem__(account_row_key(2), b"\x90"),
        [("row_differs", None, None)],
    ),
]


def other_seal(height: int) -> tuple[bytes, bytes]:
    """A seal that alpha's node signed although its state root is not the replay's."""
    raw = encode_seal(replace(decode_seal(BUILT.seals[height][0]), state_root=bytes(32)))
    return raw, sealed(raw)


@pytest.mark.parametrize(
    ("spoil", "expected"), [case[1:] for case in SPOILS], ids=[case[0] for case in SPOILS]
)
def test_everything_stored_is_compared(
    chain: Chain, spoil: Callable[[Chain], None], expected: list[tuple[str, int | None, int | None]]
) -> None:
    """Each forged seal, certificate or row is found, alone, and the replay goes on to the end."""
    spoil(chain)
    report = run(chain)
    assert codes(report) == expected
    assert report.replayed == 8


def test_certified_is_the_last_height_whose_certificate_holds(chain: Chain) -> None:
    """Missing, forged and differing certificates above it do not count."""
    del chain.certificates[8]
    chain.certificates[7] = certified(chain.seals[7][0], ["alpha-1"])
    chain.certificates[6] = certified(other_seal(6)[0])
    assert run(chain).certified == 5


def test_a_differing_seal_names_the_fields(chain: Chain) -> None:
    """What differs from the replay is said by name."""
    chain.seals[4] = other_seal(4)
    assert run(chain).findings[0].what == "the seal differs from the replay in state_root"


def test_findings_are_bounded_and_counted(chain: Chain) -> None:
    """Beyond the thousandth, findings are counted and not kept."""
    for number in range(MAX_FINDINGS + 3):
        chain.rows[ACCOUNT_PREFIX + encode(number + 2**20)] = b""
    report = run(chain)
    assert (len(report.findings), report.findings_omitted) == (MAX_FINDINGS, 3)


def test_seals_under_a_name_that_does_not_certify(chain: Chain) -> None:
    """A store that calls itself another node's, so that its signatures escape, is found at each seal."""
    report = audit(chain, own_node="gamma-1")
    assert codes(report) == [("own_seal_unexpected", height, None) for height in range(1, 9)]


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_block_of_more_transactions_than_fit_stops_the_replay(chain: Chain, beyond: int) -> None:
    """The audit of an absurd body ends with a finding, one beyond the most that any network may allow."""
    most = PARAMETER_RANGES["block_envelopes"][1]
    block = decode_block(chain.blocks[5])
    chain.blocks[5] = encode_block(block.header_raw, block.signature, [b"\x90"] * (most + beyond))
    report = run(chain)
    assert codes(report) == [
        ("block_invalid", 5, None),
        ("block_invalid", 5, None),
        ("replay_stopped", 5, None),
    ]
    assert ("more than any network allows" in report.findings[1].what) is bool(beyond)
