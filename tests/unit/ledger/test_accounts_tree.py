"""The accounts tree against a naive recursive twin, and its proofs against tampering."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.accounts_tree import AccountsTree, accounts_root, leaf_hash, verify_account
from ledger.merkle import ProofInvalid


def naive_root(records: Sequence[bytes]) -> bytes:
    """The accounts root straight from its definition."""
    return accounts_root(len(records), naive_top([sha256(b"\x00" + r).digest() for r in records]))


def naive_top(level: list[bytes]) -> bytes:
    """The top over a level's hashes."""
    if not level:
        return bytes(32)
    if len(level) == 1:
        return level[0]
    groups = [level[i : i + 16] for i in range(0, len(level), 16)]
    return naive_top([sha256(b"\x01" + b"".join(g + [bytes(32)] * (16 - len(g)))).digest() for g in groups])


def record(number: int, version: int = 0) -> bytes:
    """Some record."""
    return f"account {number} at version {version}".encode()


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 255, 256, 257, 300])
def test_root_is_that_of_the_naive_tree(count: int) -> None:
    """A tree built at once has the root of the definition, at and around every change of height."""
    records = [record(n) for n in range(count)]
    assert AccountsTree(leaf_hash(r) for r in records).root == naive_root(records)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8))
def test_updates_agree_with_the_naive_tree(blocks: list[list[int]]) -> None:
    """Whatever is changed or appended, block by block, root and proofs are those of the naive tree."""
    tree, records = AccountsTree(), list[bytes]()
    for height, touched in enumerate(blocks):
        for wanted in touched:
            number = min(wanted, len(records))
            records[number : number + 1] = [record(number, height)]
        changed = {min(n, len(records) - 1) for n in touched}
        before = tree.root
        update = tree.update(
            {n: leaf_hash(records[n]) for n in changed | set(range(tree.count, len(records)))}
        )
        assert tree.root == before
        tree.apply(update)
        assert tree.root == update.root == naive_root(records)
        for number in changed:
            verify_account(records[number], number, tree.count, tree.proof(number), tree.root)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 257])
def test_every_account_can_be_proved(count: int) -> None:
    """Each account's proof leads to the root, and another account's record does not."""
    tree = AccountsTree(leaf_hash(record(n)) for n in range(count))
    for number in range(count):
        proof = tree.proof(number)
        verify_account(record(number), number, count, proof, tree.root)
        with pytest.raises(ProofInvalid):
            verify_account(record(number + 1), number, count, proof, tree.root)


def test_proof_is_refused_when_anything_is_changed() -> None:
    """A proof with a wrong number, count, length or byte is refused."""
    tree = AccountsTree(leaf_hash(record(n)) for n in range(40))
    proof = tree.proof(20)
    flipped = (bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:])
    for number, count, path in [
        (21, 40, proof),
        (40, 40, proof),
        (20, 41, proof),
        (20, 300, proof),
        (20, 40, proof[:1]),
        (20, 40, (proof[0][:-1], *proof[1:])),
        (20, 40, flipped),
    ]:
        with pytest.raises(ProofInvalid):
            verify_account(record(20), number, count, path, tree.root)


def test_unknown_number_has_no_leaf() -> None:
    """Asking for an account beyond the last is an error, not a wrong answer."""
    tree = AccountsTree([leaf_hash(record(0))])
    with pytest.raises(IndexError, match="no account 1"):
        tree.proof(1)
