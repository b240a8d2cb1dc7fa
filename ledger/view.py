"""Reading the state: what the rules ask of it, and a plain view over stored rows that any thread may use.

Must not know the rules, nor change anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec

from ledger import records
from ledger.cache import GenerationCache
from ledger.codec import Malformed, decode
from ledger.fields import ACCOUNT_ID_BYTES
from ledger.records import (
    Account,
    AccountNumber,
    AssetRecord,
    HistoryEntry,
    HistoryRow,
    MemberRecord,
    NodeRecord,
    RegistryRow,
)
from ledger.registry import Registry

NUMBER_CACHE_SIZE: Final = 65_536
"""At most this many account ids with their numbers, which never change, are kept by a view."""

R = TypeVar("R")


class StateCorrupted(Exception):
    """Stored state is missing or wrong; the text says which row or root."""


class StateReader(Protocol):
    """The rows of the state, under the keys of docs/formats.md, section 10."""

    def get(self, key: bytes) -> bytes | None:
        """The row at a key, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with a prefix, in the order of their keys."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The first use of a transaction id: its place, what was signed, and how it ended (an outcome number)."""

    height: int
    index: int
    signing_hash: bytes
    outcome: int


class View(Protocol):
    """What the rules read. The node's admission gives one with what it has queued on top."""

    @property
    def registry(self) -> Registry:
        """Members, nodes, assets and schedules."""

    def account_by_id(self, account_id: bytes) -> Account | None:
        """The account of this id, or None."""

    def seen(self, author: bytes, tx_id: bytes) -> Seen | None:
        """Where this author (account id or member id, as in an envelope) consumed this id, or None."""


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One entry of an account's history with its transaction's row and place."""

    height: int
    index: int
    row: HistoryRow
    entry: HistoryEntry


class ReadView:
    """The state as stored rows show it, decoded afresh at each read but for account numbers."""

    def __init__(self, reader: StateReader, registry: Callable[[], Registry]) -> None:
        """Read rows from `reader`, and the registry as `registry` gives it at each moment."""
        self._reader = reader
        self._registry = registry
        self._numbers: GenerationCache[bytes, int] = GenerationCache(NUMBER_CACHE_SIZE)

    @property
    def registry(self) -> Registry:
        """Members, nodes, assets and schedules."""
        return self._registry()

    def account_number(self, account_id: bytes) -> int | None:
        """The number of the account of this id, or None."""
        number = self._numbers.get(account_id)
        if number is None:
            row_key = records.registry_row_key(records.key_hash(records.account_key(account_id)))
            row = self._reader.get(row_key)
            if row is None:
                return None
            number = _read(_read(row, RegistryRow, row_key).value, AccountNumber, row_key).number
            self._numbers.put(account_id, number)
        return number

    def account_by_id(self, account_id: bytes) -> Account | None:
        """The account of this id, or None."""
        number = self.account_number(account_id)
        account = None if number is None else self.account(number)
        if account is not None and account.id != account_id:
            raise StateCorrupted(f"account id {account_id.hex()} names number {number}, which is another's")
        return account

    def account(self, number: int) -> Account | None:
        """The account of this number, or None."""
        key = records.account_row_key(number)
        row = self._reader.get(key)
        return None if row is None else _read(row, Account, key)

    def member(self, member: str) -> MemberRecord | None:
        """The member of this id, or None."""
        return self.registry.members.get(member)

    def node(self, node: str) -> NodeRecord | None:
        """The node of this id, or None."""
        return self.registry.nodes.get(node)

    def asset(self, code: str) -> AssetRecord | None:
        """The asset of this code, or None."""
        return self.registry.assets.get(code)

    def author_ref(self, author: bytes) -> bytes | None:
        """How an author stands in the rows of used ids, or None where there is no such account or member."""
        if len(author) == ACCOUNT_ID_BYTES and author[0] == 0:
            number = self.account_number(author)
            return None if number is None else records.account_ref(number)
        member = self.registry.members.get(author.decode("ascii", "replace"))
        return None if member is None else records.member_ref(member.number)

    def seen(self, author: bytes, tx_id: bytes) -> Seen | None:
        """Where this author consumed this id, or None."""
        ref = self.author_ref(author)
        return None if ref is None else seen_in(self._reader, tx_id, ref)

    def authors_of(self, tx_id: bytes) -> tuple[bytes, ...]:
        """Every author that has consumed this id, as authors stand in envelopes."""
        refs = [key[-5:] for key, _ in self._reader.scan(records.ID_PREFIX + tx_id)]
        return tuple(self._author(ref) for ref in refs)

    def history_row(self, height: int, index: int) -> HistoryRow | None:
        """The row of the transaction at a place, or None."""
        key = records.history_row_key(height, index)
        row = self._reader.get(key)
        return None if row is None else _read(row, HistoryRow, key)

    def history(
        self, account: Account, cursor: tuple[int, int] | None, limit: int
    ) -> tuple[tuple[HistoryItem, ...], tuple[int, int] | None]:
        """Up to `limit` entries, newest first, and the cursor (height, index) at which to go on, or None.

        A cursor is the place of an entry of this account; without one the walk begins at the newest. Raises
        KeyError where the account has no entry at the cursor.
        """
        place = cursor or (account.last_height, account.last_index)
        items: list[HistoryItem] = []
        while place[0] and len(items) < limit:
            item = self._history_item(account, place)
            items.append(item)
            place = (item.entry.prev_height, item.entry.prev_index)
        return tuple(items), (place if place[0] else None)

    def _history_item(self, account: Account, place: tuple[int, int]) -> HistoryItem:
        row = self.history_row(*place)
        for entry in row.entries if row is not None else ():
            if row is not None and entry.number == account.number:
                return HistoryItem(*place, row, entry)
        raise KeyError(
            f"Account number {account.number} has no entry at height {place[0]}, index {place[1]}."
        )

    def _author(self, ref: bytes) -> bytes:
        number = int.from_bytes(ref[1:], "big")
        if ref[0] == 0:
            account = self.account(number)
            if account is None:
                raise StateCorrupted(f"account {number} has used ids but has no row")
            return account.id
        return next(m.id.encode() for m in self.registry.members.values() if m.number == number)


def seen_in(reader: StateReader, tx_id: bytes, author_ref: bytes) -> Seen | None:
    """The first use of an id by an author according to stored rows, or None."""
    place = reader.get(records.id_row_key(tx_id, author_ref))
    if place is None:
        return None
    height, index = records.parse_place(place)
    key = records.history_row_key(height, index)
    row = reader.get(key)
    if row is None:
        raise StateCorrupted(f"id {tx_id.hex()} points to height {height}, index {index}, which has no row")
    history = _read(row, HistoryRow, key)
    if not history.consumed:
        raise StateCorrupted(
            f"id {tx_id.hex()} points to height {height}, index {index}, which consumed none"
        )
    return Seen(height, index, history.consumed[0].signing_hash, history.outcome)


def _read(row: bytes, type_: type[R], key: bytes) -> R:
    try:
        return decode(row, type_)
    except Malformed as error:
        raise StateCorrupted(f"the row at {key.hex()} cannot be read: {error}") from error
