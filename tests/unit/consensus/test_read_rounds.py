"""Which acknowledgement confirms which read. Must not need messages or a core."""

import pytest

from consensus.errors import TooManyReads
from consensus.messages import Membership
from consensus.read_rounds import MAX_WAITING_READS, Read, ReadRounds

MEMBERSHIP = Membership(("a", "b", "c"))


def _contexts(rounds: ReadRounds) -> list[tuple[int, bytes]]:
    return [(r.index, read.context) for r in rounds.release(MEMBERSHIP) for read in r.reads]


def _rounds_with_two() -> ReadRounds:
    """Read x in round 1 at commit 5, read y in round 2 at commit 6, both acknowledged by the leader a."""
    rounds = ReadRounds()
    rounds.add(Read("a", b"x"))
    rounds.acknowledge("a", rounds.start_round(5, 0))
    rounds.add(Read("b", b"y"))
    rounds.acknowledge("a", rounds.start_round(6, 0))
    return rounds


def test_one_round_confirms_all_its_reads_once() -> None:
    """Reads that wait together share a round, and are released once."""
    rounds = ReadRounds()
    for context in (b"x", b"y"):
        rounds.add(Read("a", context))
    number = rounds.start_round(5, 0)
    assert not rounds.has_new()
    for node in ("a", "b"):
        rounds.acknowledge(node, number)
    assert _contexts(rounds) == [(5, b"x"), (5, b"y")]
    assert _contexts(rounds) == []


def test_an_old_acknowledgement_confirms_no_newer_read() -> None:
    """Round 1's answer releases round 1 only."""
    rounds = _rounds_with_two()
    rounds.acknowledge("b", 1)
    assert _contexts(rounds) == [(5, b"x")]
    rounds.acknowledge("c", 1)
    assert _contexts(rounds) == []


def test_a_newer_acknowledgement_covers_older_reads() -> None:
    """It was sent later still, so the leader was leader after the older read began."""
    rounds = _rounds_with_two()
    rounds.acknowledge("c", 2)
    assert _contexts(rounds) == [(5, b"x"), (6, b"y")]


def test_a_round_that_was_never_started_is_ignored() -> None:
    """A reply that names a future round confirms nothing, now or later."""
    rounds = _rounds_with_two()
    rounds.acknowledge("b", 3)
    assert _contexts(rounds) == []


def test_a_late_older_acknowledgement_takes_nothing_back() -> None:
    """The highest round a node has answered counts."""
    rounds = _rounds_with_two()
    rounds.acknowledge("b", 2)
    rounds.acknowledge("b", 1)
    assert _contexts(rounds) == [(5, b"x"), (6, b"y")]


def test_waiting_reads_are_bounded() -> None:
    """The limit is taken, one more is refused, and released reads make room."""
    rounds = ReadRounds()
    for number in range(MAX_WAITING_READS):
        rounds.add(Read("a", b"%d" % number))
    with pytest.raises(TooManyReads, match=str(MAX_WAITING_READS)):
        rounds.add(Read("a", b"one more"))
    for node in ("a", "b"):
        rounds.acknowledge(node, 1)
    rounds.acknowledge("a", rounds.start_round(1, 0))
    rounds.acknowledge("b", 1)
    assert len(_contexts(rounds)) == MAX_WAITING_READS
    rounds.add(Read("a", b"one more"))
    assert len(rounds.take_new()) == 1
    assert not rounds.has_new()


@pytest.mark.parametrize(("tick", "holds"), [(10, True), (14, True), (15, False)])
def test_a_lease_counts_from_the_start_of_its_round(tick: int, holds: bool) -> None:
    """Not from when the answers came; and a transfer ends it."""
    rounds = ReadRounds()
    assert not rounds.holds_lease(tick, 5)
    number = rounds.start_round(1, 10)
    assert not rounds.holds_lease(tick, 5)
    for node in ("a", "b"):
        rounds.acknowledge(node, number)
    rounds.release(MEMBERSHIP)
    assert rounds.holds_lease(tick, 5) is holds
    rounds.lease_lost = True
    assert not rounds.holds_lease(tick, 5)
