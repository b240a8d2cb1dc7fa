"""The log as Raft reads it back, and its unexecuted end as the next block must follow it.

It must not know roles, peers or where blocks come from. Used on the loop alone; the disk is behind the Store.
"""

from collections.abc import Sequence
from typing import NamedTuple

from consensus.errors import InvariantBroken
from consensus.membership import MembershipAt
from consensus.messages import Entry, HardState
from consensus.storage import entry_size_bytes, limit_bytes
from ledger.block import Block, Parent, decode_block, parent_of
from ledger.envelope import Envelope
from ledger.state import basis_height
from node.membership import raft_membership
from node.records import CorruptRecord, block_key
from node.store import Store

CACHE_BYTES = 32 * 1024 * 1024
"""Newest entries kept in memory, so that followers a little behind cost no reads."""


class Checked(NamedTuple):
    """A block whose validity this node has established, signatures included, and its decoded envelopes."""

    block: Block
    envelopes: tuple[Envelope, ...]


class Link(NamedTuple):
    """A block of the log as its successor sees it, and its basis height."""

    parent: Parent
    basis: int


def link_after(link: Link, block: Block) -> Link:
    """The link that `block` makes when it follows `link`."""
    header = block.header
    return Link(
        parent_of(block, link.parent), basis_height(link.parent.term, link.basis, header.height, header.term)
    )


class LogTail:
    """A consensus LogStorage, plus what is known of every block above the executed height."""

    def __init__(self, store: Store, executed: Link, changed_height: int) -> None:
        """Begin from the stored log; `executed` is the last executed block, of a height within that log, and
        `changed_height` that of the block which put the membership after it in force.
        """
        self._store = store
        self._changed_height = changed_height
        self._entries: dict[int, Entry] = {}
        self._cached_bytes = 0
        self._staged: dict[tuple[int, int], Checked] = {}
        self._checked: dict[int, Checked] = {}
        self.executed = self.last_height = executed.parent.height
        self._links = {self.executed: executed}
        for height in range(self.executed + 1, store.log_end + 1):
            self.take((self._stored(height),))

    # What Raft reads: see consensus.storage.LogStorage.

    def hard_state(self) -> HardState:
        """Term and vote as stored."""
        return self._store.hard_state()

    def memberships(self) -> tuple[MembershipAt, ...]:
        """What is in force after the executed block, and what later blocks of the stored log change; only
        asked when Raft is made.
        """
        before = self._links[self.executed].parent
        found = [MembershipAt(self._changed_height, raft_membership(before.membership))]
        for height in range(self.executed + 1, self.last_height + 1):
            parent = self._links[height].parent
            if parent.membership_version != before.membership_version:
                found.append(MembershipAt(height, raft_membership(parent.membership)))
            before = parent
        return tuple(found)

    def first_index(self) -> int:
        """After the blocks whose bodies are no longer held here."""
        return self._store.pruned + 1

    def last_index(self) -> int:
        """The end of the stored log; only asked when Raft is made."""
        return self._store.log_end

    def term(self, index: int) -> int:
        """The term at `index`, which may be the one before the first that is held; 0 for genesis."""
        link = self._links.get(index)
        if link is not None:
            return link.parent.term
        return self._store.base_term if index == self._store.pruned else self._entry(index).term

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `first` to `last`, as many as fit but at least one."""
        found: list[Entry] = []
        size = 0
        for height in range(first, last + 1):
            found.append(self._entry(height))
            size += entry_size_bytes(found[-1])
            if size > max_bytes:
                break
        return limit_bytes(found, max_bytes)

    # What the driver writes.

    def stage(self, checked: Checked) -> None:
        """A block that is about to be proposed or stepped; `take` will find it if it enters the log."""
        self._staged[checked.block.header.height, checked.block.header.term] = checked

    def unstage(self) -> None:
        """Forget what was staged and didn't enter the log."""
        self._staged.clear()

    def take(self, entries: Sequence[Entry]) -> None:
        """These entries have entered the log, in place of all from the first of them on."""
        first = entries[0].index
        for height in range(first, self.last_height + 1):
            self._links.pop(height, None)
            self._checked.pop(height, None)
            self._drop_cached(height)
        for entry in entries:
            self._take(entry)
        while self._cached_bytes > CACHE_BYTES and len(self._entries) > 1:
            self._drop_cached(next(iter(self._entries)))

    def mark_executed(self, height: int) -> None:
        """The block at `height` is executed: only its link is needed, for its successor."""
        self.executed = height
        self._checked.pop(height, None)
        self._links.pop(height - 1, None)

    # What is known of the unexecuted end.

    def link(self, height: int) -> Link | None:
        """The block at `height` as a parent, for heights from the executed one to the end of the log."""
        return self._links.get(height)

    @property
    def last_link(self) -> Link:
        """The end of the log as a parent."""
        return self._links[self.last_height]

    def checked(self, height: int, term: int) -> Checked | None:
        """The decoded block at `height`, if this process has checked it and it is of `term`."""
        found = self._checked.get(height)
        return found if found is not None and found.block.header.term == term else None

    def unexecuted(self) -> list[Checked]:
        """The decoded blocks above the executed height that are known."""
        return list(self._checked.values())

    def cached(self, index: int) -> Entry | None:
        """The entry at `index`, if it is in memory."""
        return self._entries.get(index)

    def _take(self, entry: Entry) -> None:
        checked = self._staged.pop((entry.index, entry.term), None)
        block = checked.block if checked is not None else decode_block(entry.data)
        before = self._links.get(entry.index - 1)
        if before is None or before.parent.hash != block.header.parent_hash:
            raise InvariantBroken(
                f"block {entry.index} entered the log without being checked against its parent"
            )
        self._links[entry.index] = link_after(before, block)
        if checked is not None:
            self._checked[entry.index] = checked
        self._entries[entry.index] = entry
        self._cached_bytes += entry_size_bytes(entry)
        self.last_height = entry.index

    def _entry(self, height: int) -> Entry:
        entry = self._entries.get(height)
        return entry if entry is not None else self._stored(height)

    def _stored(self, height: int) -> Entry:
        entry = self._store.entry(height)
        if entry is None:
            raise CorruptRecord(block_key(height), height, "it is missing from the log")
        return entry

    def _drop_cached(self, height: int) -> None:
        entry = self._entries.pop(height, None)
        if entry is not None:
            self._cached_bytes -= entry_size_bytes(entry)
