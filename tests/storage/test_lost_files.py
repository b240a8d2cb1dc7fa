"""A store of several tables whose files lost their ends, or are gone: all rows are there, or it is named."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from random import Random

import plyvel
import pytest

from consensus.messages import Entry, EntryType, HardState
from node.disk import CorruptStore, LevelDatabase, StoreInUse
from node.leveldb_log import BLOCK_BYTES
from node.leveldb_manifest import missing_log
from node.store import LogWrite, Store
from node.store_copy import copy_store
from tests.simulation.cluster.bank import genesis_of
from tests.storage.files import AFTER_ALL_KEYS, SMALL_BUFFER_BYTES, Rows, read, the_file, with_file

GENESIS = genesis_of(1)
VOTE = HardState(7, "n1")
TABLES = 5
BLOCK = 8_000
"""Bytes of an entry, so that eight of them fill a table."""
NOTES = ("LOCK", "LOG", "LOG.old")
"""Files of LevelDB's that hold nothing of the store."""
FOOTER = 48
"""Where in a table its index is: LevelDB reads it first."""
LONG_KEY = 2_000
"""Bytes of keys of which some twenty, of ten tables, fill a block of the manifest."""


def rests(folder: Path, tables: int) -> bool:
    """Whether there are so many tables, and none is being made: one log is left."""
    return len(list(folder.glob("*.ldb"))) >= tables and len(list(folder.glob("*.log"))) == 1


def grow(store: Store, folder: Path, tables: int) -> None:
    """Blocks, small ones while LevelDB makes a table, until there are so many tables and it rests."""
    random = Random(store.log_end)
    while not rests(folder, tables):
        size = BLOCK if rests(folder, 0) else 1
        entry = Entry(store.log_end + 1, 1, EntryType.NORMAL, random.randbytes(size))
        store.write_log([LogWrite(None, (entry,))])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of a node that voted late: the vote stands in the last table alone."""
    path = tmp_path_factory.mktemp("sound") / "store"
    with contextlib.closing(LevelDatabase(path, write_buffer_bytes=SMALL_BUFFER_BYTES)) as database:
        store = Store.open(database, GENESIS, "n0")
        store.write_log([LogWrite(HardState(1), ())])
        grow(store, path, TABLES - 1)
        store.write_log([LogWrite(VOTE, ())])
        grow(store, path, TABLES)
    return path


@pytest.fixture(scope="module")
def rows(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All that is in it, the vote too."""
    copy = tmp_path_factory.mktemp("rows") / "store"
    copy_store(sound, copy)
    found = read(copy)
    assert found is not None
    return found


def refusal(store: Path) -> str | None:
    """What opening and reading a store says of its damage; None where all of it can be read."""
    try:
        with contextlib.closing(LevelDatabase(store)) as database:
            list(database.scan(b"", AFTER_ALL_KEYS))
    except CorruptStore as error:
        return str(error)
    return None


def test_a_vote_is_not_lost_with_the_end_of_a_manifest(sound: Path, tmp_path: Path) -> None:
    """LevelDB alone opens it, without the last table: the node would vote again in that term."""
    manifest, log = the_file(sound, "MANIFEST-*"), the_file(sound, "*.log")
    with contextlib.closing(
        LevelDatabase(with_file(sound, tmp_path / "whole", log.name, log.read_bytes()))
    ) as database:
        assert Store.open(database, GENESIS, "n0").hard_state() == VOTE
    cut = with_file(sound, tmp_path / "cut", manifest.name, manifest.read_bytes()[:-1])
    with pytest.raises(
        CorruptStore, match=rf"\.log is missing, which by {manifest.name} .* has lost its end"
    ):
        LevelDatabase(cut)


@pytest.mark.parametrize("pattern", ["MANIFEST-*", "CURRENT"])
def test_every_cut_of_what_names_the_files_is_named(sound: Path, tmp_path: Path, pattern: str) -> None:
    """Also where it ends between two of its records, as one that was written to its end does."""
    file = the_file(sound, pattern)
    data = file.read_bytes()
    opened = [
        cut
        for cut in range(len(data))
        if refusal(with_file(sound, tmp_path / "store", file.name, data[:cut])) is None
    ]
    assert opened == []


def test_every_table_that_lost_its_end_is_named(sound: Path, tmp_path: Path) -> None:
    """When it is read: cut within its rows, its index and its footer."""
    for table in sorted(sound.glob("*.ldb")):
        data = table.read_bytes()
        for cut in {*range(0, len(data), len(data) // 7), *range(len(data) - FOOTER - 2, len(data))}:
            assert refusal(with_file(sound, tmp_path / "store", table.name, data[:cut])), (table.name, cut)


def test_every_file_that_is_gone_is_named(sound: Path, rows: Rows, tmp_path: Path) -> None:
    """But for those that hold nothing."""
    for file in sorted(sound.iterdir()):
        store = with_file(sound, tmp_path / "store", file.name, None)
        if file.name in NOTES:
            assert read(store) == rows
        else:
            assert file.name in (refusal(store) or ""), file.name


def test_a_store_without_its_only_log_is_no_new_one(tmp_path: Path) -> None:
    """Nothing stands in a table yet: LevelDB alone would have no row, and the node would begin at genesis."""
    with contextlib.closing(LevelDatabase(tmp_path / "store")) as database:
        Store.open(database, GENESIS, "n0").write_log([LogWrite(VOTE, ())])
    log = the_file(tmp_path / "store", "*.log")
    log.unlink()
    with pytest.raises(CorruptStore, match=f"{log.name} is missing"):
        LevelDatabase(tmp_path / "store")


def test_a_store_whose_making_was_cut_short_before_its_first_log_is_made_again(tmp_path: Path) -> None:
    """Its manifest names no log yet."""
    store = tmp_path / "store"
    in_its_place = store / "MANIFEST-000002"
    in_its_place.mkdir(parents=True)
    with pytest.raises(plyvel.IOError, match=in_its_place.name):
        plyvel.DB(str(store), create_if_missing=True)
    in_its_place.rmdir()
    the_file(store, "*.log").unlink()
    assert (store / "CURRENT").read_bytes() == b"MANIFEST-000001\n"
    assert read(store) == {}


def test_a_manifest_of_several_blocks_is_read_to_its_end(tmp_path: Path) -> None:
    """A record that goes over a block's border is put together; each cut near a border is named."""
    sound, expected = tmp_path / "sound", {}
    with contextlib.closing(LevelDatabase(sound, write_buffer_bytes=SMALL_BUFFER_BYTES)) as database:
        number = 0
        while (
            the_file(sound, "MANIFEST-*").stat().st_size < BLOCK_BYTES + LONG_KEY
            or len(list(sound.glob("*.log"))) > 1
        ):
            key = number.to_bytes(4, "big") + bytes(LONG_KEY)
            expected[key] = bytes(BLOCK)
            database.write({key: expected[key]}, (), sync=True)
            number += 1
    manifest = the_file(sound, "MANIFEST-*")
    data = manifest.read_bytes()
    assert missing_log(sound) is None
    for cut in {*range(0, len(data), 499), *range(BLOCK_BYTES - 8, BLOCK_BYTES + 9), len(data)}:
        found = read(with_file(sound, tmp_path / "store", manifest.name, data[:cut]))
        assert found == (expected if cut == len(data) else None), cut


def test_a_copy_of_a_running_store_is_whole(tmp_path: Path) -> None:
    """What a kill would have left at any moment, with one log or two, is never taken for damaged."""
    with contextlib.closing(
        LevelDatabase(tmp_path / "store", write_buffer_bytes=SMALL_BUFFER_BYTES)
    ) as database:
        expected: Rows = {}
        for number in range(60):
            key = number.to_bytes(4, "big")
            expected[key] = bytes([number]) * BLOCK
            database.write({key: expected[key]}, (), sync=True)
            copy_store(tmp_path / "store", tmp_path / f"copy{number}")
            assert read(tmp_path / f"copy{number}") == expected


def test_a_store_that_a_process_writes_to_is_in_use_and_not_damaged(tmp_path: Path) -> None:
    """Its logs come and go between the looks of who would open it."""
    enough, path = threading.Event(), tmp_path / "store"
    with contextlib.closing(LevelDatabase(path, write_buffer_bytes=SMALL_BUFFER_BYTES)) as database:

        def write() -> None:
            number = 0
            while not enough.is_set():
                database.write({number.to_bytes(4, "big"): bytes(BLOCK)}, (), sync=False)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(300):
                with pytest.raises(StoreInUse):
                    LevelDatabase(path)
        finally:
            enough.set()
            writer.join()
