"""The chain of a snapshot, block by block: headers, seals, and the rows of their transactions.

Each block must follow on the one before, and its rows must lead to what its header and its seal say: the
transactions' root, the outcomes' root, the log of ids, and in the end every account's history. It must not
know sections or chunks, nor which seal is certified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ledger import merkle, records
from ledger.block import Header, block_hash
from ledger.certificate import InvalidCertificate, Seal, decode_seal, seal_hash
from ledger.codec import Malformed, decode
from ledger.handovers import HandedOver, check_recovered
from ledger.leaves import IdRecord, outcome_leaf
from ledger.merkle import Frontier
from ledger.records import HistoryRow, Progress
from ledger.snapshot import CHAIN, BlockItem, SnapshotInvalid
from ledger.snapshot_history import Histories, HistoryBroken
from ledger.state import basis_height

_EXECUTED_LEAF_HASH: Final = merkle.leaf_hash(outcome_leaf(0))
_encode = msgspec.msgpack.Encoder().encode


class ProvenBlock(NamedTuple):
    """What a node keeps of a block below its snapshot: the bytes of its header and of its height's seal."""

    height: int
    term: int
    header: bytes
    seal: bytes


@dataclass(slots=True)
class _OpenBlock:
    """The block whose rows are coming in."""

    item: BlockItem
    header: Header
    hash: bytes
    seal: Seal
    rows: list[bytes] = field(default_factory=list)


class ChainProof:
    """The chain from genesis on, as far as it has come in; `last` is where it stands."""

    def __init__(
        self,
        genesis: Progress,
        histories: Histories,
        members: Callable[[int], bytes],
        reached: HandedOver,
    ) -> None:
        """`histories` are of the accounts that the rows must lead to, `members` gives ids by number.

        The blocks that recoveries on the way to `reached` go on from must be here.
        """
        self.last = genesis
        self._reached = reached
        self._histories = histories
        self._members = members
        self._open: _OpenBlock | None = None

    def take(self, items: Sequence[bytes], rows: dict[bytes, bytes]) -> list[ProvenBlock]:
        """The next items: the blocks that they complete, whose rows are added to `rows`.

        Raises SnapshotInvalid.
        """
        blocks = []
        for item in items:
            if self._open is None:
                self._open = self._begin(item)
            else:
                self._open.rows.append(item)
            if len(self._open.rows) == self._open.header.tx_count:
                done, self._open = self._open, None
                self._close(done, rows)
                blocks.append(
                    ProvenBlock(done.header.height, done.header.term, done.item.header, done.item.seal)
                )
        return blocks

    def check_end(self, height: int, seal_raw: bytes) -> None:
        """It must end with this height and its certified seal, and with every account as its record is.

        Raises SnapshotInvalid.
        """
        if self._open is not None:
            raise _invalid(self._open.header.height, "rows of its transactions are missing")
        if self.last.height != height:
            raise SnapshotInvalid(CHAIN, f"it ends with block {self.last.height}, not with {height}")
        if self.last.seal_raw != seal_raw:
            raise _invalid(height, "its seal is not the certified one")
        try:
            self._histories.check_end()
        except HistoryBroken as error:
            raise SnapshotInvalid(CHAIN, str(error)) from error

    def _begin(self, raw: bytes) -> _OpenBlock:
        height = self.last.height + 1
        try:
            item = decode(raw, BlockItem)
            block = _OpenBlock(
                item, decode(item.header, Header), block_hash(item.header), decode_seal(item.seal)
            )
        except Malformed as error:
            raise _invalid(height, error.reason) from error
        header, seal, last = block.header, block.seal, self.last
        agreed = {
            "its header's height": header.height == height,
            "its header's network": header.network_id == last.network_id,
            "its parent": header.parent_hash == last.block_hash,
            "its seal's height": seal.height == height,
            "its seal's network": seal.network_id == last.network_id,
            "its seal's parent": seal.parent_seal_hash == last.seal_hash,
            "its seal's block": seal.header_hash == block.hash,
        }
        for what, agrees in agreed.items():
            if not agrees:
                raise _invalid(height, f"{what} is another")
        try:
            check_recovered(self._reached, seal)
        except InvalidCertificate as error:
            raise _invalid(height, str(error)) from error
        return block

    def _close(self, block: _OpenBlock, rows: dict[bytes, bytes]) -> None:
        """All rows of a block are here: they must lead to the roots in its header and its seal."""
        height = block.header.height
        tx_leaves: list[bytes] = []
        outcome_leaves: list[bytes] = []
        id_leaves: list[bytes] = []
        for index, raw in enumerate(block.rows):
            try:
                row = decode(raw, HistoryRow)
                self._histories.post(row, height, index)
                id_leaves += self._id_leaves(row, height, index, rows)
            except (Malformed, HistoryBroken) as error:
                raise _invalid(height, f"transaction {index}: {error}") from error
            tx_leaves.append(row.leaf_hash)
            outcome_leaves.append(_outcome_leaf_hash(row))
            rows[records.history_row_key(height, index)] = raw
        log = self.last.log.append(id_leaves)
        reached = {
            "transactions": merkle.root(tx_leaves) == block.header.tx_root,
            "outcomes": merkle.root(outcome_leaves) == block.seal.outcomes_root,
            "consumed ids": log.root() == block.seal.log_root,
        }
        for what, leads in reached.items():
            if not leads:
                raise _invalid(height, f"its {what} don't lead to the root that is certified with it")
        self.last = _after(self.last, block, log)

    def _id_leaves(
        self, row: HistoryRow, height: int, index: int, rows: dict[bytes, bytes]
    ) -> tuple[bytes, ...]:
        """The leaf of the id that a row consumed, if it did; the id's own row is added."""
        if not row.consumed:
            if row.entries:
                raise HistoryBroken("it has entries though it consumed no id")
            return ()
        (consumed,) = row.consumed
        number = int.from_bytes(consumed.author_ref[1:], "big")
        if consumed.author_ref == records.account_ref(number):
            author = self._histories.account_id(number)
            if row.entries and row.entries[0].number != number:
                raise HistoryBroken("its author's entry doesn't come first")
        elif consumed.author_ref == records.member_ref(number):
            author = self._members(number)
        else:
            raise HistoryBroken("its author is neither an account nor a member")
        leaf = IdRecord(author, consumed.tx_id, height, index, consumed.signing_hash, row.outcome)
        rows[records.id_row_key(consumed.tx_id, consumed.author_ref)] = records.place_bytes(height, index)
        return (merkle.leaf_hash(_encode(leaf)),)


def _outcome_leaf_hash(row: HistoryRow) -> bytes:
    if row.outcome == 0 and not row.duplicate_of:
        return _EXECUTED_LEAF_HASH
    return merkle.leaf_hash(_encode((row.outcome, row.duplicate_of)))


def _after(last: Progress, block: _OpenBlock, log: Frontier) -> Progress:
    header = block.header
    return replace(
        last,
        epoch=header.epoch,
        height=header.height,
        header_raw=block.item.header,
        block_hash=block.hash,
        term=header.term,
        time_ms=header.time_ms,
        basis_height=basis_height(last.term, last.basis_height, header.height, header.term),
        seal_raw=block.item.seal,
        seal_hash=seal_hash(block.item.seal),
        log=log,
    )


def _invalid(height: int, what: str) -> SnapshotInvalid:
    return SnapshotInvalid(CHAIN, f"block {height}: {what}")
