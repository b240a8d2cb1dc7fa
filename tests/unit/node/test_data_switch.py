"""The switch from one store to another, ended after each of its steps, by an exception and by kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.data_switch import fetched_folder, keep, new_folder, old_folder, served_folder, settle, switch
from node.disk import LevelDatabase, StoreError

STEPS = ("new store synced", "old store moved away", "new store in its place", "old store removed")


class KilledError(Exception):
    """The process ends here."""


def make_stores(data: Path) -> None:
    """An old store with an old row only, and a new one beside it with a new row only."""
    for path, name in ((data, b"old"), (new_folder(data), b"new")):
        database = LevelDatabase(path)
        database.write({name: name}, (), sync=True)
        database.close()


def found(data: Path) -> list[bytes]:
    """The rows of the store in its place."""
    database = LevelDatabase(data, create=False)
    rows = [key for key, _ in database.scan(b"\0", b"\xff")]
    database.close()
    return rows


def expected(step: str) -> bytes:
    """Which store stands after a crash behind this step."""
    return b"old" if step == "new store synced" else b"new"


@pytest.mark.parametrize("last", STEPS)
def test_a_switch_that_ends_anywhere_leaves_the_old_or_the_new(tmp_path: Path, last: str) -> None:
    """Before the decision the old store stands, after it the new one; nothing else is left behind."""
    data = tmp_path / "data"
    make_stores(data)

    def step(done: str) -> None:
        if done == last:
            raise KilledError

    with pytest.raises(KilledError):
        switch(data, step)
    settle(data)
    assert found(data) == [expected(last)]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("last", STEPS)
def test_a_store_that_is_to_be_kept_is_kept_whoever_ends_the_switch(tmp_path: Path, last: str) -> None:
    """It gets a name of its own, beside those that were kept before."""
    data = tmp_path / "data"
    make_stores(data)
    keep(data)
    (tmp_path / "data.kept-1").mkdir()

    def step(done: str) -> None:
        if done == last:
            raise KilledError

    with pytest.raises(KilledError):
        switch(data, step)
    settle(data)
    assert found(data) == [expected(last)]
    if expected(last) == b"new":
        assert found(tmp_path / "data.kept-2") == [b"old"]
    assert not old_folder(data).exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from node.data_switch import switch

def step(done):
    if done == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

switch(Path(sys.argv[1]), step)
"""


@pytest.mark.parametrize("last", STEPS)
def test_a_process_killed_while_switching_leaves_the_old_or_the_new(tmp_path: Path, last: str) -> None:
    """The same with a process that is killed, on a real disk."""
    data = tmp_path / "data"
    make_stores(data)
    ended = subprocess.run([sys.executable, "-c", KILLED, data, last], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    settle(data)
    assert found(data) == [expected(last)]
    assert not new_folder(data).exists()
    assert not old_folder(data).exists()


def test_a_whole_switch_leaves_the_new_store_alone(tmp_path: Path) -> None:
    """Also where there was no store before."""
    data = tmp_path / "data"
    make_stores(data)
    done: list[str] = []
    switch(data, done.append)
    assert done == list(STEPS)
    assert found(data) == [b"new"]
    other = tmp_path / "other"
    LevelDatabase(new_folder(other)).close()
    switch(other)
    assert found(other) == []


def test_what_was_never_decided_is_removed(tmp_path: Path) -> None:
    """A store half built, with or without one in its place, is no store."""
    data = tmp_path / "data"
    new_folder(data).mkdir()
    settle(data)
    assert list(tmp_path.iterdir()) == []
    make_stores(data)
    settle(data)
    assert found(data) == [b"old"]


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    """A crash while settling is settled by the next."""
    data = tmp_path / "data"
    make_stores(data)
    data.rename(old_folder(data))
    settle(data)
    settle(data)
    assert found(data) == [b"new"]


def test_a_store_that_somebody_moved_away_is_not_made_anew(tmp_path: Path) -> None:
    """A fresh store in its place would have forgotten every vote: the node says so and doesn't start."""
    data = tmp_path / "data"
    LevelDatabase(old_folder(data)).close()
    with pytest.raises(StoreError, match="is missing"):
        settle(data)
    assert old_folder(data).exists()


def test_the_folders_beside_a_store_are_told_apart() -> None:
    """Each has a name of its own beside the store."""
    data = Path("/srv/node/data")
    beside = {new_folder(data), old_folder(data), fetched_folder(data), served_folder(data)}
    assert len(beside) == 4
    assert all(folder.parent == data.parent for folder in beside)
