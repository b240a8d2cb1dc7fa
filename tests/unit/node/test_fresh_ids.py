"""Absent ids told from memory: never one that has a row, whatever is written, learned and forgotten."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random

import pytest

from node.fresh_ids import MAX_GAPS, FreshIds

START, STOP = b"i", b"j"


class Rows:
    """A Database of keys in memory that counts the scans; `scanned` is called after each has looked."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.scans = 0
        self.scanned: Callable[[], None] = lambda: None

    def get(self, key: bytes) -> bytes | None:
        """See node.ports.Database."""
        return b"" if key in self.keys else None

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See node.ports.Database."""
        self.scans += 1
        found = sorted((key for key in self.keys if start <= key < stop), reverse=reverse)
        self.scanned()
        return iter([(key, b"") for key in found])

    def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], sync: bool) -> None:
        """See node.ports.Database."""
        self.keys.update(puts)

    def close(self) -> None:
        """See node.ports.Database."""


def key(number: int) -> bytes:
    """The key of an id."""
    return START + number.to_bytes(2, "big")


def write(rows: Rows, fresh: FreshIds, *keys: bytes) -> None:
    """Write rows as the store does: noted first."""
    fresh.note(keys)
    rows.write(dict.fromkeys(keys, b""), (), sync=True)


@pytest.mark.parametrize("seed", range(20))
def test_no_key_with_a_row_is_ever_called_absent(seed: int) -> None:
    """Small generations, so that keys and gaps are forgotten all the time, and ids in no order."""
    random, rows = Random(seed), Rows()
    fresh = FreshIds(rows, START, STOP, limit=random.choice((1, 5, 30)), learn_every=random.choice((1, 3)))
    settled = 0
    for _ in range(1_000):
        number = random.randrange(400)
        if random.random() < 0.1:
            write(rows, fresh, key(number), key(number // 2))
        elif fresh.is_absent(key(number)):
            settled += 1
            assert key(number) not in rows.keys
    assert settled


@pytest.mark.parametrize("blocks", range(1, 6))
def test_what_is_written_while_a_gap_is_learned_is_no_part_of_it(blocks: int) -> None:
    """Each of these blocks begins a generation, and comes between the look at the disk and the gap."""
    rows = Rows()
    fresh = FreshIds(rows, START, STOP, limit=1, learn_every=1)

    def execute() -> None:
        rows.scanned = lambda: None
        for number in range(blocks):
            write(rows, fresh, key(100 + number))

    rows.scanned = execute
    fresh.is_absent(key(50))
    assert len(rows.keys) == blocks
    assert not any(fresh.is_absent(known) for known in rows.keys)
    for number in range(200, 205):
        write(rows, fresh, key(number))
        assert not any(fresh.is_absent(known) for known in rows.keys)


def test_a_block_noted_but_not_yet_written_is_in_no_gap_that_outlives_it() -> None:
    """A gap is learned between a block's note and its rows; its keys are remembered as long as the gap."""
    rows = Rows()
    fresh = FreshIds(rows, START, STOP, limit=1, learn_every=1)
    write(rows, fresh, key(1))
    fresh.note([key(100)])
    fresh.is_absent(key(50))
    rows.write({key(100): b""}, (), sync=True)
    for number in range(200, 205):
        assert not fresh.is_absent(key(100))
        write(rows, fresh, key(number))


def test_ids_that_rise_cost_the_disk_one_look() -> None:
    """The gap above the newest id settles all that come after it, and a key that was written is no longer
    settled.
    """
    rows = Rows()
    fresh = FreshIds(rows, START, STOP)
    write(rows, fresh, key(10))
    assert not fresh.is_absent(key(11))
    for number in range(11, 500):
        assert fresh.is_absent(key(number))
        write(rows, fresh, key(number))
        assert not fresh.is_absent(key(number))
    assert rows.scans == 2


def test_looks_that_settle_nothing_are_few() -> None:
    """One lookup in `learn_every` learns, however the ids come."""
    rows = Rows()
    rows.keys.update(key(number) for number in range(0, 1_000, 2))
    fresh = FreshIds(rows, START, STOP, learn_every=10)
    for number in range(1, 1_000, 2):
        fresh.is_absent(key(number))
    assert rows.scans == 2 * 50


def test_gaps_are_forgotten_beyond_the_last_so_many() -> None:
    """MAX_GAPS of them settle their keys; one more, and the first no longer does."""
    rows = Rows()
    rows.keys.update(key(number) for number in range(0, 100, 2))
    fresh = FreshIds(rows, START, STOP, learn_every=1)
    odd = [key(number) for number in range(1, 2 * MAX_GAPS + 2, 2)]
    assert not any(fresh.is_absent(known) for known in odd[:-1])
    assert all(fresh.is_absent(known) for known in odd[:-1])
    assert not fresh.is_absent(odd[-1])
    assert not fresh.is_absent(odd[0])


def test_keys_are_forgotten_by_generation() -> None:
    """A generation ends once it holds `limit` keys; two of them are remembered."""
    rows = Rows()
    fresh = FreshIds(rows, START, STOP, limit=4)
    remembered = []
    for number in range(10):
        write(rows, fresh, key(2 * number), key(2 * number + 1))
        remembered.append(len(fresh))
    assert remembered == [2, 4, 6, 8, 6, 8, 6, 8, 6, 8]
