"""The state at height 0: the rows that genesis opens a store with, and the seal of height 0.

Must not know the rules: genesis decides nothing, it is given.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from ledger import accounts_tree, records, registry_tree
from ledger.accounts_tree import AccountsTree
from ledger.certificate import (
    NO_PARENT_SEAL,
    SEAL_FORMAT,
    Certifier,
    Certifiers,
    Seal,
    certifiers_hash,
    encode_seal,
    seal_hash,
)
from ledger.electorate import electorate_hash
from ledger.genesis import (
    FIRST_EPOCH,
    FIRST_MEMBERSHIP_VERSION,
    Genesis,
    decode_genesis,
    issuance_tx_id,
    network_id,
)
from ledger.keys import account_id
from ledger.membership import Decision, MembershipRecord
from ledger.merkle import EMPTY_ROOT, Frontier
from ledger.records import (
    VOTING,
    Account,
    AccountNumber,
    AssetRecord,
    MemberRecord,
    NodeRecord,
    Progress,
    Schedule,
    encode_record,
    opened_account,
)
from ledger.registry import Registry, electorate_of, registry_leaves, registry_rows
from ledger.state_proof import state_root

FIRST_VERSION: Final = 1


def genesis_rows(genesis_raw: bytes) -> dict[bytes, bytes]:
    """Every row of the state at height 0; raises Malformed for bytes that are not a genesis document."""
    genesis = decode_genesis(genesis_raw)
    accounts, registry = genesis_accounts(genesis), genesis_registry(genesis)
    account_rows = {records.account_row_key(a.number): encode_record(a) for a in accounts}
    values = {key: encode_record(value) for key, value in registry.values()}
    values |= {records.account_key(a.id): encode_record(AccountNumber(a.number)) for a in accounts}
    tree = registry_tree.update(lambda path: None, registry_leaves(values))
    accounts_root = AccountsTree(accounts_tree.leaf_hash(row) for row in account_rows.values()).root
    progress = _progress(network_id(genesis_raw), genesis, registry, accounts_root, tree.root)
    return (
        account_rows
        | registry_rows(values)
        | {records.NODE_PREFIX + path: row for path, row in tree.nodes.items()}
        | {records.PROGRESS_KEY: encode_record(progress)}
    )


def genesis_accounts(genesis: Genesis) -> tuple[Account, ...]:
    """The issuance account of each asset, numbered in the order of the assets."""
    return tuple(
        opened_account(
            number,
            account_id(asset.issuer, asset.code, issuance_tx_id(number)),
            asset.issuer,
            asset.code,
            asset.issuance_policy,
            height=0,
            limit=asset.limit,
        )
        for number, asset in enumerate(genesis.assets)
    )


def genesis_registry(genesis: Genesis) -> Registry:
    """Members, nodes, assets and schedules as genesis gives them."""
    members = [
        MemberRecord(number, m.id, m.name, m.admin_policy, m.teller_policy, FIRST_VERSION, 0)
        for number, m in enumerate(genesis.members)
    ]
    nodes = [NodeRecord(n.id, n.member, n.key, n.address, VOTING, FIRST_VERSION, 0) for n in genesis.nodes]
    assets = [
        AssetRecord(asset.code, asset.scale, asset.issuer, account.id, 0)
        for asset, account in zip(genesis.assets, genesis_accounts(genesis), strict=True)
    ]
    certifiers = Certifiers(
        genesis.parameters.certificate_rule, tuple(Certifier(n.id, n.member, n.key) for n in genesis.nodes)
    )
    return Registry(
        MappingProxyType({member.id: member for member in members}),
        MappingProxyType({node.id: node for node in nodes}),
        MappingProxyType({asset.code: asset for asset in assets}),
        Schedule(FIRST_VERSION, ((0, genesis.parameters),)),
        Schedule(FIRST_VERSION, ((0, genesis.rules),)),
        Schedule(FIRST_VERSION, ((0, Decision()),)),
        MembershipRecord(FIRST_MEMBERSHIP_VERSION, tuple(n.id for n in genesis.nodes), (), (), 0),
        ((0, certifiers),),
        ((0, electorate_of({member.id: member for member in members})),),
        MappingProxyType({}),
    )


def genesis_seal(genesis_network_id: bytes, registry: Registry, root: bytes) -> Seal:
    """The seal of height 0 over this state root, which everybody computes and nobody signs."""
    return Seal(
        format=SEAL_FORMAT,
        network_id=genesis_network_id,
        epoch=FIRST_EPOCH,
        height=0,
        header_hash=genesis_network_id,
        parent_seal_hash=NO_PARENT_SEAL,
        outcomes_root=EMPTY_ROOT,
        log_root=EMPTY_ROOT,
        state_root=root,
        certifiers_hash=certifiers_hash(registry.certifiers_at(0)),
        electorate_hash=electorate_hash(registry.electorate_at(0)),
    )


def _progress(
    genesis_network_id: bytes,
    genesis: Genesis,
    registry: Registry,
    accounts_root: bytes,
    registry_root: bytes,
) -> Progress:
    root = state_root(accounts_root, registry_root)
    seal_raw = encode_seal(genesis_seal(genesis_network_id, registry, root))
    return Progress(
        network_id=genesis_network_id,
        network_name=genesis.name,
        epoch=FIRST_EPOCH,
        height=0,
        header_raw=b"",
        block_hash=genesis_network_id,
        term=0,
        time_ms=genesis.time_ms,
        basis_height=0,
        account_count=len(genesis.assets),
        seal_raw=seal_raw,
        seal_hash=seal_hash(seal_raw),
        accounts_root=accounts_root,
        registry_root=registry_root,
        log=Frontier(),
    )
