"""The histories of all accounts, followed row by row from the first on, and held against their records.

What a row says of an account is bound by that account's history hash (formats.md, section 8), so rows that
lead to every account's record are the rows of the chain. Kept in flat arrays: a million accounts take 90 MB.
It must not know blocks, trees or where rows come from.
"""

from __future__ import annotations

from array import array
from hashlib import sha256
from typing import Final

import msgspec

from ledger.fields import ACCOUNT_ID_BYTES
from ledger.keys import tagged
from ledger.records import NO_HISTORY, Account, HistoryRow

HASH_BYTES: Final = 32
_PLACE_INDEX_BITS: Final = 16
_HISTORY_TAG: Final = tagged("history", b"")
_encode = msgspec.msgpack.Encoder().encode


class HistoryBroken(Exception):
    """A row, or an account's record, that doesn't follow from the rows before it; the text says how."""


class Histories:
    """Where every account's history stands, and where its record says that it ends."""

    def __init__(self) -> None:
        """No account yet."""
        self._ids = bytearray()
        self._hashes = bytearray()
        self._counts = array("Q")
        self._places = array("Q")
        self._final_hashes = bytearray()
        self._final_counts = array("Q")
        self._final_places = array("Q")

    @property
    def count(self) -> int:
        """How many accounts there are."""
        return len(self._counts)

    def add(self, account: Account) -> None:
        """The next account, as its record is in the end."""
        self._ids += account.id
        self._hashes += NO_HISTORY
        self._counts.append(0)
        self._places.append(0)
        self._final_hashes += account.history_hash
        self._final_counts.append(account.entry_count)
        self._final_places.append(_place(account.last_height, account.last_index))

    def account_id(self, number: int) -> bytes:
        """The id of the account of this number; raises HistoryBroken where there is none."""
        self._check_number(number)
        return bytes(self._ids[number * ACCOUNT_ID_BYTES : (number + 1) * ACCOUNT_ID_BYTES])

    def post(self, row: HistoryRow, height: int, index: int) -> None:
        """Follow one row's entries; raises HistoryBroken."""
        place, counts, places, hashes = _place(height, index), self._counts, self._places, self._hashes
        for entry in row.entries:
            number = entry.number
            self._check_number(number)
            before = _place(entry.prev_height, entry.prev_index)
            if entry.entry_count != counts[number] + 1 or before != places[number]:
                raise HistoryBroken(f"the entry of account {number} doesn't follow on the one before it")
            start = number * HASH_BYTES
            summary = _encode((row.outcome, height, index, entry.debit, entry.credit))
            hashes[start : start + HASH_BYTES] = sha256(
                _HISTORY_TAG + hashes[start : start + HASH_BYTES] + row.leaf_hash + summary
            ).digest()
            counts[number] += 1
            places[number] = place

    def check_end(self) -> None:
        """Every history must end where its account's record says; raises HistoryBroken naming one."""
        for number in range(self.count):
            start = number * HASH_BYTES
            agrees = (
                self._counts[number] == self._final_counts[number]
                and self._places[number] == self._final_places[number]
                and self._hashes[start : start + HASH_BYTES] == self._final_hashes[start : start + HASH_BYTES]
            )
            if not agrees:
                raise HistoryBroken(f"the rows don't lead to the history of account {number}")

    def _check_number(self, number: int) -> None:
        if number >= self.count:
            raise HistoryBroken(f"there is no account {number} among {self.count}")


def _place(height: int, index: int) -> int:
    """A place as one integer; no height has more than 2¹⁶ transactions."""
    if index >> _PLACE_INDEX_BITS or height >> (63 - _PLACE_INDEX_BITS):
        raise HistoryBroken(f"height {height}, index {index} is no place on a chain")
    return height << _PLACE_INDEX_BITS | index
