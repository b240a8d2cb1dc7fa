"""Recovery blocks: made by hand after two of three nodes are lost, judged, executed, audited; and refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.audit import audit
from ledger.block import (
    Block,
    InvalidBlock,
    block_hash,
    check_header,
    decode_block,
    decode_body,
    encode_block,
    make_block,
)
from ledger.bodies import Recover, SetMember, SetMembership, SetNode, SetParameters
from ledger.certificate import Certifier, decode_certificate, decode_seal
from ledger.codec import encode
from ledger.handovers import (
    Handover,
    HandoverMissing,
    handover_heights,
    handovers_below,
    verify_certified,
    verify_handovers,
)
from ledger.keys import sign
from ledger.membership import Decision, Membership
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS, CertificateRule
from ledger.records import RETIRED, VOTING
from ledger.recovery import check_recovery, is_recovery, recovery_change
from ledger.rules import RULES
from ledger.schedule import LOOK_BACK
from ledger.state import Executed, State
from tests.unit.ledger.audited import Chain, certified, sealed
from tests.unit.ledger.rules.world import (
    ADMIN,
    GENESIS_MS,
    NODE,
    TELLER,
    World,
    genesis,
    policy,
    private_key,
    public_key,
)

SIGNERS = (ADMIN["alpha"], ADMIN["beta"])
NEW_ADMIN = 51
FOUR = ("alpha", "beta", "central", "delta")
MOST = tuple(ADMIN[name] for name in FOUR[:3])


def _world() -> World:
    """Height 3: alpha's second node is registered, and decided on at the last height."""
    world = World()
    world.block(term=1)
    node = SetNode("alpha-2", "alpha", public_key(NODE["alpha-2"]), "alpha-2.test:7000", 0)
    world.block(world.envelope("alpha", node, SIGNERS, signed=True))
    decision = SetMembership(("alpha-2",), True, ("alpha-1",), 1)
    world.block(world.envelope("alpha", decision, SIGNERS, signed=True))
    return world


def _body(world: World, voters: Sequence[str] = ("alpha-1",), **changes: Any) -> Recover:
    parent = world.state.parent
    certifiers = world.state.registry.certifiers_recovered(voters, parent.height + 1)
    return replace(Recover(1, parent.height, parent.hash, 9, certifiers, 2, rehearsal=False), **changes)


def _recovery(
    world: World,
    body: Recover,
    *,
    signers: Sequence[int] = SIGNERS,
    proposer: str = "alpha-1",
    signed: bool = True,
    times: int = 1,
    **fields: Any,
) -> Block:
    """The recovery block of a decision; `fields` are changed in its header afterwards."""
    parent, height = world.state.parent, world.state.progress.height + 1
    scheduled = world.state.scheduled(height, world.state.progress.basis_height)
    envelope = world.envelope("alpha", body, signers, signed=signed)
    made = make_block(
        parent=parent,
        scheduled=scheduled,
        change=recovery_change(body, world.state.registry),
        term=body.term,
        time_ms=GENESIS_MS + height,
        proposer=proposer,
        boot=bytes(16),
        body=[envelope.raw] * times,
        sign=lambda digest: bytes(64),
    )
    raw = encode(replace(made.header, **{"epoch": body.epoch, **fields}))
    return decode_block(encode_block(raw, sign(private_key(NODE[proposer]), block_hash(raw)), made.body))


def _execute(world: World, block: Block) -> Executed:
    """Check the recovery block, execute it and take it over."""
    scheduled = world.state.scheduled(block.header.height, world.state.progress.basis_height)
    assert is_recovery(block, world.state.parent)
    envelopes = check_recovery(block, world.state.parent, scheduled, RULES[1], world.state)
    executed = RULES[1].execute(world.state, block, envelopes)
    world.rows.rows.update(executed.changes)
    world.state.apply(executed)
    world.blocks.append(block)
    world.seals.append(executed.seal_raw)
    return executed


def test_a_recovery_puts_its_voters_in_force() -> None:
    """A new epoch: who was lost is retired, what was decided is void, the rest certify this very block."""
    world = _world()
    executed = _execute(world, _recovery(world, _body(world)))
    registry = world.state.registry
    assert executed.outcomes[0][0] == 0
    assert (executed.seal.epoch, world.state.parent.epoch, world.state.parent.term) == (1, 1, 9)
    assert registry.membership.membership == Membership(("alpha-1",))
    assert [registry.nodes[n].status for n in ("alpha-1", "beta-1", "central-1")] == [
        VOTING,
        RETIRED,
        RETIRED,
    ]
    assert registry.membership_decision_at(5) == registry.membership_decision_at(200) == (3, Decision())
    assert not registry.membership_pending(5)
    assert [(height, [n.node for n in c.nodes]) for height, c in registry.certifiers][1:] == [
        (4, ["alpha-1"])
    ]
    assert State.open(world.rows).registry == registry


def test_the_chain_goes_on_in_the_new_epoch_and_its_audit_is_clean() -> None:
    """Blocks follow as before; the old voters certify up to the recovery, the new one from it on."""
    world = _world()
    _execute(world, _recovery(world, _body(world)))
    world.term = 9
    world.block()
    world.block()
    assert world.blocks[-1].header.epoch == 1
    seals = dict(enumerate(world.seals, 1))
    chain = Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (raw, sealed(raw)) for height, raw in seals.items()},
        {
            height: certified(raw, ("alpha-1", "beta-1") if height < 4 else ("alpha-1",))
            for height, raw in seals.items()
        },
        dict(world.rows.rows),
    )
    report = audit(chain, own_node="alpha-1")
    assert (report.findings, report.certified) == ((), 6)
    chain.certificates[4] = certified(seals[4], ("beta-1", "central-1"))
    assert [f.code for f in audit(chain, own_node="alpha-1").findings] == ["certificate_invalid"]


def _handed_over(world: World, held: Sequence[int]) -> tuple[Handover, ...]:
    """The hand-overs to the certifiers of the executed height, by a node that holds these certificates."""
    certificates = {height: certified(world.seals[height - 1]) for height in held}
    return handovers_below(world.state.registry, world.state.progress.height, certificates.get)


def test_the_decision_hands_over_from_a_certified_height() -> None:
    """Who follows it comes to the new voter; without the certificate that it builds on nobody can."""
    world = _world()
    _execute(world, _recovery(world, _body(world)))
    world.term = 9
    world.block()
    (handover,) = handovers = _handed_over(world, (1, 2, 3))
    assert decode_seal(handover.certificate.seal).height == 2
    assert verify_handovers(world.genesis_raw, handovers)[:3] == (3, 1, world.state.certifiers)
    certificate = decode_certificate(certified(world.seals[4], ("alpha-1",)))
    assert verify_certified(world.genesis_raw, handovers, certificate).height == 5
    assert handover_heights(world.state.registry, 3) == ()
    with pytest.raises(HandoverMissing, match="height 2"):
        _handed_over(world, (1, 3))


def test_a_second_recovery_passes_over_the_first() -> None:
    """Nothing is certified between them: the second builds on the same height, and alone hands over."""
    world = _world()
    _execute(world, _recovery(world, _body(world, voters=("alpha-1", "beta-1"))))
    second = _body(world, epoch=2, term=10)
    _execute(world, _recovery(world, second))
    assert verify_handovers(world.genesis_raw, _handed_over(world, (2,)))[:3] == (
        4,
        2,
        world.state.certifiers,
    )
    assert [world.state.registry.is_passed_over(height) for height in range(1, 6)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_same_voters_recover_twice() -> None:
    """Nobody need be lost: all go on where certifying was stuck; and a sole survivor may go on once more."""
    world = _world()
    for epoch, voters in enumerate((("alpha-1", "beta-1", "central-1"), ("alpha-1",), ("alpha-1",)), 1):
        body = _body(world, voters, epoch=epoch, term=9 + epoch)
        version = world.state.registry.membership.version
        _execute(world, _recovery(world, body))
        record = world.state.registry.membership
        assert (record.membership, record.version) == (Membership(voters), version + 1)
    assert verify_handovers(world.genesis_raw, _handed_over(world, (2,))).epoch == 3


def test_nothing_builds_on_a_height_that_is_passed_over() -> None:
    """Its certificate would never be asked for, and nothing be certified again."""
    world = _world()
    _execute(world, _recovery(world, _body(world)))
    on_it = _body(world, epoch=2, term=10, certified_height=3)
    with pytest.raises(InvalidBlock, match="version_mismatch"):
        _execute(world, _recovery(world, on_it))
    _execute(world, _recovery(world, replace(on_it, certified_height=4)))


def _byzantine() -> World:
    """Height 2: four banks by the byzantine rule, which is decided on anew for height 80, with 20 signers."""
    rule = replace(DEFAULT_PARAMETERS, certificate_rule=CertificateRule.BYZANTINE.value)
    world = World(genesis(FOUR, rule))
    world.block(term=1)
    body = SetParameters(replace(rule, signers=20), 80, 1)
    world.block(world.envelope("alpha", body, MOST, signed=True))
    return world


def test_too_few_for_the_byzantine_rule_go_on_by_majority() -> None:
    """The rule gives way at the recovery, and what was decided for later too; nothing else of it does."""
    world = _byzantine()
    body = _body(world, ("alpha-1", "beta-1"), certified_height=1)
    _execute(world, _recovery(world, body, signers=MOST))
    registry = world.state.registry
    found = [registry.parameters_at(height) for height in (2, 3, 79, 80)]
    assert [(each.certificate_rule, each.signers) for each in found] == [(1, 16), (0, 16), (0, 16), (0, 20)]
    assert registry.parameters.version == 3
    assert world.state.certifiers.quorum() == 2
    held = {1: certified(world.seals[0], ("alpha-1", "beta-1", "central-1"))}
    handovers = handovers_below(registry, 3, held.get)
    assert verify_handovers(world.genesis_raw, handovers).certifiers == body.certifiers
    again = SetParameters(replace(found[-1], certificate_rule=1), 90, 3)
    world.term = 9
    assert world.outcome("alpha", again, *MOST) is Outcome.TOO_FEW_VOTERS


def test_enough_for_the_byzantine_rule_keep_it() -> None:
    """Four survivors certify by it; a decision that names the rule of the majority is not for them."""
    world = _byzantine()
    body = _body(world, tuple(f"{name}-1" for name in FOUR), certified_height=1)
    bent = replace(body, certifiers=replace(body.certifiers, certificate_rule=0))
    with pytest.raises(InvalidBlock, match="version_mismatch"):
        _execute(world, _recovery(world, bent, signers=MOST))
    _execute(world, _recovery(world, body, signers=MOST))
    assert world.state.certifiers.quorum() == 3
    assert world.state.registry.parameters.version == 2


def test_a_change_of_voters_whose_end_is_never_certified_is_passed_over() -> None:
    """Those who had to certify the leave are lost: who is left recovers, and the chain is proved again."""
    world = World()
    world.block(term=1)
    remove = SetMembership((), False, ("central-1",), 1)
    world.block(world.envelope("alpha", remove, SIGNERS, signed=True))
    world.blocks_to(2 + LOOK_BACK - 1)
    certified_height = world.state.progress.height
    for _ in range(3):
        world.block(change=True)
    left = world.state.progress.height
    assert handover_heights(world.state.registry, left) == (left - 1,)
    _execute(world, _recovery(world, _body(world, certified_height=certified_height)))
    assert world.state.registry.nodes["central-1"].status == RETIRED
    (handover,) = _handed_over(world, (certified_height,))
    assert verify_handovers(world.genesis_raw, [handover])[:3] == (left, 1, world.state.certifiers)
    assert not world.state.registry.membership_pending(left + 1)


def _renewed() -> World:
    """Height 2: alpha's admin key is another, since that height."""
    world = World()
    world.block(term=1)
    body = SetMember("alpha", "Bank alpha", policy(NEW_ADMIN), policy(TELLER["alpha"]), 1)
    world.block(world.envelope("alpha", body, SIGNERS, signed=True))
    return world


@pytest.mark.parametrize(
    ("certified_height", "signers", "is_good"),
    [
        (1, (*SIGNERS, NEW_ADMIN), True),
        (1, SIGNERS, False),
        (1, (NEW_ADMIN, ADMIN["beta"]), False),
        (2, (NEW_ADMIN, ADMIN["beta"]), True),
        (2, SIGNERS, False),
    ],
)
def test_the_members_of_now_and_of_the_certified_height_decide(
    certified_height: int, signers: Sequence[int], *, is_good: bool
) -> None:
    """Keys that were replaced meanwhile sign too, for it is they that a certified seal names."""
    world = _renewed()
    block = _recovery(world, _body(world, certified_height=certified_height), signers=signers)
    if is_good:
        _execute(world, block)
        assert verify_handovers(world.genesis_raw, _handed_over(world, (1, 2))).epoch == 1
        return
    with pytest.raises(InvalidBlock, match="policy_not_met"):
        _execute(world, block)


def _named(world: World, other: tuple[str, str, int]) -> Recover:
    """A decision for alpha's node and another one, of this id, member and key."""
    body = _body(world)
    node, member, key = other
    nodes = (*body.certifiers.nodes, Certifier(node, member, public_key(key)))
    return replace(body, certifiers=replace(body.certifiers, nodes=nodes))


REFUSED: list[tuple[str, Callable[[World], Block]]] = [
    ("another block or epoch", lambda w: _recovery(w, _body(w, epoch=2))),
    ("another block or epoch", lambda w: _recovery(w, _body(w, height=2))),
    ("another block or epoch", lambda w: _recovery(w, _body(w, header_hash=bytes(32)))),
    ("is for term 9", lambda w: _recovery(w, _body(w), term=10)),
    ("is for term 1", lambda w: _recovery(w, _body(w, term=1))),
    ("membership is not the one decided", lambda w: _recovery(w, _body(w), change=())),
    ("one decision and nothing else", lambda w: _recovery(w, _body(w), times=2)),
    ("epoch is 2, it must be 1", lambda w: _recovery(w, _body(w), epoch=2)),
    ("beta-1 does not vote", lambda w: _recovery(w, _body(w), proposer="beta-1")),
    ("its decision: the signature", lambda w: _recovery(w, _body(w), signed=False)),
    ("refused: policy_not_met", lambda w: _recovery(w, _body(w), signers=SIGNERS[:1])),
    ("refused: unknown_node", lambda w: _recovery(w, _named(w, ("beta-9", "beta", 60)))),
    (
        "refused: node_not_in_membership",
        lambda w: _recovery(w, _body(w, voters=("alpha-2",)), proposer="alpha-2"),
    ),
    ("refused: version_mismatch", lambda w: _recovery(w, _named(w, ("beta-1", "beta", 60)))),
    ("refused: version_mismatch", lambda w: _recovery(w, _named(w, ("beta-1", "gamma", NODE["beta-1"])))),
    ("membership_version is 2", lambda w: _recovery(w, _body(w), membership_version=2)),
]


@pytest.mark.parametrize(("words", "make"), REFUSED)
def test_recoveries_that_are_none(words: str, make: Callable[[World], Block]) -> None:
    """Each thing wrong alone: what it follows, when, who proposes, who votes, who has signed."""
    world = _world()
    block = make(world)
    scheduled = world.state.scheduled(4, world.state.progress.basis_height)
    with pytest.raises(InvalidBlock, match=words):
        check_recovery(block, world.state.parent, scheduled, RULES[1], world.state)


def test_a_recovery_stands_in_no_ordinary_block() -> None:
    """Its kind is unknown there, and an ordinary block begins no epoch."""
    world = _world()
    envelope = world.envelope("alpha", _body(world), SIGNERS, signed=True)
    block = world.make_block([envelope])
    scheduled = world.state.scheduled(4, 4)
    assert not is_recovery(block, world.state.parent)
    with pytest.raises(InvalidBlock, match="kind 22"):
        decode_body(block, scheduled, RULES[1].bodies)
    with pytest.raises(InvalidBlock, match="epoch is 1, it must be 0"):
        check_header(_recovery(world, _body(world)), world.state.parent, scheduled)
