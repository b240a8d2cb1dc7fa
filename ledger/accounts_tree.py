"""The accounts tree: a dense 16-ary Merkle tree over account numbers (docs/formats.md, section 8).

The hashes stand in one flat byte array a level, so that a million accounts take 34 MB and a block's changes
touch only their own paths. Must not know what an account record holds: it is given leaf hashes and proves
leaf bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.merkle import ProofInvalid

WIDTH: Final = 16
HASH_BYTES: Final = 32
GROUP_BYTES: Final = WIDTH * HASH_BYTES
NO_TOP: Final = bytes(HASH_BYTES)


def leaf_hash(record: bytes) -> bytes:
    """The hash of an account's canonical record."""
    return sha256(b"\x00" + record).digest()


def accounts_root(count: int, top: bytes) -> bytes:
    """Bind the number of accounts to the top of their tree."""
    return sha256(b"\x02" + count.to_bytes(8, "big") + top).digest()


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """The hashes a block changes, level by level from the leaves, and the root they lead to."""

    count: int
    levels: tuple[Mapping[int, bytes], ...]
    root: bytes


class AccountsTree:
    """The tree of the state as last applied; updates are computed beside it, and applied once stored."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Build the tree over the leaf hashes of accounts 0, 1, 2, ..."""
        self._levels = [bytearray(b"".join(leaves))]
        while len(self._levels[-1]) > HASH_BYTES:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def count(self) -> int:
        """How many accounts the tree holds."""
        return len(self._levels[0]) // HASH_BYTES

    @property
    def root(self) -> bytes:
        """The accounts root."""
        return accounts_root(self.count, bytes(self._levels[-1]) if self.count else NO_TOP)

    def leaf(self, number: int) -> bytes:
        """The leaf hash of an account; IndexError where there is none of this number."""
        if not 0 <= number < self.count:
            raise IndexError(f"There is no account {number} in a tree of {self.count}.")
        return bytes(self._levels[0][number * HASH_BYTES : (number + 1) * HASH_BYTES])

    def update(self, leaves: Mapping[int, bytes]) -> TreeUpdate:
        """What the tree becomes with these leaf hashes; new numbers must follow on the last one."""
        count = max(self.count, max(leaves, default=-1) + 1)
        levels: list[Mapping[int, bytes]] = [leaves]
        width, level = count, 0
        while width > 1:
            stored = self._levels[level] if level < len(self._levels) else bytearray()
            levels.append(_changed_parents(stored, levels[-1]))
            width, level = (width + WIDTH - 1) // WIDTH, level + 1
        top = levels[-1].get(0) or (bytes(self._levels[-1]) if count else NO_TOP)
        return TreeUpdate(count, tuple(levels), accounts_root(count, top))

    def apply(self, update: TreeUpdate) -> None:
        """Take over an update that was computed on this very tree."""
        for level, changed in enumerate(update.levels):
            if level == len(self._levels):
                self._levels.append(bytearray())
            stored = self._levels[level]
            for number in sorted(changed):
                stored[number * HASH_BYTES : (number + 1) * HASH_BYTES] = changed[number]

    def proof(self, number: int) -> tuple[bytes, ...]:
        """The 15 siblings (480 bytes) at each level, from the leaf up."""
        self.leaf(number)
        path = []
        for stored in self._levels[:-1]:
            start = number // WIDTH * GROUP_BYTES
            group = bytes(stored[start : start + GROUP_BYTES]).ljust(GROUP_BYTES, b"\0")
            place = number % WIDTH * HASH_BYTES
            path.append(group[:place] + group[place + HASH_BYTES :])
            number //= WIDTH
        return tuple(path)


def verify_account(record: bytes, number: int, count: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the account of this number has this record, under this accounts root; else ProofInvalid."""
    if not 0 <= number < count:
        raise ProofInvalid(f"Account {number} can't be in a tree of {count} accounts.")
    if len(proof) != _levels_above(count):
        raise ProofInvalid(f"A tree of {count} accounts has {_levels_above(count)} levels, not {len(proof)}.")
    node, place = leaf_hash(record), number
    for siblings in proof:
        if len(siblings) != GROUP_BYTES - HASH_BYTES:
            raise ProofInvalid(f"A level has 480 bytes of siblings, not {len(siblings)}.")
        cut = place % WIDTH * HASH_BYTES
        node = sha256(b"\x01" + siblings[:cut] + node + siblings[cut:]).digest()
        place //= WIDTH
    if accounts_root(count, node) != root:
        raise ProofInvalid(f"The record of account {number} does not lead to the accounts root.")


def _levels_above(count: int) -> int:
    levels = 0
    while count > 1:
        count, levels = (count + WIDTH - 1) // WIDTH, levels + 1
    return levels


def _parents(level: bytearray) -> bytearray:
    data = bytes(level)
    return bytearray().join(
        sha256(b"\x01" + data[start : start + GROUP_BYTES].ljust(GROUP_BYTES, b"\0")).digest()
        for start in range(0, len(data), GROUP_BYTES)
    )


def _changed_parents(stored: bytearray, changed: Mapping[int, bytes]) -> dict[int, bytes]:
    groups: dict[int, bytearray] = {}
    for number, digest in changed.items():
        parent = number // WIDTH
        group = groups.get(parent)
        if group is None:
            start = parent * GROUP_BYTES
            group = bytearray(b"\x01")
            group += stored[start : start + GROUP_BYTES]
            if len(group) <= GROUP_BYTES:
                group = group.ljust(GROUP_BYTES + 1, b"\0")
            groups[parent] = group
        place = number % WIDTH * HASH_BYTES + 1
        group[place : place + HASH_BYTES] = digest
    return {parent: sha256(group).digest() for parent, group in groups.items()}
