"""Audits across an activation: each block is replayed under the rules of its day."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from ledger.audit import audit
from ledger.block import block_hash, decode_block, encode_block
from ledger.bodies import OpenAccount, SetRules, Transfer
from ledger.codec import encode
from ledger.keys import account_id, sign
from ledger.outcome import Outcome
from ledger.rules import RULES
from ledger.schedule import LOOK_BACK
from tests.unit.ledger.audited import Chain, certified, sealed
from tests.unit.ledger.rules.later import BOTH, UNLUCKY
from tests.unit.ledger.rules.world import ADMIN, ISSUANCE, NODE, TELLER, World, policy, private_key

ACTIVATED = 3 + LOOK_BACK


@cache
def _world() -> tuple[World, list[Outcome]]:
    """The same payment before and after version 2 holds, and what came of it."""
    world, outcomes = World(rules=BOTH), []
    world.block(term=1)
    tx_id = world.new_id()
    opening = OpenAccount("EUR", policy(51))
    world.block(world.envelope("alpha", opening, [TELLER["alpha"]], tx_id=tx_id, signed=True))
    account = account_id("alpha", "EUR", tx_id)
    decision = SetRules(2, ACTIVATED, 1)
    world.block(world.envelope("alpha", decision, [ADMIN["alpha"], ADMIN["beta"]], signed=True))
    for height in (ACTIVATED - 1, ACTIVATED):
        world.blocks_to(height - 1)
        pay = Transfer(account, "EUR", UNLUCKY)
        outcomes += world.outcomes(world.envelope(world.issuance(), pay, [ISSUANCE], signed=True))
    # An opening block takes its parent's rules, so one right above the activation is of the new ones.
    world.block(term=2)
    return world, outcomes


def _chain() -> Chain:
    world, _ = _world()
    seals = dict(enumerate(world.seals, 1))
    return Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (raw, sealed(raw)) for height, raw in seals.items()},
        {height: certified(raw) for height, raw in seals.items()},
        dict(world.rows.rows),
    )


def test_the_rules_of_its_day_decide_a_payment() -> None:
    """The last block under version 1 pays, the first under version 2 refuses the same."""
    world, outcomes = _world()
    assert outcomes == [Outcome.EXECUTED, Outcome.AMOUNT_OVERFLOW]
    assert [block.header.rules for block in world.blocks[-3:]] == [1, 2, 2]


def test_an_audit_across_the_activation_is_clean() -> None:
    """Old blocks replay under the old rules, new ones under the new."""
    report = audit(_chain(), own_node="alpha-1", rules=BOTH)
    assert report.findings == ()
    assert (report.replayed, report.payments) == (ACTIVATED + 1, 1)


def test_an_audit_without_the_newer_rules_says_so_and_stops() -> None:
    """Where the software lacks a version it replays up to the block before."""
    report = audit(_chain(), own_node="alpha-1", rules=RULES)
    found = [(finding.code, finding.height) for finding in report.findings]
    assert found == [("rules_unknown", ACTIVATED), ("replay_stopped", ACTIVATED)]
    assert report.replayed == ACTIVATED - 1


@pytest.mark.parametrize(("height", "rules"), [(ACTIVATED - 1, 2), (ACTIVATED, 1)])
def test_another_version_than_the_one_in_force_is_found(height: int, rules: int) -> None:
    """New rules a block too early, old ones a block too late: the block is invalid."""
    chain = _chain()
    block = decode_block(chain.blocks[height])
    raw = encode(replace(block.header, rules=rules))
    signature = sign(private_key(NODE["alpha-1"]), block_hash(raw))
    chain.blocks[height] = encode_block(raw, signature, block.body)
    found = audit(chain, rules=BOTH).findings[0]
    assert (found.code, found.height) == ("block_invalid", height)
    assert f"rules is {rules}, it must be {3 - rules}" in found.what
