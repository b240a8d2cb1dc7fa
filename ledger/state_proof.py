"""Proofs about the state at one height, made from it and checked offline against a seal's state root.

An account is proved in two steps, its id in the registry and its record in the accounts tree; that an id has
no account is proved by the registry alone. Checking must not need a state, rows or network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger import accounts_tree, records, registry_tree
from ledger.accounts_tree import AccountsTree
from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import AccountId, Bin32, Uint
from ledger.keys import tagged_hash
from ledger.merkle import ProofInvalid
from ledger.records import Account, AccountNumber, encode_record
from ledger.registry_tree import ReadNode, RegistryProof

PROOF_FORMAT: Final = 1


def state_root(accounts_root: bytes, registry_root: bytes) -> bytes:
    """Bind both trees into the one root that seals carry."""
    return tagged_hash("state", accounts_root + registry_root)


class AccountProof(Record, frozen=True):
    """What stands under an account id at one height.

    `record` and `path` (480 bytes of siblings a level, from the leaf up) are empty where there is no such
    account.
    """

    format: Uint
    account_id: AccountId
    count: Uint
    accounts_root: Bin32
    registry_root: Bin32
    registry: RegistryProof
    record: tuple[bytes, ...]
    path: tuple[bytes, ...]


def prove_account(
    account_id: bytes,
    find: Callable[[bytes], Account | None],
    tree: AccountsTree,
    read_node: ReadNode,
    registry_root: bytes,
) -> bytes:
    """The encoded proof of an account, or of its absence, from the state's own parts at one height."""
    account = find(account_id)
    proof = AccountProof(
        format=PROOF_FORMAT,
        account_id=account_id,
        count=tree.count,
        accounts_root=tree.root,
        registry_root=registry_root,
        registry=registry_tree.prove(read_node, records.key_hash(records.account_key(account_id))),
        record=() if account is None else (encode_record(account),),
        path=() if account is None else tree.proof(account.number),
    )
    return encode(proof)


def verify_account_proof(proof_raw: bytes, account_id: bytes, root: bytes) -> Account | None:
    """The account that this proof shows under this state root, or None where it shows that there is none.

    Raises ProofInvalid.
    """
    try:
        proof = decode(proof_raw, AccountProof)
        record = decode(proof.record[0], Account) if proof.record else None
    except Malformed as error:
        raise ProofInvalid(f"The account proof cannot be read: {error}") from error
    if proof.format != PROOF_FORMAT or len(proof.record) > 1:
        raise ProofInvalid(f"The account proof is of format {proof.format}, not {PROOF_FORMAT}.")
    if proof.account_id != account_id:
        raise ProofInvalid(f"The proof is of account {proof.account_id.hex()}, not {account_id.hex()}.")
    if state_root(proof.accounts_root, proof.registry_root) != root:
        raise ProofInvalid("The proof's two roots are not those of the state root.")
    key_hash = records.key_hash(records.account_key(account_id))
    if record is None:
        registry_tree.verify_absence(key_hash, proof.registry, proof.registry_root)
        return None
    if record.id != account_id:
        raise ProofInvalid(f"The record is of account {record.id.hex()}, not {account_id.hex()}.")
    number = encode_record(AccountNumber(record.number))
    registry_tree.verify_presence(key_hash, number, proof.registry, proof.registry_root)
    accounts_tree.verify_account(proof.record[0], record.number, proof.count, proof.path, proof.accounts_root)
    return record
