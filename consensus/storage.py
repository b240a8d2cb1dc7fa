"""What the core reads back from the disk, as a Protocol, and the same in memory for simulations and tests.

It must not know files or databases. Writing is the caller's work: it persists each Ready in order
(docs/consensus.md).
"""

from typing import Protocol

from consensus.errors import InvariantBroken
from consensus.membership import MembershipAt, decode_membership
from consensus.messages import Entry, EntryType, HardState, Membership, SnapshotMeta

ENTRY_OVERHEAD_BYTES = 32


def entry_size_bytes(entry: Entry) -> int:
    """What an entry counts for in the limits on bytes: its data and an allowance for its other fields."""
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


def limit_bytes(entries: tuple[Entry, ...] | list[Entry], max_bytes: int) -> tuple[Entry, ...]:
    """The longest prefix within `max_bytes`, but at least one entry if there is any."""
    size = 0
    for count, entry in enumerate(entries):
        size += entry_size_bytes(entry)
        if size > max_bytes and count:
            return tuple(entries[:count])
    return tuple(entries)


class LogStorage(Protocol):
    """The durable log: everything that was there when the core was made, and every Ready advanced since.

    The core reads entries only up to what it knows to be synced, so a write in flight never disturbs it.
    All that is readable when the core is made must already be synced.
    """

    def hard_state(self) -> HardState:
        """Term and vote; HardState() if none was ever stored."""
        ...

    def memberships(self) -> tuple[MembershipAt, ...]:
        """The membership in force at an index that is applied, and those that entries above it say,
        ascending.
        """
        ...

    def first_index(self) -> int:
        """The index of the first entry held; of the one before it (genesis is index 0, term 0) only the
        term.
        """
        ...

    def last_index(self) -> int:
        """The index of the last entry held, or first_index() - 1 if there is none."""
        ...

    def term(self, index: int) -> int:
        """The term of an entry, for first_index() - 1 <= index <= last_index()."""
        ...

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `first` up to `last`, as many as fit in `max_bytes`, but at least one."""
        ...


class MemoryStorage:
    """A LogStorage in memory, with the writes a caller makes for a Ready.

    The data of its MEMBERSHIP entries has the form of `encode_membership`.
    """

    def __init__(self, membership: Membership, base_index: int = 0, base_term: int = 0) -> None:
        """An empty log that begins after (`base_index`, `base_term`), where `membership` is in force."""
        self._membership = membership
        self._hard_state = HardState()
        self._base_index = base_index
        self._base_term = base_term
        self._entries: list[Entry] = []

    def hard_state(self) -> HardState:
        """See LogStorage."""
        return self._hard_state

    def memberships(self) -> tuple[MembershipAt, ...]:
        """See LogStorage."""
        changes = [entry for entry in self._entries if entry.type is EntryType.MEMBERSHIP]
        return (
            MembershipAt(self._base_index, self._membership),
            *(MembershipAt(entry.index, decode_membership(entry.data)) for entry in changes),
        )

    def first_index(self) -> int:
        """See LogStorage."""
        return self._base_index + 1

    def last_index(self) -> int:
        """See LogStorage."""
        return self._base_index + len(self._entries)

    def term(self, index: int) -> int:
        """See LogStorage; raises InvariantBroken for an index that isn't held."""
        if index == self._base_index:
            return self._base_term
        return self._entry(index).term

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """See LogStorage; raises InvariantBroken for an index that isn't held."""
        self._entry(first)
        self._entry(last)
        return limit_bytes(self._entries[first - self._base_index - 1 : last - self._base_index], max_bytes)

    def set_hard_state(self, hard_state: HardState) -> None:
        """Store a Ready's hard state."""
        self._hard_state = hard_state

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Store a Ready's entries; what was held from the first of them on is replaced."""
        if not entries:
            return
        first = entries[0].index
        if not self.first_index() <= first <= self.last_index() + 1:
            raise InvariantBroken(
                f"entry {first} doesn't join the stored log, which ends at {self.last_index()}"
            )
        del self._entries[first - self._base_index - 1 :]
        self._entries.extend(entries)

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, which a snapshot covers; keep the term of that one."""
        if index <= self._base_index:
            return
        term = self.term(index)
        held = [each.membership for each in self.memberships() if each.index <= index]
        self._membership = held[-1]
        del self._entries[: index - self._base_index]
        self._base_index, self._base_term = index, term

    def install(self, meta: SnapshotMeta) -> None:
        """Store a Ready's snapshot: the log then begins, empty, after it."""
        self._entries = []
        self._base_index, self._base_term = meta.index, meta.term
        self._membership = meta.membership

    def _entry(self, index: int) -> Entry:
        if not self.first_index() <= index <= self.last_index():
            raise InvariantBroken(
                f"entry {index} isn't stored; the log holds {self.first_index()} to {self.last_index()}"
            )
        return self._entries[index - self._base_index - 1]
