"""The draft of one block: everything its transactions change, kept beside the state, which stays as it is.

Rules read it like the state and change it only once their checks have passed. Must not know any kind of
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from ledger import records, view
from ledger.keys import tagged
from ledger.leaves import IdRecord
from ledger.policy import Policy
from ledger.records import Account, ConsumedId, HistoryEntry, HistoryRow, encode_record, opened_account
from ledger.state import State
from ledger.view import Seen

_HISTORY_TAG: Final = tagged("history", b"")
_UNCHANGED: Final[Mapping[str, Any]] = MappingProxyType({})
_encode = msgspec.msgpack.Encoder().encode


class Touch(msgspec.Struct, frozen=True, gc=False):
    """That a transaction touches an account: what it posts (minor units), and other fields' new values."""

    account: Account
    debit: int = 0
    credit: int = 0
    changed: Mapping[str, Any] = _UNCHANGED


class Draft:
    """The working set of one block over a State; it is itself what the rules read."""

    def __init__(self, state: State, height: int) -> None:
        """Begin the block of this height."""
        self.state = state
        self.height = height
        self.registry = state.registry
        self.before: dict[bytes, Account | None] = {}
        self.accounts: dict[bytes, Account] = {}
        self.rows: list[HistoryRow] = []
        self.history_changes: dict[bytes, bytes] = {}
        self.id_changes: dict[bytes, bytes] = {}
        self.log_leaves: list[bytes] = []
        self.account_count = state.progress.account_count
        self._seen: dict[bytes, Seen] = {}
        self._refs: dict[bytes, bytes] = {}
        # Every account read or changed so far: most are asked for several times in one transaction.
        self._read: dict[bytes, Account] = {}

    def account_by_id(self, account_id: bytes) -> Account | None:
        """The account of this id as the block has left it so far, or None."""
        account = self._read.get(account_id)
        if account is None:
            account = self.state.account_by_id(account_id)
            if account is not None:
                self._read[account_id] = account
        return account

    def seen(self, author: bytes, tx_id: bytes) -> Seen | None:
        """Where this author consumed this id, in this block or before, or None."""
        ref = self._refs.get(author) or self._ref(author)
        if ref is None:
            return None
        return self._seen.get(tx_id + ref) or view.seen_in(self.state.reader, tx_id, ref)

    def new_account(
        self, account_id: bytes, member: str, asset: str, policy: Policy, reference: tuple[bytes, ...]
    ) -> Account:
        """Give out the next number; the account stands in the draft once it is posted to."""
        account = opened_account(
            self.account_count, account_id, member, asset, policy, self.height, reference
        )
        self.account_count += 1
        self.before[account_id] = None
        return account

    def record(
        self,
        *,
        outcome: int,
        duplicate_of: tuple[tuple[int, int], ...],
        leaf_hash: bytes,
        consumed: tuple[ConsumedId, ...],
        touches: tuple[Touch, ...],
    ) -> None:
        """Write the next transaction's row, and its entry into the history of every account it touches."""
        index = len(self.rows)
        entries = tuple([self._post(touch, leaf_hash, outcome, index) for touch in touches])
        row = HistoryRow(outcome, duplicate_of, leaf_hash, consumed, entries)
        self.rows.append(row)
        self.history_changes[records.history_row_key(self.height, index)] = encode_record(row)

    def consume_id(self, author: bytes, tx_id: bytes, signing_hash: bytes, outcome: int) -> ConsumedId:
        """Note that the next transaction uses its id up, and append its record to the log of ids.

        Gives what that transaction's row says of it.
        """
        ref = self._refs.get(author) or self._ref(author)
        if ref is None:
            raise LookupError(f"Author {author.hex()} consumes an id but is neither account nor member.")
        index = len(self.rows)
        self._seen[tx_id + ref] = Seen(self.height, index, signing_hash, outcome)
        self.id_changes[records.ID_PREFIX + tx_id + ref] = records.place_bytes(self.height, index)
        leaf = _encode(IdRecord(author, tx_id, self.height, index, signing_hash, outcome))
        self.log_leaves.append(sha256(b"\x00" + leaf).digest())
        return ConsumedId(ref, tx_id, signing_hash)

    def _post(self, touch: Touch, leaf_hash: bytes, outcome: int, index: int) -> HistoryEntry:
        account, debit, credit = touch.account, touch.debit, touch.credit
        summary = _encode((outcome, self.height, index, debit, credit))
        history_hash = sha256(_HISTORY_TAG + account.history_hash + leaf_hash + summary).digest()
        entry_count = account.entry_count + 1
        posted = replace(
            account,
            debits_posted=account.debits_posted + debit,
            credits_posted=account.credits_posted + credit,
            entry_count=entry_count,
            history_hash=history_hash,
            last_height=self.height,
            last_index=index,
        )
        account_id = account.id
        self.before.setdefault(account_id, account)
        self.accounts[account_id] = self._read[account_id] = (
            replace(posted, **touch.changed) if touch.changed else posted
        )
        return HistoryEntry(
            account.number, debit, credit, entry_count, account.last_height, account.last_index
        )

    def _ref(self, author: bytes) -> bytes | None:
        account = self.account_by_id(author) if author[0] == 0 else None
        if account is not None:
            ref = records.account_ref(account.number)
        else:
            member = self.registry.members.get(author.decode("ascii", "replace"))
            if member is None:
                return None
            ref = records.member_ref(member.number)
        self._refs[author] = ref
        return ref
