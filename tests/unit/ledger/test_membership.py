"""The steps of a membership change: each decision's way from start to end, and where it ends early."""

import pytest

from ledger.membership import Change, Decision, Membership, is_finished, next_change, next_membership

THREE = Membership(("a", "b", "c"))


def _way(start: Membership, decision: Decision) -> list[Membership]:
    way = [start]
    while (following := next_membership(way[-1], decision)) is not None:
        way.append(following)
        if len(way) > 10:
            raise AssertionError(f"{decision} never ends: {way}")
    return way[1:]


@pytest.mark.parametrize(
    ("start", "decision", "way"),
    [
        (THREE, Decision(), []),
        (THREE, Decision(("d",)), [Membership(("a", "b", "c"), (), ("d",))]),
        (
            THREE,
            Decision(("d",), True),
            [
                Membership(("a", "b", "c"), (), ("d",)),
                Membership(("a", "b", "c", "d"), ("a", "b", "c")),
                Membership(("a", "b", "c", "d")),
            ],
        ),
        (
            THREE,
            Decision((), False, ("b",)),
            [
                Membership(("a", "c"), ("a", "b", "c")),
                Membership(("a", "c"), (), ("b",)),
                Membership(("a", "c")),
            ],
        ),
        (
            THREE,
            Decision(("d",), True, ("a",)),
            [
                Membership(("a", "b", "c"), (), ("d",)),
                Membership(("b", "c", "d"), ("a", "b", "c")),
                Membership(("b", "c", "d"), (), ("a",)),
                Membership(("b", "c", "d")),
            ],
        ),
        (Membership(("a",), (), ("b",)), Decision((), False, ("b",)), [Membership(("a",))]),
        (Membership(("a",), (), ("b",)), Decision(("b",), False), []),
        (
            Membership(("a",), (), ("b", "c")),
            Decision(("b",), True),
            [Membership(("a", "b"), ("a",), ("c",)), Membership(("a", "b"), (), ("c",))],
        ),
    ],
)
def test_each_decision_has_one_way(start: Membership, decision: Decision, way: list[Membership]) -> None:
    """Learner, joint, leave, retire, as far as the decision asks for; then it is finished."""
    assert _way(start, decision) == way
    assert is_finished(way[-1] if way else start, decision)


def test_the_only_voter_never_leaves() -> None:
    """A decision to remove it, which no rule should let pass, ends where it would leave nobody."""
    assert _way(Membership(("a",)), Decision((), False, ("a",))) == []
    assert _way(Membership(("a",)), Decision(("b",), False, ("a",))) == [Membership(("a",), (), ("b",))]


def test_a_decision_given_up_while_joint_still_leaves_first() -> None:
    """Whatever is decided, a joint membership is left before anything else happens."""
    joint = Membership(("a", "b", "d"), ("a", "b", "c"))
    assert next_membership(joint, Decision((), False, ("d",))) == Membership(("a", "b", "d"), (), ("c",))
    assert not is_finished(joint, Decision())


def test_a_change_carries_the_decisions_version() -> None:
    """The header names the decision that the step follows, and the whole membership after it."""
    change = next_change(THREE, (7, Decision(("d",))))
    assert change == Change(7, ("a", "b", "c"), (), ("d",))
    assert change is not None
    assert change.membership == Membership(("a", "b", "c"), (), ("d",))
    assert next_change(THREE, (7, Decision())) is None


def test_who_is_in_it_votes_and_certifies() -> None:
    """While joint, both sets vote and the outgoing one certifies; learners do neither."""
    joint = Membership(("a", "d"), ("a", "b"), ("e",))
    assert joint.nodes == ("a", "b", "d", "e")
    assert [node for node in joint.nodes if joint.votes(node)] == ["a", "b", "d"]
    assert ("e" in joint, "f" in joint) == (True, False)
    assert joint.certifiers == ("a", "b")
    assert THREE.certifiers == ("a", "b", "c")
