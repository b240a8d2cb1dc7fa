"""LevelDB's own files, damaged in every class of place: what is read afterwards is right, or an error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.disk import CorruptStore, LevelDatabase
from node.leveldb_log import BLOCK_BYTES, HEADER_BYTES, disguised_record
from tests.storage.files import Rows, read, the_file, with_file

TABLE_ROWS = 20
"""More than LevelDB puts between two restarts of a table's block (16): keys after both are read."""
LOG_ROWS = 6
ROWS = TABLE_ROWS + LOG_ROWS
LONG_ROW = 70_000
"""A row that fills two blocks of the log and ends in a third."""
FILTER = b"filter.leveldb.BuiltinBloomFilter2"


def row(number: int) -> tuple[bytes, bytes]:
    """A key and its value."""
    return b"key%03d" % number, bytes([number]) * 12


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with a table file, a log of several writes, and one manifest."""
    path = tmp_path_factory.mktemp("sound") / "store"
    for numbers in (range(TABLE_ROWS), range(TABLE_ROWS, ROWS)):
        database = LevelDatabase(path)
        for number in numbers:
            key, value = row(number)
            database.write({key: value}, (), sync=True)
        database.close()
    return path


def written() -> Rows:
    """All rows of the store."""
    return dict(row(number) for number in range(ROWS))


def flips(data: bytes) -> Iterator[bytes]:
    """The data with one bit flipped, for each of its bytes; which bit goes round."""
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def last_record(log: bytes) -> int:
    """Where the last record of a log of one block begins."""
    end = 0
    while end < len(log):
        start = end
        end += HEADER_BYTES + int.from_bytes(log[start + 4 : start + 6], "little")
    assert end == len(log)
    return start


def filter_place(table: bytes) -> int:
    """Where a table's rows end and its filter begins: a varint of two bytes after the filter's name."""
    low, high = table[table.index(FILTER) + len(FILTER) :][:2]
    return low & 0x7F | high << 7


@pytest.mark.parametrize("pattern", ["*.ldb", "*.log", "MANIFEST-*", "CURRENT"])
def test_a_flipped_bit_in_any_byte_of_a_file_is_named_or_harmless(
    sound: Path, tmp_path: Path, pattern: str
) -> None:
    """Never fewer rows, nor other ones; LevelDB reads a table without its filter, whose footer has bytes that
    mean nothing.
    """
    file = the_file(sound, pattern)
    data = file.read_bytes()
    results = [read(with_file(sound, tmp_path / "store", file.name, damaged)) for damaged in flips(data)]
    assert all(result is None or result == written() for result in results)
    harmless = [place for place, result in enumerate(results) if result is not None]
    if pattern == "*.ldb":
        assert harmless[0] >= filter_place(data)
        assert len(harmless) < 0.2 * len(results)
    else:
        assert harmless == []


@pytest.mark.parametrize("bit", range(16))
def test_a_flipped_bit_in_the_length_of_a_logs_last_record_is_named(
    sound: Path, tmp_path: Path, bit: int
) -> None:
    """LevelDB alone takes it for a write that a crash cut off, and forgets what was synced."""
    log = the_file(sound, "*.log")
    data = bytearray(log.read_bytes())
    record = last_record(bytes(data))
    data[record + 4 + bit // 8] ^= 1 << bit % 8
    assert read(with_file(sound, tmp_path / "store", log.name, bytes(data))) is None


def test_every_cut_of_the_last_write_leaves_what_stood_before_it(sound: Path, tmp_path: Path) -> None:
    """A file that physically ends inside its last record was being written when the process ended."""
    log = the_file(sound, "*.log")
    data = log.read_bytes()
    before = written()
    del before[row(ROWS - 1)[0]]
    start = last_record(data)
    seen = [
        read(with_file(sound, tmp_path / "store", log.name, data[:end])) for end in range(start, len(data))
    ]
    assert seen == [before] * len(seen)
    assert len(seen) > len(b"".join(row(ROWS - 1)))


def test_every_cut_of_a_write_over_several_blocks_leaves_all_of_it_or_none(tmp_path: Path) -> None:
    """One batch is never there in part, wherever its file was cut."""
    sound = tmp_path / "sound"
    database = LevelDatabase(sound)
    database.write({b"first": b"1"}, (), sync=True)
    database.write({b"long": bytes(range(250)) * (LONG_ROW // 250), b"with": b"it"}, (), sync=True)
    database.close()
    log = the_file(sound, "*.log")
    data = log.read_bytes()
    assert len(data) > 2 * BLOCK_BYTES
    cuts = {
        *range(40, len(data), 997),
        *(BLOCK_BYTES * block + near for block in (1, 2) for near in range(-8, 9)),
    }
    for cut in sorted(cuts):
        rows = read(with_file(sound, tmp_path / "store", log.name, data[:cut]))
        assert rows == {b"first": b"1"}, cut


def test_a_flipped_length_in_the_last_block_of_a_long_log_is_found(tmp_path: Path) -> None:
    """The place that is named is counted from the file's beginning."""
    database = LevelDatabase(tmp_path / "store")
    database.write({b"long": bytes(LONG_ROW)}, (), sync=True)
    database.close()
    log = the_file(tmp_path / "store", "*.log")
    data = bytearray(log.read_bytes())
    last_block = len(data) - len(data) % BLOCK_BYTES
    assert disguised_record(log) is None
    data[last_block + 5] ^= 0x80
    log.write_bytes(data)
    assert disguised_record(log) == last_block
    with pytest.raises(CorruptStore, match=f"the record at byte {last_block} is wrong"):
        LevelDatabase(tmp_path / "store")


def test_a_store_without_its_current_file_is_no_empty_store(sound: Path, tmp_path: Path) -> None:
    """LevelDB alone would begin a new one in its place, and the node would have forgotten its votes."""
    store = tmp_path / "store"
    shutil.copytree(sound, store)
    (store / "CURRENT").unlink()
    with pytest.raises(CorruptStore, match="CURRENT is missing"):
        LevelDatabase(store)


def test_a_store_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """Nothing was ever written to it: its first manifest is there, the file that names it isn't."""
    store = tmp_path / "store"
    LevelDatabase(store).close()
    (store / "CURRENT").unlink()
    the_file(store, "*.log").unlink()
    database = LevelDatabase(store)
    assert list(database.scan(b"", b"\xff")) == []
    database.close()
