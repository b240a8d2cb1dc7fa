"""The registry tree: a sparse 16-ary Merkle tree by the hash of a key (docs/formats.md, section 8).

It holds what changes rarely and whose absence must be provable. Keys are added and changed, never removed.
Must not know what the keys and values mean, nor where node rows are kept: it reads them through a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.codec import Malformed, Record, decode, encode
from ledger.merkle import ProofInvalid

WIDTH: Final = 16
EMPTY_SLOT: Final = bytes(32)
MAX_DEPTH: Final = 64
"""The nibbles of a SHA-256 hash: no path is longer."""

_OF_HEX_DIGIT: Final = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))

ReadNode = Callable[[bytes], bytes | None]
"""Gives the encoded node at a path (one byte a nibble; the root's path is empty), or None."""


class TreeCorrupted(Exception):
    """A node row is missing or unreadable; `path` names it."""

    def __init__(self, path: bytes, what: str) -> None:
        super().__init__(f"Registry node {path.hex() or 'root'}: {what}.")
        self.path = path


@dataclass(frozen=True, slots=True)
class RegistryUpdate:
    """The encoded nodes a block changes, by path, and the root they lead to."""

    nodes: Mapping[bytes, bytes]
    root: bytes


class RegistryProof(Record, frozen=True):
    """The path's nodes from the root down, each as its 16 slots (512 bytes), and a foreign leaf at its end.

    `other` is () or ([k, H(value)] as 64 bytes): the leaf that stands where the key would, which shows
    absence.
    """

    nodes: tuple[bytes, ...]
    other: tuple[bytes, ...]


def nibbles(key_hash: bytes) -> bytes:
    """The path of a key's hash, one byte a nibble."""
    return key_hash.hex().encode("ascii").translate(_OF_HEX_DIGIT)


def empty_root() -> bytes:
    """The root of a tree without any key."""
    return _node_hash((b"",) * WIDTH)


def encode_node(slots: Sequence[bytes]) -> bytes:
    """A node's row."""
    return encode(tuple(slots))


def decode_node(path: bytes, row: bytes | None) -> tuple[bytes, ...]:
    """The 16 slots of a node's row; TreeCorrupted where it is missing or not a node."""
    if row is None:
        raise TreeCorrupted(path, "its row is missing")
    try:
        slots = decode(row, tuple[bytes, ...])
    except Malformed as error:
        raise TreeCorrupted(path, f"its row cannot be read ({error})") from error
    if len(slots) != WIDTH or any(len(slot) not in (0, 32, 64) for slot in slots):
        raise TreeCorrupted(path, "its row is not 16 slots")
    return slots


def root(read: ReadNode) -> bytes:
    """The registry root according to the root's own row; an absent row is an empty tree."""
    row = read(b"")
    return empty_root() if row is None else _node_hash(decode_node(b"", row))


def update(read: ReadNode, leaves: Mapping[bytes, bytes]) -> RegistryUpdate:
    """What the tree becomes with these value hashes by key hash."""
    if not leaves:
        return RegistryUpdate({}, root(read))
    nodes: dict[bytes, list[bytes]] = {}
    for key_hash in sorted(leaves):
        _put(read, nodes, key_hash + leaves[key_hash])
    for path in sorted(nodes, key=len, reverse=True):
        if path:
            nodes[path[:-1]][path[-1]] = _node_hash(nodes[path])
    return RegistryUpdate({path: encode_node(nodes[path]) for path in sorted(nodes)}, _node_hash(nodes[b""]))


def prove(read: ReadNode, key_hash: bytes) -> RegistryProof:
    """A proof of what stands under this key's hash: its value, or that there is none."""
    path, steps = nibbles(key_hash), list(_walk(read, key_hash))
    if not steps:
        return RegistryProof((b"".join([EMPTY_SLOT] * WIDTH),), ())
    end = steps[-1][path[len(steps) - 1]]
    other = (end,) if len(end) == 64 and end[:32] != key_hash else ()
    return RegistryProof(tuple(_slot_hashes(slots) for slots in steps), other)


def verify_presence(key_hash: bytes, value: bytes, proof: RegistryProof, root: bytes) -> None:
    """Check that the key of this hash has this value under this root; else ProofInvalid."""
    if proof.other:
        raise ProofInvalid("A proof of presence does not end in another key's leaf.")
    leaf = _leaf_slot_hash(key_hash + sha256(value).digest())
    if _end_of_path(key_hash, proof, root) != leaf:
        raise ProofInvalid("The value does not stand at the end of the key's path.")


def verify_absence(key_hash: bytes, proof: RegistryProof, root: bytes) -> None:
    """Check that the key of this hash has no value under this root; else ProofInvalid."""
    end = _end_of_path(key_hash, proof, root)
    if not proof.other:
        if end != EMPTY_SLOT:
            raise ProofInvalid("The key's path does not end in an empty slot.")
        return
    if len(proof.other) != 1 or len(proof.other[0]) != 64:
        raise ProofInvalid("Another key's leaf is its key hash and its value's hash, 64 bytes.")
    other, depth = proof.other[0], len(proof.nodes)
    if other[:32] == key_hash or nibbles(other[:32])[:depth] != nibbles(key_hash)[:depth]:
        raise ProofInvalid("The leaf at the end of the path is not another key's on the same path.")
    if _leaf_slot_hash(other) != end:
        raise ProofInvalid("The other key's leaf does not stand at the end of the path.")


def _end_of_path(key_hash: bytes, proof: RegistryProof, root: bytes) -> bytes:
    """The slot (as a hash) in which the path ends, every node on it checked against the one above."""
    if not 1 <= len(proof.nodes) <= MAX_DEPTH:
        raise ProofInvalid(f"A path has 1 to {MAX_DEPTH} nodes, not {len(proof.nodes)}.")
    expected = root
    for nibble, slots in zip(nibbles(key_hash), proof.nodes, strict=False):
        if len(slots) != WIDTH * 32 or sha256(b"\x01" + slots).digest() != expected:
            raise ProofInvalid("A node of the path is not the one its parent names.")
        expected = slots[nibble * 32 : nibble * 32 + 32]
    return expected


def _leaf_slot_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _slot_hashes(slots: Sequence[bytes]) -> bytes:
    return b"".join(
        EMPTY_SLOT if not slot else slot if len(slot) == 32 else _leaf_slot_hash(slot) for slot in slots
    )


def _node_hash(slots: Sequence[bytes]) -> bytes:
    return sha256(b"\x01" + _slot_hashes(slots)).digest()


def _walk(read: ReadNode, key_hash: bytes) -> Iterator[tuple[bytes, ...]]:
    """The nodes on a key's path from the root down; none for a tree without a root row."""
    path = nibbles(key_hash)
    row = read(b"")
    depth = 0
    while row is not None:
        slots = decode_node(path[:depth], row)
        yield slots
        if len(slots[path[depth]]) != 32:
            return
        depth += 1
        row = read(path[:depth])
        if row is None:
            raise TreeCorrupted(path[:depth], "its row is missing")


def _put(read: ReadNode, nodes: dict[bytes, list[bytes]], leaf: bytes) -> None:
    """Put a leaf (k and H(value)) into the working nodes; hashes of nodes are filled in afterwards."""
    path = nibbles(leaf[:32])
    depth = 0
    while True:
        slots = _working_node(read, nodes, path[:depth])
        slot = slots[path[depth]]
        if not slot or (len(slot) == 64 and slot[:32] == leaf[:32]):
            slots[path[depth]] = leaf
            return
        if len(slot) == 64:
            slots[path[depth]] = EMPTY_SLOT
            below = [b""] * WIDTH
            below[nibbles(slot[:32])[depth + 1]] = slot
            nodes[path[: depth + 1]] = below
        depth += 1


def _working_node(read: ReadNode, nodes: dict[bytes, list[bytes]], path: bytes) -> list[bytes]:
    slots = nodes.get(path)
    if slots is None:
        row = read(path)
        slots = [b""] * WIDTH if row is None and not path else list(decode_node(path, row))
        nodes[path] = slots
    return slots
