"""The store: what it writes comes back, damage is named, other stores are refused, truncation leaves
nothing behind.
"""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from consensus.messages import Entry, EntryType, HardState
from ledger.block import decode_block
from ledger.codec import decode, encode
from ledger.genesis import network_id
from ledger.records import PROGRESS_KEY, Progress
from node.records import (
    HARD_STATE,
    CorruptRecord,
    Record,
    SealedHeader,
    block_key,
    header_key,
    meta_key,
    pack_record,
    seal_key,
    unpack_record,
)
from node.store import PRUNED_AT_ONCE, LogWrite, OwnSeal, Store, WrongStore
from tests.simulation.cluster.bank import genesis_of
from tests.simulation.cluster.database import SimulatedDatabase, SimulatedDisk
from tests.unit.node.harness import Node, new_disk, open_database, reopen

GENESIS = genesis_of(1)
HEADER = SealedHeader(1, b"header", b"seal")


def open_store(disk: SimulatedDisk, node_id: str = "n0") -> Store:
    """Open the store on a disk."""
    return Store.open(open_database(disk), GENESIS, node_id)


def entries(first: int, terms: Sequence[int]) -> tuple[Entry, ...]:
    """Entries from an index on, one a term given."""
    return tuple(
        Entry(first + place, term, EntryType.NORMAL, f"{first + place}/{term}".encode())
        for place, term in enumerate(terms)
    )


def test_a_record_comes_back_as_it_was_packed() -> None:
    """Height, term and payload survive."""
    record = Record(7, 3, b"payload")
    assert unpack_record(b"key", pack_record(b"key", record), 7) == record


@pytest.mark.parametrize("position", range(0, 27, 3))
def test_a_flipped_bit_anywhere_in_a_record_is_named(position: int) -> None:
    """The checksum covers itself, height, term and payload."""
    raw = bytearray(pack_record(block_key(7), Record(7, 3, b"payload")))
    raw[position] ^= 1
    with pytest.raises(CorruptRecord, match=r"B:0000000000000007 \(height 7\) is corrupt"):
        unpack_record(block_key(7), bytes(raw), 7)


def test_a_record_under_another_key_is_corrupt() -> None:
    """The checksum covers the key: a row copied elsewhere isn't believed."""
    with pytest.raises(CorruptRecord, match="checksum"):
        unpack_record(block_key(8), pack_record(block_key(7), Record(7, 3, b"x")))


def test_a_record_of_another_height_is_corrupt() -> None:
    """A record says its height, which must be the one asked for."""
    with pytest.raises(CorruptRecord, match="of height 7"):
        unpack_record(b"k", pack_record(b"k", Record(7, 3, b"x")), 8)


def test_a_short_record_is_corrupt() -> None:
    """A torn record is told from a whole one by its length."""
    with pytest.raises(CorruptRecord, match="19 bytes"):
        unpack_record(b"k", bytes(19))


def test_term_and_vote_come_back() -> None:
    """A vote survives the process; no vote is no vote."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(4, "n2"), ())])
    assert open_store(disk).hard_state() == HardState(4, "n2")
    open_store(disk).write_log([LogWrite(HardState(5, None), ())])
    assert open_store(disk).hard_state() == HardState(5, None)


def test_entries_come_back_with_their_type() -> None:
    """Index, term, type and bytes survive."""
    disk = new_disk()
    opening = Entry(1, 2, EntryType.OPENING, b"open")
    open_store(disk).write_log([LogWrite(HardState(2, None), (opening,))])
    assert open_store(disk).entry(1) == opening
    assert open_store(disk).entry(2) is None


def test_entries_replace_all_from_the_first_of_them_on() -> None:
    """A truncation leaves no row of the cut end behind."""
    disk = new_disk()
    store = open_store(disk)
    store.write_log([LogWrite(HardState(1, None), entries(1, [1, 1, 1, 1]))])
    store.write_log([LogWrite(HardState(2, None), entries(2, [2]))])
    assert store.log_end == open_store(disk).log_end == 2
    assert [store.entry(height) is not None for height in (1, 2, 3, 4)] == [True, True, False, False]


def test_writes_of_one_sync_count_in_their_order() -> None:
    """What a later Ready of the same group replaces or cuts off isn't written, what it adds is."""
    store = open_store(new_disk())
    store.write_log(
        [
            LogWrite(HardState(1, "n0"), entries(1, [1, 1, 1])),
            LogWrite(HardState(2, None), entries(2, [2])),
            LogWrite(None, entries(3, [2])),
        ]
    )
    found = [store.entry(height) for height in (1, 2, 3)]
    assert [entry.term for entry in found if entry is not None] == [1, 2, 2]
    assert store.log_end == 3
    assert store.hard_state() == HardState(2, None)


def test_a_log_write_is_synced() -> None:
    """Nothing that a message will promise may be lost in a crash."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(1, None), entries(1, [1]))])
    assert disk.unsynced == []
    assert block_key(1) in disk.durable


def test_marks_come_back_and_are_not_synced() -> None:
    """Certificates and memories of others are kept, but no sync is spent on them."""
    disk = new_disk()
    store = open_store(disk)
    store.write_marks({5: b"five", 9: b"nine"}, {"n1": 3}, {"n2": 8})
    assert len(disk.unsynced) == 1
    again = open_store(disk)
    assert again.certificate(5) == b"five"
    assert again.certificate(6) is None
    assert again.certificate_from(6) == (9, b"nine")
    assert again.certificate_from(10) is None
    assert (again.last_certified(), again.led_term("n1"), again.sealed_height("n2")) == (9, 3, 8)
    assert (again.led_term("n9"), again.sealed_height("n9")) == (0, 0)


def test_an_own_seal_is_never_replaced() -> None:
    """A node seals a height once; the same seal again is harmless."""
    disk = new_disk()
    store = open_store(disk)
    store.write_executed(1, {}, HEADER, OwnSeal(b"seal", bytes(64)))
    store.write_executed(1, {}, HEADER, OwnSeal(b"seal", bytes(64)))
    with pytest.raises(CorruptRecord, match="sealed this height otherwise"):
        store.write_executed(1, {}, HEADER, OwnSeal(b"other", bytes(64)))
    assert store.own_seal(1) == OwnSeal(b"seal", bytes(64))
    assert store.last_own_seal() == 1
    assert disk.unsynced == []


def test_another_networks_store_is_refused() -> None:
    """The store says which network it is of, and the refusal says both."""
    disk = new_disk()
    open_store(disk)
    other = genesis_of(3)
    with pytest.raises(WrongStore, match=network_id(other).hex()):
        Store.open(open_database(disk), other, "n0")


def test_another_nodes_store_is_refused() -> None:
    """A node never goes on with another's promises."""
    disk = new_disk()
    open_store(disk)
    with pytest.raises(WrongStore, match="this store's node is n0, not n1"):
        open_store(disk, "n1")


def test_a_flipped_bit_in_the_log_is_found_when_the_store_is_opened() -> None:
    """A whole record with a bad checksum may have been acknowledged: the node must not start."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(1, None), entries(1, [1, 1, 1]))])
    row = bytearray(disk.live[block_key(2)])
    row[-1] ^= 1
    disk.live[block_key(2)] = bytes(row)
    with pytest.raises(CorruptRecord, match="height 2"):
        open_store(disk)


def test_a_hole_in_the_log_is_found_when_the_store_is_opened() -> None:
    """Heights follow each other."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(1, None), entries(1, [1, 1, 1]))])
    del disk.live[block_key(2)]
    with pytest.raises(CorruptRecord, match="missing in the middle"):
        open_store(disk)


def test_terms_that_fall_are_found_when_the_store_is_opened() -> None:
    """A log whose terms fall was put together from two."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(3, None), entries(1, [3, 2]))])
    with pytest.raises(CorruptRecord, match="below its parent's"):
        open_store(disk)


def test_a_log_without_term_and_vote_is_corrupt() -> None:
    """Losing the hard state would allow a second vote in a term."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(1, "n0"), entries(1, [1]))])
    del disk.live[HARD_STATE]
    with pytest.raises(CorruptRecord, match="no term and vote"):
        open_store(disk)


def test_a_store_that_executed_more_than_its_log_holds_is_corrupt() -> None:
    """The log must reach at least up to the executed height."""
    node = Node()
    node.tick(30)
    height = node.driver.executed_height
    assert height > 0
    del node.disk.live[block_key(height)]
    with pytest.raises(CorruptRecord, match=f"the log ends at {height - 1}"):
        Store.open(open_database(node.disk), node.genesis_raw, "n0")


@pytest.mark.parametrize("name", ["format", "network", "node"])
def test_a_missing_meta_row_is_named(name: str) -> None:
    """They are written together with all others: a store that lacks one isn't new, and keeps what it has."""
    disk = new_disk()
    open_store(disk).write_log([LogWrite(HardState(7, "n1"), entries(1, [7]))])
    del disk.live[meta_key(name)]
    before = dict(disk.live)
    with pytest.raises(CorruptRecord, match=r"M:.*it is missing"):
        open_store(disk)
    assert disk.live == before


def test_a_damaged_own_seal_is_named_when_read() -> None:
    """A seal that is re-sent must be the one that was signed."""
    disk = new_disk()
    store = open_store(disk)
    store.write_executed(1, {}, HEADER, OwnSeal(b"seal", bytes(64)))
    disk.live[seal_key(1)] = disk.live[seal_key(1)][:-1] + b"?"
    with pytest.raises(CorruptRecord, match="height 1"):
        store.own_seal(1)


def test_execution_goes_on_where_a_crash_left_it() -> None:
    """What was committed and not executed is executed after the restart, with the same seal as elsewhere."""
    node = Node()
    node.tick(30)
    tx_id = bytes(15) + b"\x01"
    opened = node.submit(node.bank.open_account("bank0", "anna", tx_id, (1, 2**62)))
    height = opened[-1].height
    seal = node.store.own_seal(height)
    again = reopen(node)
    assert again.driver.executed_height == height
    assert again.store.own_seal(height) == seal


def grown(blocks: int) -> Node:
    """A node alone whose chain has that many blocks or a few more."""
    node = Node()
    node.tick(30)
    number = 0
    while node.driver.executed_height < blocks:
        number += 1
        opening = node.bank.open_account("bank0", f"a{number}", number.to_bytes(16, "big"), (1, 2**62))
        node.submit(opening)
        node.tick()
    return node


def test_every_executed_block_leaves_its_header_and_seal() -> None:
    """They are those of the block and of this node's own seal, whether or not the body is still there."""
    node = grown(3)
    for height in range(1, 4):
        entry, own, kept = node.store.entry(height), node.store.own_seal(height), node.store.header(height)
        assert entry is not None
        assert own is not None
        assert kept is not None
        assert kept == SealedHeader(entry.term, decode_block(entry.data).header_raw, own.seal)
    assert node.store.header(node.driver.executed_height + 1) is None


def test_forgotten_bodies_leave_a_log_that_begins_later() -> None:
    """Below the height only headers are left, also after a restart; the log goes on above it."""
    node = grown(4)
    executed, term = node.driver.executed_height, node.store.header(2)
    node.store.prune(2)
    for store in (node.store, reopen(node).store):
        assert (store.pruned, store.log_end) == (2, executed)
        assert [store.entry(height) is None for height in (1, 2, 3)] == [True, True, False]
        assert term is not None
        assert store.base_term == term.term
        assert store.header(1) is not None
    node.store.prune(1)
    assert node.store.pruned == 2


def test_all_executed_bodies_can_be_forgotten_and_no_more() -> None:
    """The log is empty then and ends where it begins; what isn't executed is kept."""
    node = grown(3)
    executed = node.driver.executed_height
    with pytest.raises(ValueError, match=f"Block {executed + 1} is not executed"):
        node.store.prune(executed + 1)
    node.store.prune(executed)
    again = reopen(node)
    assert (again.store.pruned, again.store.log_end) == (executed, executed)
    assert again.driver.executed_height == executed


def test_forgetting_is_done_in_small_batches_each_whole() -> None:
    """A crash between two batches leaves a log that begins where the first ended."""
    disk, points = new_disk(), list[str]()
    store = Store.open(SimulatedDatabase(disk, points.append), GENESIS, "n0")
    heights = range(1, PRUNED_AT_ONCE + 3)
    store.write_log([LogWrite(HardState(1, None), entries(1, [1] * len(heights)))])
    for height in heights:
        store.write_executed(height, {}, HEADER, None)
    progress = decode(disk.live[PROGRESS_KEY], Progress)
    disk.live[PROGRESS_KEY] = encode(replace(progress, height=heights[-1]))
    points.clear()
    store.prune(heights[-1])
    assert points.count("after a write") == 2
    assert store.pruned == heights[-1]
    assert not any(store.entry(height) for height in heights)


def test_a_log_whose_beginning_is_unknown_is_corrupt() -> None:
    """Without the header at which the log begins, nothing can follow on it."""
    node = grown(3)
    node.store.prune(2)
    del node.disk.durable[header_key(2)]
    with pytest.raises(CorruptRecord, match="height 2"):
        reopen(node)
