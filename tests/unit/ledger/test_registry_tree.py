"""The registry tree against a naive recursive twin, and its proofs of presence and absence."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import registry_tree
from ledger.merkle import ProofInvalid
from ledger.registry_tree import RegistryProof, TreeCorrupted, nibbles, verify_absence, verify_presence


def digest(data: bytes) -> bytes:
    """SHA-256."""
    return sha256(data).digest()


def naive_root(leaves: Mapping[bytes, bytes]) -> bytes:
    """The registry root straight from its definition."""
    return naive_node(leaves, 0)


def naive_node(leaves: Mapping[bytes, bytes], depth: int) -> bytes:
    """The node over these leaves, all alike in their first `depth` nibbles."""
    slots = []
    for nibble in range(16):
        below = {k: v for k, v in leaves.items() if nibbles(k)[depth] == nibble}
        if not below:
            slots.append(bytes(32))
        elif len(below) == 1:
            ((k, v),) = below.items()
            slots.append(digest(b"\x00" + k + v))
        else:
            slots.append(naive_node(below, depth + 1))
    return digest(b"\x01" + b"".join(slots))


class Tree:
    """A registry tree with its rows in a dict."""

    def __init__(self) -> None:
        """Begin empty."""
        self.rows: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}

    def put(self, leaves: Mapping[bytes, bytes]) -> bytes:
        """Put leaves as one block does, and give the root."""
        update = registry_tree.update(self.rows.get, leaves)
        self.rows.update(update.nodes)
        self.leaves.update(leaves)
        return update.root


def collide(start: bytes, number: int) -> bytes:
    """A key hash that begins with these bytes."""
    return start + digest(number.to_bytes(4, "big"))[len(start) :]


KEY_HASHES = st.builds(
    collide, st.sampled_from([b"", b"\x00", b"\x01\x02", b"\x01\x02\x03\x04"]), st.integers(0, 30)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(KEY_HASHES, st.binary(max_size=3).map(digest), max_size=6), max_size=5))
def test_updates_agree_with_the_naive_tree(blocks: list[dict[bytes, bytes]]) -> None:
    """However keys are added and changed, the root is that of the naive tree, and so is the stored one."""
    tree = Tree()
    for leaves in blocks:
        assert tree.put(leaves) == naive_root(tree.leaves)
        assert registry_tree.root(tree.rows.get) == naive_root(tree.leaves)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEY_HASHES, st.binary(max_size=3), max_size=12), KEY_HASHES)
def test_presence_and_absence_are_provable(values: dict[bytes, bytes], asked: bytes) -> None:
    """Each key's value is proved, and every key that is not there is proved to be absent."""
    tree = Tree()
    root = tree.put({key: digest(value) for key, value in values.items()})
    for key, value in values.items():
        verify_presence(key, value, registry_tree.prove(tree.rows.get, key), root)
    proof = registry_tree.prove(tree.rows.get, asked)
    if asked in values:
        with pytest.raises(ProofInvalid):
            verify_absence(asked, proof, root)
    else:
        verify_absence(asked, proof, root)
        with pytest.raises(ProofInvalid):
            verify_presence(asked, b"", proof, root)


def test_empty_tree_is_a_root_of_empty_slots() -> None:
    """A tree without keys has a root node, and any key's absence is provable in it."""
    rows: dict[bytes, bytes] = {}
    root = registry_tree.update(rows.get, {}).root
    assert root == digest(b"\x01" + bytes(512)) == registry_tree.empty_root()
    verify_absence(digest(b"x"), registry_tree.prove(rows.get, digest(b"x")), root)


def test_keys_alike_in_all_but_the_last_nibble_are_kept_apart() -> None:
    """The deepest possible path, 64 nodes, is built and proved."""
    near = bytes(31)
    tree = Tree()
    root = tree.put({near + b"\x00": digest(b"a"), near + b"\x01": digest(b"b")})
    proof = registry_tree.prove(tree.rows.get, near + b"\x01")
    assert len(proof.nodes) == registry_tree.MAX_DEPTH
    verify_presence(near + b"\x01", b"b", proof, root)
    verify_absence(near + b"\x02", registry_tree.prove(tree.rows.get, near + b"\x02"), root)
    with pytest.raises(ProofInvalid, match="1 to 64"):
        verify_presence(near + b"\x01", b"b", RegistryProof((*proof.nodes, bytes(512)), ()), root)


def test_tampered_proofs_are_refused() -> None:
    """Another value, another root, a cut path, or another key's leaf that is not there proves nothing."""
    tree = Tree()
    keys = [collide(b"\x11", n) for n in range(3)]
    root = tree.put({key: digest(b"v") for key in keys})
    proof = registry_tree.prove(tree.rows.get, keys[0])
    with pytest.raises(ProofInvalid):
        verify_presence(keys[0], b"w", proof, root)
    with pytest.raises(ProofInvalid):
        verify_presence(keys[0], b"v", proof, bytes(32))
    with pytest.raises(ProofInvalid):
        verify_presence(keys[0], b"v", RegistryProof(proof.nodes[:-1], ()), root)
    with pytest.raises(ProofInvalid):
        verify_presence(keys[0], b"v", RegistryProof((), ()), root)
    with pytest.raises(ProofInvalid, match="presence"):
        verify_presence(keys[0], b"v", RegistryProof(proof.nodes, (bytes(64),)), root)
    for other in (keys[0] + digest(b"v"), keys[1] + digest(b"v"), digest(b"far") + bytes(32), b"short"):
        with pytest.raises(ProofInvalid):
            verify_absence(keys[0], RegistryProof(proof.nodes, (other,)), root)


def test_missing_or_unreadable_nodes_are_named() -> None:
    """A hole in the stored tree is found by its path, never read as absence."""
    tree = Tree()
    key = collide(b"\x11", 1)
    tree.put({key: digest(b"v"), collide(b"\x11", 2): digest(b"v")})
    deep = max(tree.rows, key=len)
    row = tree.rows.pop(deep)
    with pytest.raises(TreeCorrupted, match="missing"):
        registry_tree.prove(tree.rows.get, key)
    for broken in (row[:-1], b"\x90", b"\xdc\x00\x10" + b"\xc4\x01x" * 16):
        tree.rows[deep] = broken
        with pytest.raises(TreeCorrupted) as caught:
            registry_tree.prove(tree.rows.get, key)
        assert caught.value.path == deep
