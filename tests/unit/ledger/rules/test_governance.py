"""Governance and its kinds: set_member, set_node, create_asset, set_parameters."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.bodies import Body, CreateAsset, SetLimit, SetMember, SetNode, SetParameters, SetRules, Transfer
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS, PARAMETER_RANGES
from ledger.records import REGISTERED, VOTING
from ledger.rules.v1.governance import ACTIVATION_HORIZON
from ledger.schedule import LOOK_BACK
from tests.unit.ledger.rules.world import ADMIN, ISSUANCE, NODE, TELLER, World, genesis, policy, public_key

MAJORITY = (ADMIN["alpha"], ADMIN["beta"])
GAMMA = SetMember("gamma", "Bank gamma", policy(14), policy(24), 0)


def govern(world: World, body: Body, *signers: int) -> Outcome:
    """The outcome of a governance transaction by alpha, signed by a majority unless said otherwise."""
    return world.outcome("alpha", body, *(signers or MAJORITY))


@pytest.mark.parametrize(
    ("members", "signers", "outcome"),
    [
        (("alpha", "beta", "central"), ("alpha",), Outcome.POLICY_NOT_MET),
        (("alpha", "beta", "central"), ("beta", "central"), Outcome.EXECUTED),
        (("alpha", "central"), ("alpha",), Outcome.POLICY_NOT_MET),
        (("alpha", "central"), ("alpha", "central"), Outcome.EXECUTED),
    ],
)
def test_more_than_half_of_the_members_decide(
    members: tuple[str, ...], signers: tuple[str, ...], outcome: Outcome
) -> None:
    """Two of three decide; one of three and one of two, which is just half, do not."""
    world = World(genesis(members))
    assert govern(world, GAMMA, *(ADMIN[name] for name in signers)) is outcome


def test_governance_counts_admins_and_not_tellers(world: World) -> None:
    """Tellers' keys are worth nothing here, and the author must be a member."""
    assert govern(world, GAMMA, TELLER["alpha"], TELLER["beta"]) is Outcome.POLICY_NOT_MET
    assert world.outcome("gamma", GAMMA, *MAJORITY) is Outcome.UNKNOWN_AUTHOR
    assert world.outcome(world.issuance(), GAMMA, ISSUANCE) is Outcome.NOT_PERMITTED


def test_set_member_joins_and_counts(world: World) -> None:
    """A new member takes the next number, acts at once, and counts towards the majority."""
    assert govern(world, GAMMA) is Outcome.EXECUTED
    member = world.state.registry.members["gamma"]
    assert (member.number, member.version, member.since_height) == (3, 1, 1)
    renamed = replace(GAMMA, name="Gamma Bank", expected_version=1)
    assert govern(world, renamed) is Outcome.POLICY_NOT_MET
    assert govern(world, renamed, *MAJORITY, 14) is Outcome.EXECUTED
    member = world.state.registry.members["gamma"]
    assert (member.name, member.number, member.version, member.since_height) == ("Gamma Bank", 3, 2, 1)


def test_set_member_compares_and_sets(world: World) -> None:
    """A new member expects version 0, a known one its present version."""
    assert govern(world, replace(GAMMA, expected_version=1)) is Outcome.VERSION_MISMATCH
    beta = SetMember("beta", "Beta", policy(ADMIN["beta"]), policy(TELLER["beta"]), 0)
    assert govern(world, beta) is Outcome.ALREADY_EXISTS
    assert govern(world, replace(beta, expected_version=2)) is Outcome.VERSION_MISMATCH
    assert govern(world, replace(beta, expected_version=1)) is Outcome.EXECUTED


def test_set_node_registers_and_moves(world: World) -> None:
    """A new node is registered and does not vote yet; later only its address changes."""
    node = SetNode("alpha-2", "alpha", public_key(34), "alpha-2.test:7000", 0)
    assert govern(world, node) is Outcome.EXECUTED
    record = world.state.registry.nodes["alpha-2"]
    assert (record.status, record.version, record.since_height) == (REGISTERED, 1, 1)
    assert govern(world, replace(node, address="new.test:7000", expected_version=1)) is Outcome.EXECUTED
    assert world.state.registry.nodes["alpha-2"].address == "new.test:7000"
    assert world.state.registry.nodes["alpha-1"].status == VOTING


def test_set_node_refusals(world: World) -> None:
    """Version, member, key of another node, own key or member replaced: each has its outcome."""
    new = SetNode("alpha-2", "alpha", public_key(34), "alpha-2.test:7000", 0)
    old = SetNode("alpha-1", "alpha", public_key(NODE["alpha-1"]), "x.test:1", 1)
    cases = [
        (replace(new, expected_version=1), Outcome.VERSION_MISMATCH),
        (replace(new, member="gamma"), Outcome.UNKNOWN_MEMBER),
        (replace(new, key=public_key(NODE["beta-1"])), Outcome.ALREADY_EXISTS),
        (replace(old, expected_version=0), Outcome.ALREADY_EXISTS),
        (replace(old, key=public_key(34)), Outcome.KEY_NOT_REPLACEABLE),
        (replace(old, member="beta"), Outcome.KEY_NOT_REPLACEABLE),
        (old, Outcome.EXECUTED),
    ]
    assert [govern(world, body) for body, _ in cases] == [outcome for _, outcome in cases]


def test_create_asset_opens_an_account_that_can_issue_nothing_yet(world: World) -> None:
    """A new asset's supply is bounded by 0 until its issuer sets a limit."""
    assert govern(world, CreateAsset("XAU", 6, "beta", policy(ISSUANCE))) is Outcome.EXECUTED
    asset = world.state.registry.assets["XAU"]
    issuance = world.account(asset.account)
    assert (asset.scale, asset.issuer, asset.since_height) == (6, "beta", 1)
    assert (issuance.member, issuance.limit, issuance.entry_count) == ("beta", 0, 1)
    holder = world.open("alpha", 51, "XAU")
    issue = Transfer(holder, "XAU", 7)
    assert world.outcome(asset.account, issue, ISSUANCE) is Outcome.INSUFFICIENT_FUNDS
    assert world.outcome("beta", SetLimit(asset.account, 1, 7), ADMIN["beta"]) is Outcome.EXECUTED
    assert world.outcome(asset.account, issue, ISSUANCE) is Outcome.EXECUTED


def test_create_asset_refusals(world: World) -> None:
    """An issuer is a member, and a code is used once."""
    assert govern(world, CreateAsset("XAU", 6, "gamma", policy(1))) is Outcome.UNKNOWN_MEMBER
    assert govern(world, CreateAsset("EUR", 2, "central", policy(1))) is Outcome.ALREADY_EXISTS


SMALLER = replace(DEFAULT_PARAMETERS, block_envelopes=100)


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [
        (LOOK_BACK - 1, Outcome.ACTIVATION_TOO_EARLY),
        (LOOK_BACK, Outcome.EXECUTED),
        (ACTIVATION_HORIZON, Outcome.EXECUTED),
        (ACTIVATION_HORIZON + 1, Outcome.PARAMETER_OUT_OF_RANGE),
    ],
)
def test_set_parameters_activates_neither_too_early_nor_too_late(
    world: World, ahead: int, outcome: Outcome
) -> None:
    """Decided at height 1, an activation lies from 64 to 100,000 blocks ahead."""
    assert govern(world, SetParameters(SMALLER, 1 + ahead, 1)) is outcome


def test_set_parameters_takes_effect_at_its_height(world: World) -> None:
    """Before the height the old values hold, from it on the new ones, and until then an activation waits."""
    assert govern(world, SetParameters(SMALLER, 65, 1)) is Outcome.EXECUTED
    registry = world.state.registry
    assert (registry.parameters_at(64).block_envelopes, registry.parameters_at(65)) == (5_000, SMALLER)
    assert (registry.activation_waits(64), registry.activation_waits(65)) == (True, False)
    assert registry.parameters.version == 2
    assert world.state.scheduled(65, 65).parameters == SMALLER
    assert world.state.scheduled(65, 64).parameters == DEFAULT_PARAMETERS


def test_set_parameters_compares_and_sets(world: World) -> None:
    """The schedule's version counts decisions; an old one is refused."""
    assert govern(world, SetParameters(SMALLER, 100, 0)) is Outcome.VERSION_MISMATCH
    assert govern(world, SetParameters(SMALLER, 100, 1)) is Outcome.EXECUTED
    assert govern(world, SetParameters(SMALLER, 100, 1)) is Outcome.VERSION_MISMATCH


@pytest.mark.parametrize("name", sorted(set(PARAMETER_RANGES) - {"certificate_rule"}))
def test_set_parameters_checks_every_range(world: World, name: str) -> None:
    """The least and the most of each parameter are taken, one beyond is refused."""
    least, most = PARAMETER_RANGES[name]
    outcomes = {
        value: govern(world, SetParameters(replace(DEFAULT_PARAMETERS, **{name: value}), 500, version))
        for value, version in ((least - 1, 1), (most + 1, 1), (least, 1), (most, 2))
    }
    refused = Outcome.PARAMETER_OUT_OF_RANGE
    assert outcomes == {
        least - 1: refused,
        most + 1: refused,
        least: Outcome.EXECUTED,
        most: Outcome.EXECUTED,
    }


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [
        (LOOK_BACK - 1, Outcome.ACTIVATION_TOO_EARLY),
        (LOOK_BACK, Outcome.EXECUTED),
        (ACTIVATION_HORIZON, Outcome.EXECUTED),
        (ACTIVATION_HORIZON + 1, Outcome.PARAMETER_OUT_OF_RANGE),
    ],
)
def test_set_rules_activates_neither_too_early_nor_too_late(
    world: World, ahead: int, outcome: Outcome
) -> None:
    """Decided at height 1, new rules hold from 64 to 100,000 blocks later."""
    assert govern(world, SetRules(2, 1 + ahead, 1)) is outcome


def test_set_rules_takes_effect_at_its_height(world: World) -> None:
    """Before the height the old version is in force, from it on the new one, and an activation waits."""
    assert govern(world, SetRules(2, 65, 1)) is Outcome.EXECUTED
    registry = world.state.registry
    assert (registry.rules_at(64), registry.rules_at(65), registry.rules.version) == (1, 2, 2)
    assert registry.rules_from(2) == ((2, 1), (65, 2))
    assert registry.rules_from(65) == ((65, 2),)
    assert (registry.activation_waits(64), registry.activation_waits(65)) == (True, False)


def test_set_rules_never_goes_back(world: World) -> None:
    """A version is decided once, each above the last, and none for a height before the last one's."""
    assert govern(world, SetRules(1, 100, 1)) is Outcome.RULES_NOT_NEWER
    assert govern(world, SetRules(3, 100, 0)) is Outcome.VERSION_MISMATCH
    assert govern(world, SetRules(3, 100, 1)) is Outcome.EXECUTED
    assert govern(world, SetRules(3, 200, 2)) is Outcome.RULES_NOT_NEWER
    assert govern(world, SetRules(2, 200, 2)) is Outcome.RULES_NOT_NEWER
    assert govern(world, SetRules(4, 99, 2)) is Outcome.ACTIVATION_TOO_EARLY
    assert govern(world, SetRules(4, 100, 2)) is Outcome.EXECUTED
    assert world.state.registry.rules.entries == ((0, 1), (100, 4))
