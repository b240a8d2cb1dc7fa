"""The journal of a batch's signed bytes."""

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.settle.journal import MAX_RECORD_BYTES, Journal, JournalError, count_signed

NETWORK = bytes(32)


def reopened(path: Path) -> dict[bytes, bytes]:
    """What a new run finds in the journal."""
    with Journal(path, NETWORK, "batch") as journal:
        return dict(journal.envelopes)


def written(path: Path, count: int) -> dict[bytes, bytes]:
    """A journal of `count` envelopes on the disk."""
    envelopes = {number.to_bytes(16): b"envelope %d" % number for number in range(count)}
    with Journal(path, NETWORK, "batch") as journal:
        journal.append(envelopes.items())
    return envelopes


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    """A second run has the first run's bytes, and appends after them."""
    path = tmp_path / "deep" / "batch.journal"
    envelopes = written(path, 3)
    with Journal(path, NETWORK, "batch") as journal:
        assert journal.envelopes == envelopes
        journal.append([(b"x" * 16, b"more")])
        journal.append([])
    assert reopened(path) == {**envelopes, b"x" * 16: b"more"}


@given(cut=st.integers(min_value=0, max_value=10_000))
@settings(max_examples=60, deadline=None)
def test_a_torn_tail_loses_only_the_last_records(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Wherever a crash cuts the file, the whole records before the cut are there and appending goes on."""
    path = tmp_path_factory.mktemp("journal") / "batch.journal"
    envelopes = written(path, 5)
    data = path.read_bytes()
    path.write_bytes(data[: cut % (len(data) + 1)])
    found = reopened(path)
    assert list(found.items()) == list(envelopes.items())[: len(found)]
    with Journal(path, NETWORK, "batch") as journal:
        journal.append([(b"x" * 16, b"more")])
    assert reopened(path) == {**found, b"x" * 16: b"more"}


def test_a_changed_byte_is_damage_not_a_torn_tail(tmp_path: Path) -> None:
    """A flipped byte inside a record is reported with its place."""
    path = tmp_path / "batch.journal"
    written(path, 5)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="damaged at byte"):
        reopened(path)


def test_a_length_beyond_the_limit_is_damage(tmp_path: Path) -> None:
    """A record that claims more than any record has is not taken for a torn tail; one of that size is."""
    path = tmp_path / "batch.journal"
    envelopes = written(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + MAX_RECORD_BYTES.to_bytes(4, "big") + b"\xff" * 8)
    assert reopened(path) == envelopes
    path.write_bytes(whole + (MAX_RECORD_BYTES + 1).to_bytes(4, "big") + b"\xff" * 8)
    with pytest.raises(JournalError, match="damaged at byte"):
        reopened(path)


def test_another_batch_or_network_is_refused(tmp_path: Path) -> None:
    """Bytes signed for one network or batch are never sent for another."""
    path = tmp_path / "batch.journal"
    written(path, 1)
    for network, batch in ((b"\x01" * 32, "batch"), (NETWORK, "other")):
        with pytest.raises(JournalError, match="journal of batch 'batch'"):
            Journal(path, network, batch)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Framed bytes that are no journal head are not appended to."""
    path = tmp_path / "batch.journal"
    path.write_bytes(bytes.fromhex("00000001") + zlib.crc32(b"\x00").to_bytes(4, "big") + b"\x00")
    with pytest.raises(JournalError, match="no journal of ours"):
        reopened(path)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second process (another open file) is refused while the first holds the journal."""
    path = tmp_path / "batch.journal"
    with Journal(path, NETWORK, "batch"), pytest.raises(JournalError, match="in use"):
        Journal(path, NETWORK, "batch")


def test_what_is_signed_is_counted_while_a_run_writes(tmp_path: Path) -> None:
    """No file, an empty journal, and one with envelopes, without taking its lock."""
    path = tmp_path / "batch.journal"
    assert count_signed(path) == 0
    with Journal(path, NETWORK, "batch") as journal:
        assert count_signed(path) == 0
        journal.append([(b"x" * 16, b"one"), (b"y" * 16, b"two")])
        assert count_signed(path) == 2
