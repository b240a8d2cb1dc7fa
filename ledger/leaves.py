"""The leaves of the two trees that seals name beside the state: outcomes, and the log of consumed ids.

It must not know how an outcome is reached. Layouts: formats.md, section 7.
"""

from typing import Annotated

from msgspec import Meta

from ledger.codec import Record, decode, encode
from ledger.fields import ACCOUNT_ID_BYTES, Bin16, Bin32, Uint


class Place(Record, frozen=True):
    """Where a transaction stands: block height, and index in that block."""

    height: Uint
    index: Uint


class OutcomeLeaf(Record, frozen=True):
    """A transaction's outcome number, and for a duplicate the place of the first one."""

    outcome: Uint
    duplicate_of: Annotated[tuple[Place, ...], Meta(max_length=1)] = ()


class IdRecord(Record, frozen=True):
    """That an author consumed an id: where, by which signed content, with which outcome number."""

    author: Annotated[bytes, Meta(min_length=1, max_length=ACCOUNT_ID_BYTES)]
    tx_id: Bin16
    height: Uint
    index: Uint
    signing_hash: Bin32
    outcome: Uint


def outcome_leaf(outcome: int, duplicate_of: tuple[int, int] | None = None) -> bytes:
    """The bytes of an outcome leaf; `duplicate_of` is (height, index)."""
    return encode((int(outcome), () if duplicate_of is None else (duplicate_of,)))


def decode_outcome_leaf(raw: bytes) -> OutcomeLeaf:
    """The outcome leaf in `raw`; raises Malformed."""
    return decode(raw, OutcomeLeaf)


def id_record(
    *, author: bytes, tx_id: bytes, height: int, index: int, signing_hash: bytes, outcome: int
) -> bytes:
    """The bytes of an id record."""
    return encode(IdRecord(author, tx_id, height, index, signing_hash, int(outcome)))
