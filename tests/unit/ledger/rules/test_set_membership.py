"""set_membership: each refusal, the way a decision is carried out, and what it leaves in the registry."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.bodies import Body, SetMember, SetMembership, SetNode, SetParameters
from ledger.certificate import certifiers_hash
from ledger.membership import Decision, Membership
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.records import LEARNER, REGISTERED, RETIRED, VOTING
from ledger.schedule import LOOK_BACK
from ledger.state import State
from tests.unit.ledger.rules.world import ADMIN, NODE, World, genesis, policy, public_key

FOUR = ("alpha", "beta", "central", "delta")
BYZANTINE = replace(DEFAULT_PARAMETERS, certificate_rule=1)


def govern(world: World, body: Body) -> Outcome:
    """The outcome of a governance transaction by the first member, signed by all."""
    members = list(world.state.registry.members)
    return world.outcome(members[0], body, *(ADMIN[name] for name in members))


def decide(world: World, *, add: str = "", voting: bool = False, remove: str = "") -> Outcome:
    """The outcome of a decision at the version that the schedule has."""
    version = world.state.registry.membership_decisions.version
    added, removed = ((add,) if add else ()), ((remove,) if remove else ())
    return govern(world, SetMembership(added, voting, removed, version))


def register(world: World, node: str) -> None:
    """Register a node of the member that its id begins with."""
    member = node.split("-")[0]
    address = f"{node}.test:7000"
    assert govern(world, SetNode(node, member, public_key(NODE[node]), address, 0)) is Outcome.EXECUTED


def carry_out(world: World) -> list[Membership]:
    """Blocks until the newest decision is in force, then one block a step; the memberships on the way."""
    world.blocks_to(world.state.registry.membership_decisions.entries[-1][0] - 1)
    way = []
    while world.make_block((), change=True).header.change:
        world.block(change=True)
        way.append(world.state.registry.membership.membership)
    return way


def status(world: World, node: str) -> int:
    """The status of a node."""
    return world.state.registry.nodes[node].status


@pytest.fixture
def four() -> World:
    """A network of four members, each with a voting node."""
    return World(genesis(FOUR))


def test_a_node_comes_in_learns_and_votes() -> None:
    """Registered, decided, learner, joint, voter: each step a block, the record's version untouched."""
    world = World()
    register(world, "alpha-2")
    assert decide(world, add="alpha-2", voting=True, remove="alpha-1") is Outcome.EXECUTED
    assert status(world, "alpha-2") == REGISTERED
    three = ("alpha-1", "beta-1", "central-1")
    after = ("alpha-2", "beta-1", "central-1")
    assert carry_out(world) == [
        Membership(three, (), ("alpha-2",)),
        Membership(after, three),
        Membership(after, (), ("alpha-1",)),
        Membership(after),
    ]
    assert (status(world, "alpha-2"), status(world, "alpha-1")) == (VOTING, RETIRED)
    assert world.state.registry.nodes["alpha-2"].version == 1
    record = world.state.registry.membership
    assert (record.version, record.changed_height) == (5, 2 + LOOK_BACK + 3)
    assert State.open(world.rows).registry == world.state.registry


def test_statuses_on_the_way() -> None:
    """A learner does not vote; who goes votes until the joint membership is left, then learns once more."""
    world = World()
    register(world, "alpha-2")
    decide(world, add="alpha-2", voting=True, remove="alpha-1")
    world.blocks_to(2 + LOOK_BACK - 1)
    seen = []
    for _ in range(4):
        world.block(change=True)
        seen.append((status(world, "alpha-1"), status(world, "alpha-2")))
    assert seen == [(VOTING, LEARNER), (VOTING, VOTING), (LEARNER, VOTING), (RETIRED, VOTING)]


def test_a_decision_is_in_force_after_the_look_back() -> None:
    """Decided at g, its first step stands at g + 64 at the earliest, and an activation waits until then."""
    world = World()
    register(world, "alpha-2")
    assert decide(world, add="alpha-2") is Outcome.EXECUTED
    registry = world.state.registry
    assert registry.membership_decision_at(2 + LOOK_BACK - 1) == (1, Decision())
    assert registry.membership_decision_at(2 + LOOK_BACK) == (2, Decision(("alpha-2",)))
    assert (registry.activation_waits(65), registry.activation_waits(66)) == (True, False)


def test_certifiers_stay_until_the_joint_membership_is_left() -> None:
    """The outgoing voters certify up to the block that leaves; its seal names those who come after."""
    world = World()
    before = world.state.certifiers
    register(world, "alpha-2")
    decide(world, add="alpha-2", voting=True, remove="alpha-1")
    world.blocks_to(2 + LOOK_BACK - 1)
    named = [world.block(change=True).seal.certifiers_hash for _ in range(4)]
    after = world.state.certifiers
    assert [node.node for node in after.nodes] == ["alpha-2", "beta-1", "central-1"]
    assert named == [certifiers_hash(before)] * 2 + [certifiers_hash(after)] * 2
    registry, left = world.state.registry, 2 + LOOK_BACK + 2
    assert [from_height for from_height, _ in registry.certifiers] == [0, left + 1]
    assert (registry.certifiers_at(left), registry.certifiers_at(left + 1)) == (before, after)


def test_only_one_decision_at_a_time() -> None:
    """From its block until its last step is executed, every other one is refused."""
    world = World()
    register(world, "alpha-2")
    register(world, "beta-2")
    assert decide(world, add="alpha-2") is Outcome.EXECUTED
    assert decide(world, add="beta-2") is Outcome.MEMBERSHIP_CHANGE_PENDING
    world.blocks_to(3 + LOOK_BACK - 1)
    assert decide(world, add="beta-2") is Outcome.MEMBERSHIP_CHANGE_PENDING
    assert world.block(change=True).registry.membership.learners == ("alpha-2",)
    assert decide(world, add="beta-2") is Outcome.EXECUTED


def test_a_decision_can_be_given_up() -> None:
    """Removing what it adds is let through, before it is in force, while it learns, or once it votes."""
    for steps in range(4):
        world = World()
        register(world, "alpha-2")
        decide(world, add="alpha-2", voting=True, remove="alpha-1")
        world.blocks_to(2 + LOOK_BACK - 1 if steps else 2)
        for _ in range(steps):
            world.block(change=True)
        assert decide(world, remove="beta-1") is Outcome.MEMBERSHIP_CHANGE_PENDING
        assert decide(world, add="delta-1", remove="alpha-2") is Outcome.MEMBERSHIP_CHANGE_PENDING
        assert decide(world, remove="alpha-2") is Outcome.EXECUTED
        carry_out(world)
        assert status(world, "alpha-2") == (RETIRED if steps else REGISTERED)
        voting = world.state.registry.membership.voters
        assert voting == (("alpha-1", "beta-1", "central-1") if steps < 2 else ("beta-1", "central-1"))
        assert not world.state.registry.membership_pending(world.state.progress.height + 1)


def test_a_removal_can_be_taken_back_before_it_begins() -> None:
    """Before it is in force or while it waits: nobody leaves, and the next decision may be taken."""
    for height in (2, 2 + LOOK_BACK):
        world = World()
        assert decide(world, remove="central-1") is Outcome.EXECUTED
        world.blocks_to(height)
        assert decide(world, remove="beta-1") is Outcome.MEMBERSHIP_CHANGE_PENDING
        assert decide(world) is Outcome.EXECUTED
        assert decide(world) is Outcome.MEMBERSHIP_CHANGE_PENDING
        world.blocks_to(height + 1 + LOOK_BACK)
        assert carry_out(world) == []
        assert decide(world) is Outcome.NO_MEMBERSHIP_CHANGE_PENDING
        assert status(world, "central-1") == VOTING
        assert world.state.registry.membership_decisions.version == 3
        assert world.state.registry.recoveries == {}
        assert decide(world, remove="central-1") is Outcome.EXECUTED


def test_a_removal_that_has_begun_is_not_taken_back() -> None:
    """While both halves vote it is refused; who has become a learner stays one, and may vote again."""
    world = World()
    decide(world, remove="central-1")
    world.blocks_to(1 + LOOK_BACK - 1)
    world.block(change=True)
    assert decide(world) is Outcome.MEMBERSHIP_CHANGE_PENDING
    world.block(change=True)
    assert decide(world) is Outcome.EXECUTED
    world.blocks_to(world.state.progress.height + LOOK_BACK)
    assert world.state.registry.membership.learners == ("central-1",)
    assert decide(world, add="central-1", voting=True) is Outcome.EXECUTED


def test_who_was_to_replace_the_only_voter_stays_once_it_votes() -> None:
    """Given up too late, the decision leaves the newcomer: somebody must vote."""
    world = World(genesis(("central",)))
    register(world, "central-2")
    decide(world, add="central-2", voting=True, remove="central-1")
    world.blocks_to(2 + LOOK_BACK - 1)
    for _ in range(2):
        world.block(change=True)
    assert decide(world, remove="central-2") is Outcome.EXECUTED
    assert carry_out(world) == [Membership(("central-2",), (), ("central-1",))]
    assert decide(world, remove="central-1") is Outcome.EXECUTED


def test_refusals_of_what_is_added() -> None:
    """Unknown, there already as asked, or a member's second vote."""
    world = World()
    register(world, "alpha-2")
    assert decide(world, add="gamma-1") is Outcome.UNKNOWN_NODE
    assert decide(world, add="alpha-1") is Outcome.NODE_IN_MEMBERSHIP
    assert decide(world, add="alpha-1", voting=True) is Outcome.NODE_IN_MEMBERSHIP
    assert decide(world, add="alpha-2", voting=True) is Outcome.MEMBER_HAS_VOTING_NODE
    assert decide(world, add="alpha-2", voting=True, remove="beta-1") is Outcome.MEMBER_HAS_VOTING_NODE
    assert decide(world, add="alpha-2") is Outcome.EXECUTED
    carry_out(world)
    assert decide(world, add="alpha-2") is Outcome.NODE_IN_MEMBERSHIP
    assert decide(world, add="alpha-2", voting=True, remove="alpha-1") is Outcome.EXECUTED


def test_an_id_is_never_used_twice() -> None:
    """Who has left does not come back, and its key is never anybody else's."""
    world = World()
    assert decide(world, remove="central-1") is Outcome.EXECUTED
    carry_out(world)
    assert status(world, "central-1") == RETIRED
    assert decide(world, add="central-1", voting=True) is Outcome.NODE_RETIRED
    assert decide(world, remove="central-1") is Outcome.NODE_NOT_IN_MEMBERSHIP
    again = SetNode("central-2", "central", public_key(NODE["central-1"]), "central-2.test:7000", 0)
    assert govern(world, again) is Outcome.ALREADY_EXISTS


def test_refusals_of_what_is_removed() -> None:
    """Who isn't in it, registered or not, and the last voter."""
    world = World(genesis(("central",)))
    register(world, "central-2")
    assert decide(world, remove="central-2") is Outcome.NODE_NOT_IN_MEMBERSHIP
    assert decide(world, remove="gamma-1") is Outcome.NODE_NOT_IN_MEMBERSHIP
    assert decide(world, remove="central-1") is Outcome.TOO_FEW_VOTERS
    assert decide(world, add="central-2", remove="central-1") is Outcome.TOO_FEW_VOTERS
    assert decide(world, add="central-2", voting=True, remove="central-1") is Outcome.EXECUTED


def test_the_version_is_compared_first() -> None:
    """The schedule's version counts decisions; another one than the present is refused."""
    world = World()
    for version in (0, 2):
        refused = SetMembership((), False, ("gamma-1",), version)
        assert govern(world, refused) is Outcome.VERSION_MISMATCH


def test_governance_signs(four: World) -> None:
    """Two of four members are not more than half."""
    body = SetMembership((), False, ("delta-1",), 1)
    assert four.outcome("alpha", body, ADMIN["alpha"], ADMIN["beta"]) is Outcome.POLICY_NOT_MET
    assert four.outcome("alpha", body, *list(ADMIN.values())[:3]) is Outcome.EXECUTED


def test_byzantine_rule_takes_four_voters(four: World) -> None:
    """Chosen with four it changes the quorum from its height on, and keeps the fourth from leaving."""
    assert govern(World(), SetParameters(BYZANTINE, 100, 1)) is Outcome.TOO_FEW_VOTERS
    assert govern(four, SetParameters(BYZANTINE, 70, 1)) is Outcome.EXECUTED
    assert decide(four, remove="delta-1") is Outcome.TOO_FEW_VOTERS
    four.blocks_to(68)
    assert four.state.certifiers.certificate_rule == 0
    seal = four.block().seal
    assert seal.certifiers_hash == certifiers_hash(four.state.certifiers)
    assert (four.state.certifiers.certificate_rule, four.state.certifiers.quorum()) == (1, 3)
    assert decide(four, remove="delta-1") is Outcome.TOO_FEW_VOTERS
    assert govern(four, SetParameters(DEFAULT_PARAMETERS, 140, 2)) is Outcome.EXECUTED
    four.blocks_to(139)
    assert decide(four, remove="delta-1") is Outcome.EXECUTED


def test_byzantine_rule_waits_for_a_change_under_way(four: World) -> None:
    """Who will certify isn't known meanwhile; the rule of the majority may come back."""
    assert decide(four, remove="delta-1") is Outcome.EXECUTED
    assert govern(four, SetParameters(BYZANTINE, 500, 1)) is Outcome.MEMBERSHIP_CHANGE_PENDING
    assert govern(four, SetParameters(DEFAULT_PARAMETERS, 500, 1)) is Outcome.EXECUTED


def test_giving_up_under_the_byzantine_rule_may_leave_too_few(four: World) -> None:
    """A replacement of one of four, given up at the worst moment, would leave three."""
    register(four, "beta-2")
    assert govern(four, SetParameters(BYZANTINE, 70, 1)) is Outcome.EXECUTED
    assert decide(four, add="beta-2", voting=True, remove="beta-1") is Outcome.EXECUTED
    assert decide(four, remove="beta-2") is Outcome.TOO_FEW_VOTERS


def test_a_new_members_node_comes_in() -> None:
    """A bank joins, registers its node, and votes."""
    world = World()
    assert govern(world, SetMember("delta", "Bank delta", policy(14), policy(24), 0)) is Outcome.EXECUTED
    register(world, "delta-1")
    assert decide(world, add="delta-1", voting=True) is Outcome.EXECUTED
    assert carry_out(world)[-1] == Membership(("alpha-1", "beta-1", "central-1", "delta-1"))
    assert world.state.certifiers.quorum() == 3
