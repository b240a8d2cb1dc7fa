"""Which membership may follow which, and what a log remembers of its memberships. Must not need a core."""

from itertools import product

import pytest

from consensus.errors import IllegalMembership, InvariantBroken
from consensus.membership import (
    MembershipAt,
    Memberships,
    check_step,
    decode_membership,
    encode_membership,
)
from consensus.messages import Membership
from consensus.quorum import has_quorum

NODES = "abc"
SMALL = Membership(("a", "b", "c"))
WITH_LEARNERS = Membership(("a", "b", "c"), learners=("d", "e"))
JOINT = Membership(("b", "c", "d"), outgoing=("a", "b", "c"), learners=("e",))
LEFT = Membership(("b", "c", "d"), learners=("a", "e"))

PARTS = ("", "v", "o", "vo", "l", "ol")
"""What a node can be in a membership: of its voters, its outgoing ones, its learners."""


@pytest.mark.parametrize(
    ("current", "proposed"),
    [
        (SMALL, Membership(("a", "b", "c"), learners=("d",))),
        (WITH_LEARNERS, Membership(("a", "b", "c"), learners=("d",))),
        (WITH_LEARNERS, Membership(("a", "b", "c", "d"), outgoing=("a", "b", "c"), learners=("e",))),
        (WITH_LEARNERS, JOINT),
        (JOINT, LEFT),
        (LEFT, Membership(("b", "c", "d"), learners=("e",))),
        (Membership(("a",), learners=("b",)), Membership(("b",), outgoing=("a",))),
    ],
)
def test_legal_steps(current: Membership, proposed: Membership) -> None:
    """Learners come and go; voters change through a joint membership, as many at once as one likes."""
    check_step(current, proposed)


@pytest.mark.parametrize(
    ("current", "proposed", "reason"),
    [
        (SMALL, SMALL, "in force already"),
        (SMALL, Membership(("a", "b")), "only through a joint"),
        (WITH_LEARNERS, Membership(("a", "b", "c", "d"), learners=("e",)), "only through a joint"),
        (SMALL, Membership(("a", "b", "c", "d"), outgoing=("a", "b", "c")), "d must be a learner first"),
        (SMALL, Membership(("a", "b"), outgoing=("a", "b")), "those in force before it"),
        (WITH_LEARNERS, Membership(("a", "b", "c", "d"), outgoing=("a", "b", "c")), "nobody comes or goes"),
        (SMALL, Membership((), outgoing=("a", "b", "c")), "no voter would be left"),
        (SMALL, Membership(()), "no voter would be left"),
        (SMALL, Membership(("a", "b", "c"), learners=("c",)), "c would be voter and learner"),
        (SMALL, Membership(("a", "b", "c"), learners=("d", "d")), "stands in it twice"),
        (SMALL, Membership(("a", "b", "c", "c")), "stands in it twice"),
        (JOINT, WITH_LEARNERS, "is left first"),
        (JOINT, Membership(("b", "c"), outgoing=("a", "b", "c"), learners=("d", "e")), "is left first"),
        (JOINT, Membership(("b", "c", "d"), outgoing=("a", "b", "c")), "is left first"),
        (JOINT, Membership(("b", "c", "d"), learners=("e",)), "nobody comes or goes"),
        (JOINT, Membership(("b", "c", "d"), learners=("a", "e", "f")), "nobody comes or goes"),
    ],
)
def test_illegal_steps(current: Membership, proposed: Membership, reason: str) -> None:
    """Each is refused, and says why."""
    with pytest.raises(IllegalMembership, match=reason):
        check_step(current, proposed)


def memberships() -> list[Membership]:
    """Every membership of these nodes."""
    return [
        Membership(
            *(tuple(node for node, part in zip(NODES, parts, strict=True) if of in part) for of in "vol")
        )
        for parts in product(PARTS, repeat=len(NODES))
    ]


def is_allowed(current: Membership, proposed: Membership) -> bool:
    """Whether the one may follow the other."""
    try:
        check_step(current, proposed)
    except IllegalMembership:
        return False
    return True


def test_quorums_before_and_after_a_step_overlap() -> None:
    """Whatever step is allowed: no two quorums, one of each side of it, are without a common node."""
    steps = [pair for pair in product(memberships(), repeat=2) if is_allowed(*pair)]
    assert {(bool(old.outgoing), bool(new.outgoing)) for old, new in steps} == {
        (False, False),
        (False, True),
        (True, False),
    }
    for current, proposed in steps:
        for mask in range(1 << len(NODES)):
            nodes = {node for place, node in enumerate(NODES) if mask >> place & 1}
            assert not (has_quorum(current, nodes) and has_quorum(proposed, set(NODES) - nodes))


def test_the_newest_membership_counts_and_a_cut_takes_it_back() -> None:
    """What an entry said is gone with it, and what was in force before it holds again."""
    known = Memberships((MembershipAt(3, SMALL), MembershipAt(7, WITH_LEARNERS)))
    known.add([MembershipAt(9, JOINT)])
    assert (known.newest, known.oldest) == (MembershipAt(9, JOINT), MembershipAt(3, SMALL))
    assert [known.at(index) for index in (3, 6, 7, 8, 9, 99)] == [
        SMALL,
        SMALL,
        *[WITH_LEARNERS] * 2,
        JOINT,
        JOINT,
    ]
    known.cut(10)
    assert known.newest.membership == JOINT
    known.cut(9)
    assert known.newest == MembershipAt(7, WITH_LEARNERS)


def test_a_snapshot_leaves_only_its_own_membership() -> None:
    """Also where a later entry of the old log said something else."""
    known = Memberships((MembershipAt(3, SMALL), MembershipAt(20, WITH_LEARNERS)))
    known.restart(9, JOINT)
    assert known.newest == known.oldest == MembershipAt(9, JOINT)


def test_a_membership_before_the_oldest_is_not_guessed() -> None:
    """It is an error to ask for it."""
    with pytest.raises(InvariantBroken, match="the membership at 2 is no longer known, only from 3"):
        Memberships((MembershipAt(3, SMALL),)).at(2)


@pytest.mark.parametrize("indexes", [(), (4, 4), (5, 4)])
def test_stored_memberships_ascend(indexes: tuple[int, ...]) -> None:
    """A storage that says otherwise is broken."""
    with pytest.raises(InvariantBroken, match="stored memberships"):
        Memberships(tuple(MembershipAt(index, SMALL) for index in indexes))


def test_the_plain_form_brings_a_membership_back() -> None:
    """Encoded and decoded each is the same."""
    each = memberships()
    assert [decode_membership(encode_membership(membership)) for membership in each] == each
    assert len(each) == len(PARTS) ** len(NODES)


def test_other_bytes_are_no_membership() -> None:
    """They are refused as a broken invariant: a leader checks what it appends."""
    with pytest.raises(InvariantBroken, match="is none"):
        decode_membership(b"x")
