"""The log's indexes, truncation, hand-out and delivery, also against a dumb twin. Must not need a core."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.errors import InvariantBroken
from consensus.log import LogStorage, MemoryStorage, RaftLog, entry_size_bytes, limit_bytes
from consensus.membership import decode_membership
from consensus.messages import Entry, EntryType, Membership, SnapshotMeta
from consensus.storage import ENTRY_OVERHEAD_BYTES

MEMBERSHIP = Membership(("a", "b", "c"))
NO_LIMIT = 1 << 40


def _entries(first: int, *terms: int) -> tuple[Entry, ...]:
    return tuple(Entry(i, term, EntryType.NORMAL, b"%d" % term) for i, term in enumerate(terms, first))


def _storage(*terms: int, base_index: int = 0, base_term: int = 0) -> MemoryStorage:
    storage = MemoryStorage(MEMBERSHIP, base_index, base_term)
    storage.append(_entries(base_index + 1, *terms))
    return storage


def _log(storage: LogStorage, applied: int) -> RaftLog:
    return RaftLog(storage, applied, decode_membership)


def _write(log: RaftLog, storage: MemoryStorage) -> tuple[Entry, ...]:
    """Hand out, store and sync."""
    snapshot, entries = log.hand_out_writes()
    if snapshot is not None:
        storage.install(snapshot)
    storage.append(entries)
    log.written()
    return entries


def test_memory_storage_is_a_log_storage() -> None:
    """It fits the protocol, empty and filled."""
    storage: LogStorage = _storage(1, 1, 2)
    assert (storage.first_index(), storage.last_index(), storage.term(0), storage.term(3)) == (1, 3, 0, 2)
    assert _storage(base_index=7, base_term=4).term(7) == 4


def test_memory_storage_replaces_from_the_first_entry_on() -> None:
    """An append cuts off what was there; a gap or a place that is compacted is refused."""
    storage = _storage(1, 1, 1)
    storage.append(_entries(2, 3))
    assert storage.entries(1, 2, NO_LIMIT) == _entries(1, 1, 3)
    with pytest.raises(InvariantBroken, match="entry 4 doesn't join"):
        storage.append(_entries(4, 3))
    storage.compact(1)
    with pytest.raises(InvariantBroken, match="entry 1 doesn't join"):
        storage.append(_entries(1, 3))


def test_memory_storage_compacts() -> None:
    """The compacted index keeps its term; what is before it is gone; compacting backwards changes nothing."""
    storage = _storage(1, 1, 2)
    storage.compact(2)
    storage.compact(1)
    assert (storage.first_index(), storage.last_index(), storage.term(2)) == (3, 3, 1)
    with pytest.raises(InvariantBroken, match="entry 1 isn't stored"):
        storage.term(1)
    with pytest.raises(InvariantBroken, match="entry 2 isn't stored"):
        storage.entries(2, 3, NO_LIMIT)


@pytest.mark.parametrize(("room", "count"), [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3)])
def test_limit_bytes_gives_at_least_one(room: int, count: int) -> None:
    """As many as fit in the limit, at its boundary too."""
    entries = _entries(1, 1, 1, 1)
    size = entry_size_bytes(entries[0])
    assert size == ENTRY_OVERHEAD_BYTES + 1
    assert limit_bytes(entries, room * size) == entries[:count]
    assert limit_bytes(entries, room * size + size - 1) == entries[:count]
    assert limit_bytes((), 100) == ()


@pytest.mark.parametrize("applied", [4, 5, 6])
def test_starts_from_storage(applied: int) -> None:
    """Applied may be anywhere from the entry before the first to the last."""
    log = _log(_storage(5, 5, base_index=4, base_term=3), applied)
    assert (log.first_index, log.last_index, log.last_term) == (5, 6, 5)
    assert (log.commit, log.delivered, log.stable, log.handed) == (applied, applied, 6, 6)
    assert log.term(4) == 3


@pytest.mark.parametrize("applied", [3, 7])
def test_applied_outside_the_stored_log_is_refused(applied: int) -> None:
    """A state that is ahead of its log, or behind what was compacted, isn't this log's."""
    with pytest.raises(InvariantBroken, match=f"applied index {applied}"):
        _log(_storage(5, 5, base_index=4, base_term=3), applied)


def test_term_outside_the_log_is_refused() -> None:
    """Before the compacted index and after the end."""
    log = _log(_storage(5, 5, base_index=4, base_term=3), 4)
    for index in (3, 7):
        with pytest.raises(InvariantBroken, match=f"term at {index}"):
            log.term(index)
        assert not log.matches(index, 5)


def test_only_a_conflict_truncates() -> None:
    """Entries that are held already leave a longer log alone; a conflict cuts and replaces."""
    log = _log(_storage(1, 1, 1), 0)
    log.accept(_entries(1, 1, 1))
    assert (log.last_index, log.handed, log.stable) == (3, 3, 3)
    log.accept(_entries(2, 1, 2))
    assert (log.last_index, log.last_term, log.handed, log.stable) == (3, 2, 2, 2)
    assert log.hand_out_writes() == (None, _entries(3, 2))


def test_a_committed_entry_is_never_cut() -> None:
    """The entry at the commit index is safe; the one after it isn't."""
    log = _log(_storage(1, 1, 1), 0)
    log.commit_to(2)
    with pytest.raises(InvariantBroken, match="entry 2 is committed"):
        log.accept(_entries(2, 9))
    log.accept(_entries(3, 9))
    assert log.last_term == 9


def test_commit_stays_within_the_log_and_never_falls() -> None:
    """At the last index it's taken, past it the node has lost entries."""
    log = _log(_storage(1, 1), 0)
    assert log.commit_to(2)
    assert not log.commit_to(1)
    assert log.commit == 2
    with pytest.raises(InvariantBroken, match="index 3 is committed"):
        log.commit_to(3)


def test_an_overwritten_write_in_flight_is_handed_out_again() -> None:
    """The replacing entries are new writes, and the old write's completion says nothing about them."""
    storage = _storage(1)
    log = _log(storage, 0)
    log.accept(_entries(2, 2, 2, 2))
    _, first = log.hand_out_writes()
    log.accept(_entries(3, 3))
    _, second = log.hand_out_writes()
    assert (first, second) == (_entries(2, 2, 2, 2), _entries(3, 3))
    storage.append(first)
    log.written()
    assert log.stable == 2
    log.commit_to(3)
    assert log.deliver(NO_LIMIT) + log.deliver(NO_LIMIT) == _entries(1, 1, 2)
    assert not log.has_deliverable()
    storage.append(second)
    log.written()
    assert log.deliver(NO_LIMIT) == _entries(3, 3)


def test_delivers_once_what_is_committed_and_synced() -> None:
    """Unsynced entries wait; the byte limit splits; nothing comes twice."""
    storage = _storage()
    log = _log(storage, 0)
    log.accept(_entries(1, 1, 1, 1))
    log.commit_to(2)
    assert log.deliver(NO_LIMIT) == ()
    _write(log, storage)
    assert log.deliver(1) == _entries(1, 1)
    assert log.has_deliverable()
    assert log.deliver(NO_LIMIT) == _entries(2, 1)
    assert not log.has_deliverable()
    assert log.deliver(NO_LIMIT) == ()


def test_entries_are_read_from_disk_and_from_memory() -> None:
    """Up to the tail they come from storage, then from memory, and after the end there are none."""
    log = _log(_storage(1, 1), 2)
    log.accept(_entries(3, 2, 2))
    assert log.entries_from(1, NO_LIMIT) == _entries(1, 1, 1)
    assert log.entries_from(3, NO_LIMIT) == _entries(3, 2, 2)
    assert log.entries_from(5, NO_LIMIT) == ()


@pytest.mark.parametrize(
    ("index", "term", "found"), [(9, 4, 6), (6, 3, 4), (5, 2, 4), (4, 2, 4), (3, 1, 1), (6, 0, 0), (0, 9, 0)]
)
def test_last_index_of_term_at_most_skips_terms(index: int, term: int, found: int) -> None:
    """The search goes down whole terms, and ends at the start of the log."""
    log = _log(_storage(1, 2, 2, 2, 4, 4), 0)
    assert log.last_index_of_term_at_most(index, term) == found


def test_last_index_of_term_at_most_ends_at_what_is_compacted() -> None:
    """Nothing below the first index is asked for its term."""
    log = _log(_storage(5, 5, base_index=4, base_term=3), 4)
    assert log.last_index_of_term_at_most(6, 1) == 4


def test_up_to_date_compares_terms_before_lengths() -> None:
    """A later last term wins over a longer log; with equal terms the longer wins; equality suffices."""
    log = _log(_storage(1, 3, 3), 0)
    assert log.is_up_to_date(3, 3)
    assert log.is_up_to_date(1, 4)
    assert not log.is_up_to_date(2, 3)
    assert not log.is_up_to_date(9, 2)


def test_append_must_follow_the_last_entry() -> None:
    """The leader can't leave a gap."""
    log = _log(_storage(1), 0)
    with pytest.raises(InvariantBroken, match="entry 3 can't follow 1"):
        log.append(_entries(3, 1)[0])


def test_a_snapshot_replaces_the_log() -> None:
    """It is handed out once, before entries that follow it; a write in flight before it doesn't count
    after it.
    """
    storage = _storage(1)
    log = _log(storage, 0)
    log.accept(_entries(2, 1, 1, 1, 1, 1, 1, 1, 1))
    log.hand_out_writes()
    meta = SnapshotMeta(7, 3, MEMBERSHIP)
    log.restore(meta)
    assert (log.first_index, log.last_index, log.last_term, log.commit, log.delivered) == (8, 7, 3, 7, 7)
    assert log.has_writes()
    log.accept(_entries(8, 3))
    log.commit_to(8)
    log.written()
    assert log.deliver(NO_LIMIT) == ()
    assert log.hand_out_writes() == (meta, _entries(8, 3))
    assert not log.has_writes()
    storage.install(meta)
    storage.append(_entries(8, 3))
    log.written()
    assert log.deliver(NO_LIMIT) == _entries(8, 3)
    assert (log.first_index, log.term(7)) == (8, 3)


def test_a_snapshot_behind_the_commit_index_is_refused() -> None:
    """Going back would undo what was delivered."""
    log = _log(_storage(1, 1), 2)
    with pytest.raises(InvariantBroken, match="snapshot at 2"):
        log.restore(SnapshotMeta(2, 1, MEMBERSHIP))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4), st.booleans()), max_size=30))
def test_disk_ends_up_as_the_log(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is accepted, overwritten and synced in whatever rhythm, the disk ends equal to a plain
    list.
    """
    storage = _storage()
    log = _log(storage, 0)
    twin: list[Entry] = []
    pending: list[tuple[Entry, ...]] = []
    for term, (back, count, sync) in enumerate(steps, 1):
        first = max(1, len(twin) + 1 - back)
        entries = _entries(first, *[term] * count)
        log.accept(entries)
        twin[first - 1 :] = entries
        pending.append(log.hand_out_writes()[1])
        while sync and pending:
            storage.append(pending.pop(0))
            log.written()
    for entries in pending:
        storage.append(entries)
        log.written()
    assert log.last_index == log.stable == storage.last_index() == len(twin)
    assert not twin or storage.entries(1, len(twin), NO_LIMIT) == tuple(twin)
