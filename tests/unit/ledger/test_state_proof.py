"""Account proofs: presence and absence under a seal's state root, and every tampering refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.bodies import Transfer
from ledger.codec import decode, encode
from ledger.merkle import ProofInvalid
from ledger.records import encode_record
from ledger.state_proof import AccountProof, verify_account_proof
from tests.unit.ledger.rules.world import World

PAYER, PAYEE = 51, 52


@pytest.fixture
def world() -> World:
    """A network with twenty accounts, one of which has paid another."""
    world = World()
    accounts = [world.open("alpha", PAYER, funds=100) for _ in range(18)]
    world.block(world.envelope(accounts[0], Transfer(accounts[17], "EUR", 30), [PAYER]))
    return world


def test_every_account_is_proved_under_the_seal(world: World) -> None:
    """A proof gives the record that stands under the last seal's state root."""
    root = world.state.state_root
    for number in range(20):
        account = world.state.account(number)
        assert account is not None
        assert verify_account_proof(world.state.prove_account(account.id), account.id, root) == account


def test_absence_is_proved(world: World) -> None:
    """That an id has no account is proved too, for ids that share paths with others."""
    for number in range(40):
        absent = bytes(20) + bytes([number])
        assert verify_account_proof(world.state.prove_account(absent), absent, world.state.state_root) is None


def test_proof_is_of_one_account_and_one_root(world: World) -> None:
    """A proof of one account is none of another, nor under another state root."""
    account = world.account_numbered(2)
    proof = world.state.prove_account(account)
    with pytest.raises(ProofInvalid, match="not"):
        verify_account_proof(proof, world.account_numbered(3), world.state.state_root)
    with pytest.raises(ProofInvalid, match="state root"):
        verify_account_proof(proof, account, bytes(32))


def test_tampered_proofs_are_refused(world: World) -> None:
    """Changed records, numbers, counts, roots, paths, and bytes that are no proof are refused."""
    account, other = world.account_numbered(2), world.account_numbered(3)
    root = world.state.state_root
    good = decode(world.state.prove_account(account), AccountProof)
    of_other = decode(world.state.prove_account(other), AccountProof)
    record = world.account(account)
    richer = encode_record(replace(record, credits_posted=record.credits_posted + 1))
    renumbered = encode_record(replace(record, number=3))
    cases = [
        replace(good, record=(richer,)),
        replace(good, record=(renumbered,)),
        replace(good, record=of_other.record),
        replace(good, record=()),
        replace(good, record=(*good.record, *good.record)),
        replace(good, record=(b"\x90",)),
        replace(good, count=good.count + 1),
        replace(good, path=good.path[:-1]),
        replace(good, path=of_other.path),
        replace(good, registry=of_other.registry),
        replace(good, accounts_root=bytes(32)),
        replace(good, format=2),
    ]
    for proof in cases:
        with pytest.raises(ProofInvalid):
            verify_account_proof(encode(proof), account, root)
    with pytest.raises(ProofInvalid, match="cannot be read"):
        verify_account_proof(b"\x90", account, root)
