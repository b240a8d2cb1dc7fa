"""Audits of a chain on which one node replaces another: everything that is said of it is checked."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from ledger.audit import audit
from ledger.audit_report import AuditReport
from ledger.block import block_hash, decode_block, encode_block
from ledger.bodies import SetMembership, SetNode
from ledger.certificate import certifiers_hash, decode_seal
from ledger.codec import encode
from ledger.keys import sign
from ledger.membership import Change
from ledger.schedule import LOOK_BACK
from tests.unit.ledger.audited import Chain, certified, sealed
from tests.unit.ledger.rules.world import ADMIN, NODE, World, private_key, public_key

IN_FORCE = 3 + LOOK_BACK
LEARN, JOINT, LEAVE, RETIRE = range(IN_FORCE, IN_FORCE + 4)
TIP = RETIRE + 2
OLD, NEW = ("alpha-1", "beta-1"), ("alpha-2", "beta-1")


@cache
def _world() -> World:
    """Alpha's second node replaces its first: registered at 2, decided at 3, carried out from 67 on."""
    world, admins = World(), [ADMIN["alpha"], ADMIN["beta"]]
    world.block(term=1)
    node = SetNode("alpha-2", "alpha", public_key(NODE["alpha-2"]), "alpha-2.test:7000", 0)
    world.block(world.envelope("alpha", node, admins, signed=True))
    decision = SetMembership(("alpha-2",), True, ("alpha-1",), 1)
    world.block(world.envelope("alpha", decision, admins, signed=True))
    world.blocks_to(IN_FORCE - 1)
    for proposer in ("alpha-1", "alpha-1", "beta-1", "beta-1"):
        world.block(change=True, proposer=proposer)
    world.block(term=2, proposer="alpha-2")
    world.block(proposer="alpha-2")
    return world


def _chain(own_node: str = "beta-1") -> Chain:
    """The chain as this node keeps it, with every height certified by those who may."""
    world = _world()
    seals = dict(enumerate(world.seals, 1))
    first, last = {"alpha-1": (1, LEAVE), "alpha-2": (LEAVE + 1, TIP)}.get(own_node, (1, TIP))
    return Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (seals[height], sealed(seals[height], own_node)) for height in range(first, last + 1)},
        {height: certified(raw, OLD if height <= LEAVE else NEW) for height, raw in seals.items()},
        dict(world.rows.rows),
    )


def _codes(report: AuditReport) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.height) for finding in report.findings]


def _with_change(height: int, change: Change | None, **fields: object) -> bytes:
    """The block of a height with another change in its header, signed again by its proposer."""
    block = decode_block(_chain().blocks[height])
    raw = encode(replace(block.header, change=() if change is None else (change,), **fields))
    signature = sign(private_key(NODE[block.header.proposer]), block_hash(raw))
    return encode_block(raw, signature, block.body)


@pytest.mark.parametrize("own_node", ["alpha-1", "beta-1", "alpha-2"])
def test_a_chain_across_a_replacement_is_clean(own_node: str) -> None:
    """To who goes, who stays and who comes: each seals exactly the heights that it certifies."""
    chain = _chain(own_node)
    report = audit(chain, own_node=own_node)
    assert report.findings == ()
    assert (report.replayed, report.certified, report.certificates) == (TIP, TIP, TIP)
    assert report.own_seals == len(chain.seals)


def test_seals_name_the_certifiers_of_the_next_height() -> None:
    """The one handover of this chain is the block that leaves the joint membership."""
    world = _world()
    genesis, after = (certifiers_hash(certifiers) for _, certifiers in world.state.registry.certifiers)
    seals = [decode_seal(world.seals[height - 1]) for height in (JOINT, LEAVE - 1, LEAVE, RETIRE)]
    assert [seal.certifiers_hash for seal in seals] == [genesis, genesis, after, after]


@pytest.mark.parametrize(("height", "signers"), [(LEAVE, NEW), (JOINT, NEW), (LEAVE + 1, OLD)])
def test_certificates_by_others_than_the_certifiers(height: int, signers: tuple[str, ...]) -> None:
    """Those to come certify nothing before the hand-over, those gone nothing after it."""
    chain = _chain()
    chain.certificates[height] = certified(_world().seals[height - 1], signers)
    found = _codes(audit(chain, own_node="beta-1"))
    assert ("certificate_invalid", height) in found
    assert (("handover_uncertified", LEAVE) in found) == (height == LEAVE)


def test_a_hand_over_without_its_certificate() -> None:
    """What is certified after it proves nothing; while nothing is, nothing is amiss."""
    chain = _chain()
    del chain.certificates[LEAVE]
    assert _codes(audit(chain, own_node="beta-1")) == [("handover_uncertified", LEAVE)]
    for height in range(LEAVE + 1, TIP + 1):
        del chain.certificates[height]
    assert _codes(audit(chain, own_node="beta-1")) == []


def test_few_certificates_suffice() -> None:
    """That of the hand-over and one at the end certify all."""
    chain = _chain()
    chain.certificates = {height: chain.certificates[height] for height in (LEAVE, TIP)}
    report = audit(chain, own_node="beta-1")
    assert (report.findings, report.certified) == ((), TIP)


THREE = ("alpha-1", "beta-1", "central-1")


@pytest.mark.parametrize(
    ("height", "change"),
    [
        (LEARN, Change(2, THREE, (), ("beta-2",))),
        (LEARN, Change(1, THREE, (), ("alpha-2",))),
        (LEARN, Change(2, ("alpha-2", "beta-1", "central-1"), THREE, ())),
        (LEARN - 1, Change(2, THREE, (), ("alpha-2",))),
        (JOINT, Change(2, ("alpha-2", "beta-1"), THREE, ())),
        (LEAVE, Change(2, ("alpha-2", "beta-1", "central-1"), (), ())),
        (TIP, Change(2, THREE, (), ())),
    ],
)
def test_changes_that_are_not_the_next_step(height: int, change: Change) -> None:
    """Another node, another decision, a step left out, too early, a vote too few, all done: each is found."""
    chain = _chain()
    chain.blocks[height] = _with_change(height, change)
    report = audit(chain, own_node="beta-1")
    assert _codes(report)[0] == ("block_invalid", height)
    assert "is not the next step of decision" in report.findings[0].what


def test_a_change_left_out_or_miscounted() -> None:
    """Without its change a block is valid, and all that follows on it is not; the version is counted."""
    chain = _chain()
    chain.blocks[JOINT] = _with_change(JOINT, None)
    assert ("block_invalid", LEAVE) in _codes(audit(chain, own_node="beta-1"))
    chain = _chain()
    header = decode_block(chain.blocks[JOINT]).header
    chain.blocks[JOINT] = _with_change(JOINT, header.change[0], membership_version=3)
    found = audit(chain, own_node="beta-1").findings[0]
    assert (found.code, found.height) == ("block_invalid", JOINT)
    assert "membership_version is 3, it must be 2" in found.what


def test_a_block_by_who_has_left() -> None:
    """After it has left the voters a node proposes nothing, though it is still in the cluster."""
    chain = _chain()
    block = decode_block(chain.blocks[RETIRE])
    raw = encode(replace(block.header, proposer="alpha-1"))
    chain.blocks[RETIRE] = encode_block(raw, sign(private_key(NODE["alpha-1"]), block_hash(raw)), block.body)
    found = audit(chain, own_node="beta-1").findings[0]
    assert (found.code, found.height) == ("block_invalid", RETIRE)
    assert "alpha-1 does not vote" in found.what
