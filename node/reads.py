"""What the API reads: payments, accounts, blocks and receipts, out of the store's rows.

Every function may run on any thread; none changes anything. It knows nothing of submissions, Raft
or asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from api.ports import (
    AccountView,
    Ambiguous,
    BlockPruned,
    BlockView,
    Forgotten,
    HistoryEntry,
    HistoryPage,
    NotCertified,
    NotFound,
    PaymentView,
    Place,
    Position,
    Status,
)
from ledger.block import Block, decode_block
from ledger.cache import GenerationCache
from ledger.certificate import decode_certificate, decode_seal
from ledger.handovers import Handover, HandoverMissing, handovers_below
from ledger.json_form import format_uuid
from ledger.leaves import outcome_leaf
from ledger.outcome import Outcome
from ledger.receipt import MAX_SEALS, build_receipt
from ledger.records import Progress
from ledger.registry import Registry
from ledger.state import load_progress
from ledger.view import HistoryItem, ReadView, Seen
from node.records import SealedHeader
from node.store import Store

BLOCK_CACHE = 64
"""Decoded blocks kept for reads; a page of history is mostly of the newest."""
HASH_SEARCH_BLOCKS = 100_000
"""How many of the newest blocks are searched for a hash: about a second's work."""


class Sealed(NamedTuple):
    """A height's seal, and what certifies it.

    `seals` are those from that height's up to, not including, the certificate's own: each is the parent of
    the next.
    """

    seal: bytes
    seals: tuple[bytes, ...]
    certificate: bytes


class Reads:
    """Reads over one store; `registry` gives the newest executed one, `certified` the certified height."""

    def __init__(
        self,
        store: Store,
        registry: Callable[[], Registry],
        certified: Callable[[], int],
        holders: Callable[[int], Sequence[str]],
    ) -> None:
        """Nothing is read yet; `holders` gives other nodes that hold the block of a height."""
        self._holders = holders
        self._store = store
        self._certified = certified
        self._registry = registry
        self._view = ReadView(store, registry)
        self._blocks: GenerationCache[int, Block] = GenerationCache(BLOCK_CACHE)

    def progress(self) -> Progress:
        """What the newest executed block came to."""
        return load_progress(self._store)

    def position(self) -> Position:
        """The newest executed block's height and time."""
        progress = self.progress()
        return Position(progress.height, progress.time_ms)

    def payment(self, tx_id: bytes, author: bytes | None) -> PaymentView:
        """An executed transaction by id; raises NotFound or Ambiguous."""
        seen = self._find(tx_id, author)
        block = self._block(seen.height)
        return PaymentView(
            status=self._status(seen.height),
            envelope=block.body[seen.index],
            outcome=Outcome(seen.outcome),
            place=Place(seen.height, seen.index),
            time_ms=block.header.time_ms,
        )

    def receipt(self, tx_id: bytes, author: bytes | None) -> bytes:
        """Its receipt; raises NotFound, Ambiguous, or NotCertified while no certificate covers it."""
        seen = self._find(tx_id, author)
        certified_height, certificate = self._certificate_over(
            seen.height, f"Payment {tx_id.hex()} stands in block {seen.height}"
        )
        return build_receipt(
            genesis=self._store.genesis_raw,
            block=self._block(seen.height),
            index=seen.index,
            outcome_leaves=self._outcome_leaves(seen.height),
            seals=self._seals(seen.height, certified_height),
            handovers=self._handovers(certified_height),
            certificate=decode_certificate(certificate),
        )

    def account(self, account_id: bytes) -> AccountView:
        """An account's record; raises NotFound."""
        position = self.position()
        account = self._view.account_by_id(account_id)
        if account is None:
            raise NotFound(f"There is no account {account_id.hex()} at height {position.height}.")
        return AccountView(account, position)

    def history(self, account_id: bytes, cursor: Place | None, limit: int) -> HistoryPage:
        """A page of an account's history, newest first, as far as its transactions are held here.

        Raises NotFound, for a foreign cursor too, and BlockPruned where not even the first one is held: the
        rows that stay have the amounts, but neither what was asked for nor who signed.
        """
        account = self.account(account_id).account
        start = None if cursor is None else (cursor.height, cursor.index)
        try:
            items, following = self._view.history(account, start, limit)
        except KeyError as error:
            raise NotFound(str(error.args[0])) from error
        held = [item for item in items if item.height > self._store.pruned] or items
        if len(held) < len(items):
            following = (items[len(held)].height, items[len(held)].index)
        entries = tuple(self._history_entry(item) for item in held)
        if following is None:
            return HistoryPage(entries, None)
        return HistoryPage(entries, Place(*following), self._forgotten(following[0]))

    def block(self, height: int) -> BlockView:
        """An executed block as stored, and its certificate; raises NotFound."""
        block = self._block(height)
        return BlockView(height, block.raw, self._store.certificate(height))

    def height_of_block(self, block_hash: bytes) -> int:
        """The height of the block with this hash, among the newest ones; raises NotFound."""
        newest = self.progress()
        if newest.block_hash == block_hash and newest.height:
            return newest.height
        lowest = max(1, newest.height - HASH_SEARCH_BLOCKS)
        for height in range(newest.height - 1, lowest - 1, -1):
            block = self._store.header(height)
            if block is not None and decode_seal(block.seal).header_hash == block_hash:
                return height
        raise NotFound(
            f"No block from height {lowest} to {newest.height} has the hash {block_hash.hex()}. "
            "Ask for older blocks by height."
        )

    def sealed(self, height: int) -> Sealed:
        """The seal of an executed height and the first certificate that covers it.

        Every node has the seal, for execution makes it; only those that certify have signed it. Raises
        NotFound for a height that isn't executed here, NotCertified while no certificate covers it.
        """
        seal = self._sealed(height).seal
        certified_height, certificate = self._certificate_over(
            height, f"The proof was taken at height {height}"
        )
        return Sealed(seal, self._seals(height, certified_height), certificate)

    def _find(self, tx_id: bytes, author: bytes | None) -> Seen:
        authors: Sequence[bytes] = self._view.authors_of(tx_id) if author is None else (author,)
        if len(authors) > 1:
            raise Ambiguous(
                f"The id {format_uuid(tx_id)} was used by {len(authors)} authors: name one of them.",
                tuple(authors),
            )
        seen = self._view.seen(authors[0], tx_id) if authors else None
        if seen is None:
            height = self.position().height
            raise NotFound(f"No payment {format_uuid(tx_id)} stands on the chain up to height {height}.")
        return seen

    def _block(self, height: int) -> Block:
        block = self._blocks.get(height)
        if block is not None:
            return block
        if 1 <= height <= self._store.pruned:
            raise BlockPruned(self._pruned_words(height))
        executed = self.progress().height
        entry = self._store.entry(height) if 1 <= height <= executed else None
        if entry is None:
            raise NotFound(
                f"There is no block {height} here: this node has executed heights 1 to {executed}."
            )
        block = decode_block(entry.data)
        self._blocks.put(height, block)
        return block

    def _handovers(self, certified_height: int) -> tuple[Handover, ...]:
        try:
            return handovers_below(self._registry(), certified_height, self._store.certificate)
        except HandoverMissing as error:
            raise NotCertified(f"Here {error}; another node may hold it.") from error

    def _forgotten(self, height: int) -> Forgotten | None:
        """Who holds the block of a height that this node has forgotten; None where it hasn't."""
        pruned = self._store.pruned
        return Forgotten(pruned, tuple(self._holders(height))) if height <= pruned else None

    def _pruned_words(self, height: int) -> str:
        holders = self._holders(height)
        where = (
            f"{', '.join(holders)} said last that they hold it" if holders else "no node that it hears does"
        )
        return (
            f"Transactions of blocks up to {self._store.pruned} aren't held here; of block {height} {where}."
        )

    def _sealed(self, height: int) -> SealedHeader:
        block = self._store.header(height)
        if block is None:
            raise NotFound(f"This node has executed no block {height}.")
        return block

    def _seals(self, height: int, certified_height: int) -> tuple[bytes, ...]:
        return tuple(self._sealed(each).seal for each in range(height, certified_height))

    def _certificate_over(self, height: int, what: str) -> tuple[int, bytes]:
        """The first certificate that covers a height, and its own height; `what` needs it."""
        found = self._store.certificate_from(height)
        if found is None or found[0] - height > MAX_SEALS:
            raise NotCertified(f"{what}; this node holds certificates up to height {self._certified()}.")
        return found

    def _outcome_leaves(self, height: int) -> list[bytes]:
        leaves = []
        for index in range(len(self._block(height).body)):
            row = self._view.history_row(height, index)
            if row is None:
                raise NotFound(f"The outcome of transaction {index} of block {height} is not held here.")
            leaves.append(outcome_leaf(row.outcome, row.duplicate_of[0] if row.duplicate_of else None))
        return leaves

    def _history_entry(self, item: HistoryItem) -> HistoryEntry:
        block = self._block(item.height)
        return HistoryEntry(
            place=Place(item.height, item.index),
            envelope=block.body[item.index],
            outcome=Outcome(item.row.outcome),
            time_ms=block.header.time_ms,
            entry_count=item.entry.entry_count,
            debit=item.entry.debit,
            credit=item.entry.credit,
        )

    def _status(self, height: int) -> Status:
        return Status.CERTIFIED if height <= self._certified() else Status.EXECUTED
