"""A copy of a store that is written to meanwhile is what a crash at one moment would have left."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path

import pytest

from node import store_copy
from node.disk import LevelDatabase, StoreError, StoreMissing
from node.store_copy import copy_store

SMALL_BUFFER_BYTES = 256 * 1024
"""So that there are table files, and more come while the copy is made, but not one a round."""
PAUSE_S = 0.0001


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_a_copy_holds_a_prefix_of_what_was_written(tmp_path: Path) -> None:
    """Every row up to some moment and none after it, while another thread writes; the original goes on."""
    written, enough = 0, threading.Event()
    with closing(LevelDatabase(tmp_path / "data", write_buffer_bytes=SMALL_BUFFER_BYTES)) as database:

        def write() -> None:
            nonlocal written
            while not enough.wait(PAUSE_S):
                database.write({_key(written): bytes(200)}, (), sync=False)
                written += 1

        writer = threading.Thread(target=write)
        writer.start()
        while written < 2_000:
            enough.wait(0.001)
        at_start = written
        try:
            size_bytes = copy_store(tmp_path / "data", tmp_path / "copy")
        finally:
            enough.set()
            writer.join()
        with closing(LevelDatabase(tmp_path / "copy", create=False)) as copied:
            rows = [key for key, _ in copied.scan(b"", b"\xff" * 9)]
        assert len(list(database.scan(b"", b"\xff" * 9))) == written
    assert rows == [_key(number) for number in range(len(rows))]
    assert at_start <= len(rows) <= written
    assert size_bytes > 0


def test_without_a_store_there_is_no_copy(tmp_path: Path) -> None:
    """The folder is named, and nothing is made."""
    with pytest.raises(StoreMissing, match="there is no store at"):
        copy_store(tmp_path / "data", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(("changes", "settles"), [(store_copy.ROUNDS - 1, True), (store_copy.ROUNDS, False)])
def test_a_store_that_never_stands_still_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, settles: bool
) -> None:
    """A file comes in so many rounds, one each: one fewer than the limit is copied, the limit is refused."""
    with closing(LevelDatabase(tmp_path / "data")) as database:
        database.write({b"a": b"1"}, (), sync=True)
    copy_file, rounds = shutil.copyfile, iter(range(changes))

    def changing(source: Path, target: Path) -> Path:
        if source.name == "CURRENT" and (number := next(rounds, None)) is not None:
            (tmp_path / "data" / f"{number:06}.ldb").write_bytes(b"")
        return copy_file(source, target)

    monkeypatch.setattr(store_copy.shutil, "copyfile", changing)  # type: ignore[attr-defined]  # as it is used there
    if settles:
        copy_store(tmp_path / "data", tmp_path / "copy")
        assert {f.name for f in (tmp_path / "copy").iterdir()} >= {"CURRENT", f"{changes - 1:06}.ldb"}
    else:
        with pytest.raises(StoreError, match="did not stand still"):
            copy_store(tmp_path / "data", tmp_path / "copy")
