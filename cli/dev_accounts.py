"""The accounts of a development network: their keys, and the signed transactions that open and fund them.

Everything follows from the network's keys, so that a network of the same seed has the same accounts. For
development only: one keystore then holds the keys of all banks. It must not know how transactions are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.envelope import build_payload
from ledger.genesis import Genesis, decode_genesis, issuance_tx_id, network_id
from ledger.keys import account_id, address, public_bytes
from ledger.policy import single_key
from node.provision import ADMIN, CUSTOMERS, ISSUANCE, TELLER
from wallet.derive import derive_key
from wallet.ids import derived_tx_id
from wallet.payment import sign_payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

# The opening transactions have fixed ids, so that the addresses follow from the members and names alone.
BATCH = "nostro dev"
VALID_DAYS = 30
MS_A_DAY = 86_400_000
FIRST_BALANCE_UNITS = 10_000
"""What each account starts with, in whole units of its asset."""

NAMES = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
    "ken", "laura", "mallory", "niaj", "olivia", "peggy", "quentin", "rupert", "sybil", "trent",
)  # fmt: skip

MemberKeys = dict[str, "ec.EllipticCurvePrivateKey"]


@dataclass(frozen=True, slots=True)
class DevAccount:
    """A funded account: its name is its alias in the keystore too. `balance` is in minor units."""

    name: str
    member: str
    asset: str
    scale: int
    account: bytes
    address: str
    balance: int
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Funding:
    """The accounts, and the envelopes that open them and then fund them."""

    accounts: tuple[DevAccount, ...]
    openings: tuple[bytes, ...]
    transfers: tuple[bytes, ...]


def plan_funding(genesis_raw: bytes, members: Mapping[str, MemberKeys], count: int) -> Funding:
    """`count` accounts, spread over the banks in turn, of the network's first asset.

    `members` holds each member's keys by alias (node/provision.py). Called again for the same network it
    signs the same contents, so that what was cut short can be submitted again.
    """
    genesis = decode_genesis(genesis_raw)
    asset = genesis.assets[0]
    banks = [member.id for member in genesis.members if member.id != asset.issuer] or [asset.issuer]
    accounts = tuple(
        _account(genesis, members, banks[index % len(banks)], account_name(index)) for index in range(count)
    )
    issuance = account_id(asset.issuer, asset.code, issuance_tx_id(0))
    context = _Context(network_id(genesis_raw), genesis.time_ms)
    return Funding(
        accounts,
        tuple(_opening(context, members[account.member][TELLER], account) for account in accounts),
        tuple(_issue(context, members[asset.issuer][ISSUANCE], issuance, account) for account in accounts),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    network: bytes
    genesis_ms: int

    def signed(
        self, key: ec.EllipticCurvePrivateKey, tx_id: bytes, author: bytes, kind: Kind, body: Body
    ) -> bytes:
        """An envelope by one signer, valid from genesis on for `VALID_DAYS`."""
        payload = build_payload(
            network_id=self.network,
            tx_id=tx_id,
            author=author,
            kind=kind,
            body=body,
            valid_from_ms=self.genesis_ms,
            valid_until_ms=self.genesis_ms + VALID_DAYS * MS_A_DAY,
            signers=[public_bytes(key)],
        )
        return sign_payload(payload, [key])


def wallet_keys(funding: Funding, members: Mapping[str, MemberKeys]) -> MemberKeys:
    """Every key by alias: the accounts' own, and the members' as `alpha.admin`, `alpha.teller`, ..."""
    keys = {account.name: account.key for account in funding.accounts}
    for member, own in members.items():
        keys |= {f"{member}.{alias}": own[alias] for alias in (ADMIN, TELLER, ISSUANCE) if alias in own}
    return keys


def account_name(index: int) -> str:
    """The name of the account at `index`: alice, bob, ... and, when the names are used up, alice-2."""
    turn, place = divmod(index, len(NAMES))
    return NAMES[place] if turn == 0 else f"{NAMES[place]}-{turn + 1}"


def _account(genesis: Genesis, members: Mapping[str, MemberKeys], bank: str, name: str) -> DevAccount:
    asset = genesis.assets[0]
    account = account_id(bank, asset.code, _opening_id(name))
    return DevAccount(
        name=name,
        member=bank,
        asset=asset.code,
        scale=asset.scale,
        account=account,
        address=address(genesis.name, account),
        balance=FIRST_BALANCE_UNITS * 10**asset.scale,
        key=derive_key(members[bank][CUSTOMERS], name),
    )


def _opening_id(name: str) -> bytes:
    return derived_tx_id(0, f"{BATCH} {name}", 0, "open")


def _opening(context: _Context, teller: ec.EllipticCurvePrivateKey, account: DevAccount) -> bytes:
    body = OpenAccount(account.asset, single_key(public_bytes(account.key)))
    author = account.member.encode()
    return context.signed(teller, _opening_id(account.name), author, Kind.OPEN_ACCOUNT, body)


def _issue(
    context: _Context, issuer: ec.EllipticCurvePrivateKey, issuance: bytes, account: DevAccount
) -> bytes:
    tx_id = derived_tx_id(0, f"{BATCH} {account.name}", 0, "fund")
    body = Transfer(account.account, account.asset, account.balance)
    return context.signed(issuer, tx_id, issuance, Kind.TRANSFER, body)
