"""Merkle trees of RFC 6962: roots, inclusion and consistency proofs, and a frontier to append to.

It must not know what the leaves are. Verification raises ProofInvalid; it never answers with a bool.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from ledger.codec import Record
from ledger.fields import Bin32, Uint

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


class ProofInvalid(Exception):
    """A proof that does not lead from what it proves to the root."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The tree head over `leaf_hashes` in their order (RFC 6962, 2.1)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    # Pairing level by level and carrying the odd one up is the split at the largest power of two below n.
    level = list(leaf_hashes)
    sha256 = hashlib.sha256
    while len(level) > 1:
        parents = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            parents.append(level[-1])
        level = parents
    return level[0]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of the leaf at `index`, from the leaf up (RFC 6962, 2.1.1)."""
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(f"leaf {index} of a tree of {len(leaf_hashes)}")
    path = []
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = [root(level[i : i + 2]) for i in range(0, len(level), 2)]
        index //= 2
    return tuple(path)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], tree_root: bytes) -> None:
    """Check that the leaf hash `leaf` stands at `index` of the tree of `size` leaves with `tree_root`.

    Raises ProofInvalid (RFC 9162, 2.1.3.2).
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"leaf {index} can't stand in a tree of {size}")
    computed, last = leaf, size - 1
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the path is longer than the tree is high")
        if index % 2 or index == last:
            computed = node_hash(sibling, computed)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            computed = node_hash(computed, sibling)
        index, last = index // 2, last // 2
    if last or computed != tree_root:
        raise ProofInvalid("the path does not lead from the leaf to the root")


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """The proof that the first `old_size` leaves are the beginning of all (RFC 6962, 2.1.2); empty for 0."""
    if not 0 <= old_size <= len(leaf_hashes):
        raise IndexError(f"an old size of {old_size} in a tree of {len(leaf_hashes)}")
    return _subproof(leaf_hashes, old_size, True) if old_size else ()


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `old_size` is the beginning of the tree of `new_size`; raises ProofInvalid.

    RFC 9162, 2.1.4.2.
    """
    if not 0 <= old_size <= new_size:
        raise ProofInvalid(f"a tree of {old_size} is no beginning of one of {new_size}")
    if old_size in (0, new_size):
        if proof or old_root != (new_root if old_size else EMPTY_ROOT):
            raise ProofInvalid("the roots contradict each other, or a proof was given where none is needed")
        return
    nodes = list(proof)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes or _replayed(nodes, old_size, new_size) != (old_root, new_root):
        raise ProofInvalid("the proof does not lead to both roots")


def _replayed(nodes: Sequence[bytes], old_size: int, new_size: int) -> tuple[bytes, bytes]:
    old_index, new_index = old_size - 1, new_size - 1
    while old_index % 2:
        old_index, new_index = old_index // 2, new_index // 2
    old = new = nodes[0]
    for node in nodes[1:]:
        if new_index == 0:
            raise ProofInvalid("the proof is longer than the tree is high")
        if old_index % 2 or old_index == new_index:
            old, new = node_hash(node, old), node_hash(node, new)
            while old_index % 2 == 0 and old_index:
                old_index, new_index = old_index // 2, new_index // 2
        else:
            new = node_hash(new, node)
        old_index, new_index = old_index // 2, new_index // 2
    if new_index:
        raise ProofInvalid("the proof is shorter than the tree is high")
    return old, new


def _subproof(leaf_hashes: Sequence[bytes], old_size: int, whole: bool) -> tuple[bytes, ...]:
    size = len(leaf_hashes)
    if old_size == size:
        return () if whole else (root(leaf_hashes),)
    split = 1 << ((size - 1).bit_length() - 1)
    if old_size <= split:
        return (*_subproof(leaf_hashes[:split], old_size, whole), root(leaf_hashes[split:]))
    return (*_subproof(leaf_hashes[split:], old_size - split, False), root(leaf_hashes[:split]))


class Frontier(Record, frozen=True):
    """What an append-only tree needs to grow: its size and the roots of its whole subtrees, largest first."""

    size: Uint = 0
    peaks: tuple[Bin32, ...] = ()

    def append(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        """The frontier after `leaf_hashes` were appended in order."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaf_hashes:
            peaks.append(leaf)
            size += 1
            # As many neighbours merge as the new size has trailing zero bits, like a carry in addition.
            for _ in range((size & -size).bit_length() - 1):
                right = peaks.pop()
                peaks[-1] = node_hash(peaks[-1], right)
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """The tree head over everything appended."""
        if not self.peaks:
            return EMPTY_ROOT
        computed = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            computed = node_hash(peak, computed)
        return computed
