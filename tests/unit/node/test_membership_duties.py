"""When a leader takes the next step of a membership change: not before it is wise, at each boundary."""

from dataclasses import replace

import msgspec
import pytest

from consensus.messages import Membership as RaftMembership
from consensus.progress import PeerStatus, ProgressState
from consensus.raft import Role, Status
from ledger.block import Parent, Scheduled
from ledger.membership import Decision, Membership
from ledger.parameters import DEFAULT_PARAMETERS, CertificateRule
from node.membership import CAUGHT_UP_BLOCKS, Situation, must_hand_over, raft_membership, step_due

OLD = Membership(("a", "b", "c"))
LEARNING = Membership(("a", "b", "c"), (), ("d",))
JOINT = Membership(("b", "c", "d"), ("a", "b", "c"))
LEFT = Membership(("b", "c", "d"), (), ("a",))
NEW = Membership(("b", "c", "d"))
REPLACE = Decision(("d",), True, ("a",))
CHANGED, LAST = 100, 150
"""The heights of the last change and of the log's end."""


def situation(
    membership: Membership,
    leader: str = "b",
    certified: int = CHANGED,
    commit: int = CHANGED,
    match: int = LAST,
    silent: str = "",
    decision: Decision = REPLACE,
    rule: int = CertificateRule.MAJORITY,
) -> Situation:
    """`leader` leads after the change to `membership` at CHANGED; d has the log up to `match`, and the nodes
    named in `silent` don't answer.
    """
    peers = tuple(
        PeerStatus(
            id=node,
            state=ProgressState.REPLICATE,
            match=match if node == "d" else LAST,
            next=LAST + 1,
            in_flight=0,
            recently_active=node not in silent,
            learner=False,
        )
        for node in membership.nodes
        if node != leader
    )
    known = raft_membership(membership)
    raft = Status(
        leader, Role.LEADER, 3, leader, leader, 1, LAST, LAST, commit, LAST, 0, None, known, CHANGED, peers
    )
    parent = Parent(bytes(32), LAST, 3, 0, 0, membership, 2)
    parameters = msgspec.structs.replace(DEFAULT_PARAMETERS, certificate_rule=rule)
    scheduled = Scheduled(bytes(32), parameters, 1, (2, decision), {})
    return Situation(raft, parent, scheduled, certified)


def following(found: Situation) -> Membership | None:
    """The membership that the next block should put in force."""
    change = step_due(found)
    return None if change is None else change.membership


@pytest.mark.parametrize(
    ("current", "wanted"), [(OLD, LEARNING), (LEARNING, JOINT), (JOINT, LEFT), (LEFT, NEW), (NEW, None)]
)
def test_a_replacement_goes_its_way(current: Membership, wanted: Membership | None) -> None:
    """Learner, joint, left, dropped, and then nothing more."""
    assert following(situation(current)) == wanted


@pytest.mark.parametrize("current", [OLD, LEARNING, JOINT, LEFT])
def test_the_last_step_is_committed_first(current: Membership) -> None:
    """Whatever comes next waits for that."""
    assert following(situation(current, commit=CHANGED - 1)) is None


@pytest.mark.parametrize(("behind", "due"), [(CAUGHT_UP_BLOCKS, True), (CAUGHT_UP_BLOCKS + 1, False)])
def test_a_learner_votes_once_it_has_caught_up(behind: int, due: bool) -> None:
    """Else the cluster would wait for it with every block."""
    assert (following(situation(LEARNING, match=LAST - behind)) == JOINT) is due


def test_a_learner_that_is_silent_does_not_vote() -> None:
    """It has the log, and hasn't answered since the last check."""
    assert following(situation(LEARNING, silent="d")) is None


@pytest.mark.parametrize(("silent", "due"), [("", True), ("b", True), ("c", False), ("bc", False)])
def test_a_removal_waits_for_those_who_stay(silent: str, due: bool) -> None:
    """Where c is silent too, a joint membership of a and c would never decide anything again."""
    found = situation(OLD, leader="a", silent=silent, decision=Decision((), False, ("b",)))
    assert following(found) == (Membership(("a", "c"), ("a", "b", "c")) if due else None)


FIVE = Membership(("a", "b", "c", "d", "e"))


@pytest.mark.parametrize(
    ("rule", "silent", "due"),
    [
        (CertificateRule.MAJORITY, "d", True),
        (CertificateRule.MAJORITY, "de", True),
        (CertificateRule.MAJORITY, "cd", False),
        (CertificateRule.MAJORITY, "cde", False),
        (CertificateRule.BYZANTINE, "e", True),
        (CertificateRule.BYZANTINE, "de", False),
    ],
)
def test_a_joint_membership_begins_only_where_it_can_be_certified(rule: int, silent: str, due: bool) -> None:
    """By the old voters and by the new, under the rule in force: else it is never left again."""
    found = situation(FIVE, leader="a", silent=silent, decision=Decision((), False, ("e",)), rule=rule)
    joint = Membership(("a", "b", "c", "d"), FIVE.voters)
    assert following(found) == (joint if due else None)


def test_too_few_voters_for_the_rule_begin_nothing() -> None:
    """Three can't certify under the byzantine rule, whoever is present."""
    decision = Decision((), False, ("a",))
    assert following(situation(OLD, decision=decision, rule=CertificateRule.BYZANTINE)) is None


@pytest.mark.parametrize(("silent", "due"), [("", True), ("a", True), ("ac", False)])
def test_a_joint_membership_is_left_only_with_the_old_certifiers_there(silent: str, due: bool) -> None:
    """They alone certify the block that leaves it."""
    assert (following(situation(JOINT, silent=silent)) == LEFT) is due


@pytest.mark.parametrize("current", [JOINT, LEFT])
def test_who_certifies_is_settled_before_the_old_certifiers_go(current: Membership) -> None:
    """A joint membership is left, and who was let go is dropped, only when the step before is certified."""
    assert following(situation(current, certified=CHANGED - 1)) is None


def test_a_learner_is_taken_in_without_waiting_for_certificates() -> None:
    """It changes nobody's vote."""
    assert following(situation(OLD, certified=0)) == LEARNING


def test_a_leader_that_is_let_go_leaves_the_end_to_another() -> None:
    """It hands leadership over once the joint membership is committed, and not again meanwhile."""
    found = situation(JOINT, leader="a")
    assert following(found) is None
    assert must_hand_over(found.raft)
    assert not must_hand_over(replace(found.raft, commit=CHANGED - 1))
    assert not must_hand_over(replace(found.raft, transferee="b"))
    assert not must_hand_over(situation(JOINT).raft)
    assert not must_hand_over(replace(found.raft, membership=RaftMembership(("a", "b"))))
