"""Merkle trees: against a recursive twin at every size, and proofs that prove nothing else."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofInvalid,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

SIZES = range(71)
HASHES = [leaf_hash(number.to_bytes(2, "big")) for number in range(71)]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word, over leaf hashes."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 6962, 2.1.1, word for word."""
    if len(leaves) <= 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(leaves[:split], index), naive_root(leaves[split:])]
    return [*naive_path(leaves[split:], index - split), naive_root(leaves[:split])]


def test_known_answer_of_certificate_transparency() -> None:
    """The eight leaves, and their root, with which RFC 6962 implementations are commonly tested."""
    leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    assert root(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", SIZES)
def test_roots_are_those_of_the_twin(size: int) -> None:
    """Level by level gives what the recursion gives."""
    assert root(HASHES[:size]) == naive_root(HASHES[:size])


@pytest.mark.parametrize("size", range(1, 71))
def test_every_leaf_has_its_proof(size: int) -> None:
    """Every path is the twin's, and verifies for its own place only."""
    leaves = HASHES[:size]
    head = root(leaves)
    for index in range(size):
        path = inclusion_proof(leaves, index)
        assert list(path) == naive_path(leaves, index)
        verify_inclusion(leaves[index], index, size, path, head)
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaf_hash(b"another"), index, size, path, head)


@given(st.integers(2, 70), st.data())
def test_altered_inclusion_proofs_are_refused(size: int, data: st.DataObject) -> None:
    """Another index, a shorter, longer or changed path proves nothing."""
    index = data.draw(st.integers(0, size - 1))
    leaves = HASHES[:size]
    path, head = inclusion_proof(leaves, index), root(leaves)
    place = data.draw(st.integers(0, len(path) - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index))
    changed = (*path[:place], leaf_hash(b"x"), *path[place + 1 :])
    for at, proof in ((index, path[:-1]), (index, (*path, head)), (index, changed), (other, path)):
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaves[index], at, size, proof, head)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (3, 3)])
def test_places_outside_the_tree_are_refused(index: int, size: int) -> None:
    """No leaf stands there, and none has a proof."""
    with pytest.raises(ProofInvalid, match="can't stand"):
        verify_inclusion(HASHES[0], index, size, (), HASHES[0])
    with pytest.raises(IndexError):
        inclusion_proof(HASHES[:size], index)


@pytest.mark.parametrize("size", range(1, 71))
def test_every_beginning_is_consistent(size: int) -> None:
    """Every older tree is proved to be the beginning, and no other root passes."""
    new = root(HASHES[:size])
    for old_size in range(size + 1):
        proof = consistency_proof(HASHES[:size], old_size)
        old = root(HASHES[:old_size])
        verify_consistency(old_size, old, size, new, proof)
        with pytest.raises(ProofInvalid):
            verify_consistency(old_size, leaf_hash(b"x"), size, new, proof)
        if old_size not in (0, size):
            with pytest.raises(ProofInvalid):
                verify_consistency(old_size, old, size, leaf_hash(b"x"), proof)


@given(st.integers(2, 70), st.data())
def test_altered_consistency_proofs_are_refused(size: int, data: st.DataObject) -> None:
    """A shorter, longer or changed proof proves nothing."""
    old_size = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(HASHES[:size], old_size)
    old, new = root(HASHES[:old_size]), root(HASHES[:size])
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = (*proof[:place], leaf_hash(b"x"), *proof[place + 1 :])
    for wrong in (proof[:-1], (*proof, new), changed):
        with pytest.raises(ProofInvalid):
            verify_consistency(old_size, old, size, new, wrong)


def test_consistency_of_impossible_sizes_is_refused() -> None:
    """A larger tree is no beginning of a smaller one."""
    with pytest.raises(ProofInvalid, match="no beginning"):
        verify_consistency(3, HASHES[0], 2, HASHES[0], ())
    with pytest.raises(ProofInvalid):
        verify_consistency(0, EMPTY_ROOT, 3, root(HASHES[:3]), (HASHES[0],))
    with pytest.raises(IndexError):
        consistency_proof(HASHES[:2], 3)


@given(st.lists(st.integers(0, 9), max_size=8))
def test_frontier_grows_as_the_tree_does(batches: list[int]) -> None:
    """In whatever batches leaves are appended, the root is that of the whole tree."""
    frontier, size = Frontier(), 0
    for batch in batches:
        frontier = frontier.append(HASHES[size % 60 : size % 60 + batch])
        size += batch
        assert frontier.size == size
    leaves: list[bytes] = []
    for batch in batches:
        leaves += HASHES[len(leaves) % 60 : len(leaves) % 60 + batch]
    assert frontier.root() == naive_root(leaves)
    assert len(frontier.peaks) == size.bit_count()


def test_node_hash_is_tagged() -> None:
    """A node can't be taken for a leaf."""
    assert node_hash(HASHES[0], HASHES[1]) != leaf_hash(HASHES[0] + HASHES[1])
