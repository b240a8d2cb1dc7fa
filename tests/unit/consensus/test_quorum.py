"""Majorities and joint majorities, against brute force. Must not need a running core."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.messages import Membership
from consensus.quorum import VoteResult, committed_index, has_quorum, majority, vote_result

NODES = ("a", "b", "c", "d", "e", "f")
node_sets = st.sets(st.sampled_from(NODES), min_size=1).map(lambda nodes: tuple(sorted(nodes)))
memberships = st.builds(Membership, voters=node_sets, outgoing=st.one_of(st.just(()), node_sets))


def _agree(membership: Membership, nodes: set[str]) -> bool:
    """The dumb twin: more than half of each set."""
    sets = [membership.voters, *([membership.outgoing] if membership.outgoing else [])]
    return all(2 * len(nodes & set(voters)) > len(voters) for voters in sets)


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_majority(size: int, needed: int) -> None:
    """More than half, never exactly half."""
    assert majority(size) == needed


@given(memberships)
def test_any_two_quorums_overlap_in_both_sets(membership: Membership) -> None:
    """Two quorums of one membership share a voter of each of its sets."""
    everybody = membership.all_nodes()
    subsets = [set(c) for size in range(len(everybody) + 1) for c in combinations(everybody, size)]
    quorums = [nodes for nodes in subsets if has_quorum(membership, nodes)]
    for one in quorums:
        for other in quorums:
            assert one & other & set(membership.voters)
            assert not membership.outgoing or one & other & set(membership.outgoing)


@given(memberships, st.dictionaries(st.sampled_from(NODES), st.integers(0, 9)))
def test_committed_index_is_the_highest_that_a_quorum_holds(
    membership: Membership, match: dict[str, int]
) -> None:
    """Compared with trying every index."""
    found = committed_index(membership, lambda node: match.get(node, 0))
    held = [i for i in range(10) if _agree(membership, {n for n in NODES if match.get(n, 0) >= i})]
    assert found == max(held)


@given(memberships, st.dictionaries(st.sampled_from(NODES), st.booleans()))
def test_vote_result(membership: Membership, votes: dict[str, bool]) -> None:
    """Won with a quorum of grants; lost once all open answers together couldn't win."""
    granted = {node for node, vote in votes.items() if vote}
    possible = {node for node in NODES if votes.get(node, True)}
    expected = VoteResult.WON if _agree(membership, granted) else VoteResult.PENDING
    if not _agree(membership, possible):
        expected = VoteResult.LOST
    assert vote_result(membership, votes) is expected


def test_learners_do_not_count() -> None:
    """Neither for commitment nor in elections."""
    membership = Membership(("a", "b", "c"), learners=("d", "e"))
    assert not has_quorum(membership, {"a", "d", "e"})
    assert committed_index(membership, {"a": 1, "b": 0, "c": 0, "d": 9, "e": 9}.__getitem__) == 0


def test_nobody_agrees_without_voters() -> None:
    """A membership without voters commits nothing."""
    assert committed_index(Membership(()), lambda node: 9) == 0
    assert not has_quorum(Membership(()), {"a"})
