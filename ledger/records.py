"""The records that make up the state, and the keys of the rows that hold them.

Layouts and keys are those of docs/formats.md, sections 8 and 10. Must not know how rows are stored, cached or
hashed into trees, nor any rule that changes them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Generic, TypeVar

import msgspec

from ledger.bodies import Flag
from ledger.codec import Record
from ledger.fields import AccountId, AuthorRef, Bin16, Bin32, Bin65, OptionalBin32, Uint
from ledger.merkle import Frontier
from ledger.policy import Policy

T = TypeVar("T")

NO_HISTORY: Final = bytes(32)
"""The history hash of an account that has no entry yet."""

MEMBER_FLAGS: Final = int(Flag.NO_DEBIT | Flag.NO_CREDIT)
ISSUER_FLAGS: Final = int(Flag.ISSUER_NO_DEBIT | Flag.ISSUER_NO_CREDIT)
DEBIT_FREEZES: Final = int(Flag.NO_DEBIT | Flag.ISSUER_NO_DEBIT)
CREDIT_FREEZES: Final = int(Flag.NO_CREDIT | Flag.ISSUER_NO_CREDIT)
"""Flags as plain integers: they are tested for every payment, and IntFlag arithmetic is slow."""

REGISTERED: Final = 0
VOTING: Final = 1
RETIRED: Final = 2
LEARNER: Final = 3

ACCOUNT_PREFIX: Final = b"a"
REGISTRY_PREFIX: Final = b"k"
NODE_PREFIX: Final = b"n"
ID_PREFIX: Final = b"i"
HISTORY_PREFIX: Final = b"t"
PROGRESS_KEY: Final = b"S"
STATE_PREFIXES: Final = (
    ACCOUNT_PREFIX,
    REGISTRY_PREFIX,
    NODE_PREFIX,
    ID_PREFIX,
    HISTORY_PREFIX,
    PROGRESS_KEY,
)

PARAMETERS_SCHEDULE: Final = b"schedule/parameters"
RULES_SCHEDULE: Final = b"schedule/rules"
MEMBERSHIP_SCHEDULE: Final = b"schedule/membership"
MEMBERSHIP: Final = b"membership"
CERTIFIERS_PREFIX: Final = b"certifiers/"
ELECTORATE_PREFIX: Final = b"electorate/"
RECOVERY_PREFIX: Final = b"recovery/"


class Account(Record, frozen=True):
    """An account: amounts in minor units of its asset, counters that never decrease, its newest entry."""

    number: Uint
    id: AccountId
    member: str
    asset: str
    policy: Policy
    version: Uint
    flags: Uint
    debits_posted: Uint
    credits_posted: Uint
    debits_pending: Uint
    credits_pending: Uint
    limit: Uint
    entry_count: Uint
    history_hash: Bin32
    last_height: Uint
    last_index: Uint
    opened_height: Uint
    reference: OptionalBin32

    @property
    def balance(self) -> int:
        """The posted balance in minor units; below zero as far as the limit allows."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may still be debited, in minor units."""
        return self.credits_posted - self.debits_posted - self.debits_pending + self.limit


class MemberRecord(Record, frozen=True):
    """A member bank; since_height is where it joined, version rises with each change."""

    number: Uint
    id: str
    name: str
    admin_policy: Policy
    teller_policy: Policy
    version: Uint
    since_height: Uint


class NodeRecord(Record, frozen=True):
    """A node a member answers for; since_height is where its key was registered."""

    id: str
    member: str
    key: Bin65
    address: str
    status: Uint
    version: Uint
    since_height: Uint


class AssetRecord(Record, frozen=True):
    """An asset; `account` is the issuance account, whose negative balance is the supply."""

    code: str
    scale: Uint
    issuer: str
    account: AccountId
    since_height: Uint


class HistoryEntry(Record, frozen=True):
    """What one transaction posted to one account, and where that account's entry before it stands."""

    number: Uint
    debit: Uint
    credit: Uint
    entry_count: Uint
    prev_height: Uint
    prev_index: Uint


class ConsumedId(Record, frozen=True):
    """The id that a transaction used up: its author as a reference, the id, and what was signed."""

    author_ref: AuthorRef
    tx_id: Bin16
    signing_hash: Bin32


class HistoryRow(Record, frozen=True):
    """The one row of a transaction: its outcome, its envelope's hash, the id it consumed, and its entries.

    `duplicate_of` is empty, or holds the (height, index) of the first; `consumed` is empty where no id was.
    Where the author is an account that has an entry, that entry comes first. So the rows of a chain can be
    proved without its blocks (ledger/snapshot.py).
    """

    outcome: Uint
    duplicate_of: tuple[tuple[Uint, Uint], ...]
    leaf_hash: Bin32
    consumed: tuple[ConsumedId, ...]
    entries: tuple[HistoryEntry, ...]


class AccountNumber(Record, frozen=True):
    """What an account id stands for in the registry."""

    number: Uint


class RegistryRow(Record, frozen=True):
    """A registry key and its canonical value, stored under the key's hash."""

    key: bytes
    value: bytes


class Schedule(Record, Generic[T], frozen=True):
    """Values by the height they hold from, ascending; the version counts the decisions."""

    version: Uint
    entries: tuple[tuple[Uint, T], ...]


class RecoveryRecord(Record, frozen=True):
    """A recovery that was carried out: the certified height it builds on, and the members' signed decision.

    The decision is kept here, for a block may be forgotten and whoever follows the hand-overs needs it.
    """

    certified_height: Uint
    envelope: bytes


class Progress(Record, frozen=True):
    """How far the state has executed: the last block, its seal, and the counts and roots at that height.

    `header_raw` is empty at height 0, where `block_hash` is the network id and `time_ms` that of genesis.
    """

    network_id: Bin32
    network_name: str
    epoch: Uint
    height: Uint
    header_raw: bytes
    block_hash: Bin32
    term: Uint
    time_ms: Uint
    basis_height: Uint
    account_count: Uint
    seal_raw: bytes
    seal_hash: Bin32
    accounts_root: Bin32
    registry_root: Bin32
    log: Frontier


def account_row_key(number: int) -> bytes:
    """Where the account of this number stands."""
    return ACCOUNT_PREFIX + number.to_bytes(4, "big")


def registry_row_key(key_hash: bytes) -> bytes:
    """Where the registry entry whose key has this hash stands."""
    return REGISTRY_PREFIX + key_hash


def id_row_key(tx_id: bytes, author_ref: bytes) -> bytes:
    """Where the place is noted at which this author consumed this transaction id."""
    return ID_PREFIX + tx_id + author_ref


def history_row_key(height: int, index: int) -> bytes:
    """Where the row of the transaction at this place stands."""
    return HISTORY_PREFIX + height.to_bytes(6, "big") + index.to_bytes(2, "big")


def place_bytes(height: int, index: int) -> bytes:
    """A transaction's place as the 8 bytes of an id row."""
    return height.to_bytes(6, "big") + index.to_bytes(2, "big")


def parse_place(data: bytes) -> tuple[int, int]:
    """Read a place that `place_bytes` wrote."""
    return int.from_bytes(data[:6], "big"), int.from_bytes(data[6:], "big")


def account_ref(number: int) -> bytes:
    """An account as the author in an id row."""
    return b"\x00" + number.to_bytes(4, "big")


def member_ref(number: int) -> bytes:
    """A member as the author in an id row."""
    return b"\x01" + number.to_bytes(4, "big")


def account_key(account_id: bytes) -> bytes:
    """The registry key under which an account id names its number."""
    return b"account/" + account_id


def member_key(member: str) -> bytes:
    """The registry key of a member."""
    return b"member/" + member.encode()


def node_key(node: str) -> bytes:
    """The registry key of a node."""
    return b"node/" + node.encode()


def asset_key(code: str) -> bytes:
    """The registry key of an asset."""
    return b"asset/" + code.encode()


def certifiers_key(from_height: int) -> bytes:
    """The registry key of the certifiers in force from this height on."""
    return CERTIFIERS_PREFIX + from_height.to_bytes(8, "big")


def electorate_key(from_height: int) -> bytes:
    """The registry key of the electorate after this height."""
    return ELECTORATE_PREFIX + from_height.to_bytes(8, "big")


def recovery_key(height: int) -> bytes:
    """The registry key of the recovery whose block is of this height."""
    return RECOVERY_PREFIX + height.to_bytes(8, "big")


def key_hash(key: bytes) -> bytes:
    """The place of a registry key in the tree: the nibbles of this hash."""
    return sha256(key).digest()


_encoder = msgspec.msgpack.Encoder()


def encode_record(record: Record) -> bytes:
    """The canonical encoding of a record of this module.

    It leaves out what `codec.encode` checks field by field: the rules only ever build records from checked
    values, with every sum checked against the largest integer, and several records are encoded for every
    payment.
    """
    return _encoder.encode(record)


def opened_account(
    number: int,
    account_id: bytes,
    member: str,
    asset: str,
    policy: Policy,
    height: int,
    reference: tuple[bytes, ...] = (),
    limit: int = 0,
) -> Account:
    """An account as it is when it opens: version 1, nothing posted, no history."""
    return Account(
        number=number,
        id=account_id,
        member=member,
        asset=asset,
        policy=policy,
        version=1,
        flags=0,
        debits_posted=0,
        credits_posted=0,
        debits_pending=0,
        credits_pending=0,
        limit=limit,
        entry_count=0,
        history_hash=NO_HISTORY,
        last_height=0,
        last_index=0,
        opened_height=height,
        reference=reference,
    )
