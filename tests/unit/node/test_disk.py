"""LevelDB behind the Database port: order, atomic batches, and damage that is always named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.disk import CorruptStore, LevelDatabase, StoreError, StoreInUse, StoreMissing

KEYS = [number.to_bytes(8, "big") for number in range(30_000)]


def _fill(path: Path) -> None:
    """A closed store with more rows than the write buffer holds, so that there are table files."""
    database = LevelDatabase(path)
    for first in range(0, len(KEYS), 5_000):
        database.write({key: key * 50 for key in KEYS[first : first + 5_000]}, (), sync=True)
    database.close()


def test_what_was_written_is_read_again_after_reopening(tmp_path: Path) -> None:
    """A synced batch is there when the store is opened again, deletes included."""
    database = LevelDatabase(tmp_path / "store")
    database.write({b"a": b"1", b"b": b"2"}, (), sync=True)
    database.write({b"c": b"3"}, (b"a",), sync=True)
    database.close()
    again = LevelDatabase(tmp_path / "store", create=False)
    assert (again.get(b"a"), again.get(b"b"), again.get(b"c")) == (None, b"2", b"3")
    again.close()


def test_a_put_wins_over_a_delete_of_the_same_key_in_one_batch(tmp_path: Path) -> None:
    """Deletes come first in a batch: a log that is cut and extended at once keeps the new row."""
    database = LevelDatabase(tmp_path / "store")
    database.write({b"a": b"new"}, (b"a",), sync=False)
    assert database.get(b"a") == b"new"
    database.close()


def test_scan_gives_key_order_and_its_reverse_and_stops_before_the_end(tmp_path: Path) -> None:
    """The range is half open, in the order of the bytes, either way."""
    database = LevelDatabase(tmp_path / "store")
    database.write(dict.fromkeys((b"b2", b"a", b"b1", b"c"), b""), (), sync=False)
    assert [key for key, _ in database.scan(b"b", b"c")] == [b"b1", b"b2"]
    assert [key for key, _ in database.scan(b"b", b"c", reverse=True)] == [b"b2", b"b1"]
    assert [key for key, _ in database.scan(b"b2", b"d")] == [b"b2", b"c"]
    database.close()


def test_a_store_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    """The error says that it is in use, and what to do."""
    path = tmp_path / "store"
    code = (
        "import sys; from pathlib import Path; from node.disk import LevelDatabase; "
        "d = LevelDatabase(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match="in use by another process"):
            LevelDatabase(path)
        holder.communicate("")


def test_a_store_that_is_not_there_is_refused_unless_it_may_be_created(tmp_path: Path) -> None:
    """Reading tools never create an empty store by mistake."""
    with pytest.raises(StoreMissing, match="there is no store"):
        LevelDatabase(tmp_path / "store", create=False)


def test_a_file_in_the_place_of_a_store_is_refused(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="store"):
        LevelDatabase(tmp_path / "store")


def test_one_flipped_bit_is_named_when_it_is_read(tmp_path: Path) -> None:
    """A damaged row is never answered as absent, by get or by scan."""
    path = tmp_path / "store"
    _fill(path)
    table = max(path.glob("*.ldb"), key=lambda file: file.stat().st_size)
    damaged = bytearray(table.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    table.write_bytes(damaged)

    database = LevelDatabase(path)
    with pytest.raises(CorruptStore, match="checksum"):
        list(database.scan(b"", b"\xff"))
    with pytest.raises(CorruptStore, match="checksum"):
        [database.get(key) for key in KEYS]
    database.close()


def test_a_missing_table_file_is_named_when_the_store_is_opened(tmp_path: Path) -> None:
    """A store with a hole is refused as a whole."""
    path = tmp_path / "store"
    _fill(path)
    # All of them: a compaction may have left one behind that nothing refers to any more.
    for table in path.glob("*.ldb"):
        table.unlink()
    with pytest.raises(CorruptStore, match="missing"):
        LevelDatabase(path)
