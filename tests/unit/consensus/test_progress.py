"""A peer's progress: what may be sent when, and that each pause ends. Must not need a core."""

import pytest

from consensus.progress import Progress, ProgressState

FIRST_INDEX = 1
"""Where the leader's log begins, unless a test says otherwise."""


def _replicating(match: int = 5, max_inflight: int = 2, max_inflight_bytes: int = 100) -> Progress:
    peer = Progress(match + 1, max_inflight, max_inflight_bytes)
    peer.sent_append(match, 0, 0)
    peer.acknowledged(match, FIRST_INDEX)
    return peer


def test_probes_with_one_append_at_a_time() -> None:
    """A new peer is asked once, even if there is nothing to send, and then waits for an answer."""
    peer = Progress(6, 2, 100)
    assert peer.wants_append(5, 0)
    peer.sent_append(5, 0, 0)
    assert not peer.wants_append(9, 9)
    assert peer.next == 6


def test_a_lost_probe_is_repeated_after_a_heartbeat_reply() -> None:
    """The exit of the probe's pause."""
    peer = Progress(6, 2, 100)
    peer.sent_append(5, 0, 0)
    peer.heartbeat_answered(5)
    assert peer.wants_append(5, 0)


def test_an_acknowledged_probe_replicates() -> None:
    """Sending goes on after the match, without waiting."""
    peer = _replicating()
    assert (peer.state, peer.match, peer.next) == (ProgressState.REPLICATE, 5, 6)
    assert peer.wants_append(6, 0)
    assert not peer.wants_append(5, 0)


@pytest.mark.parametrize(("count", "size"), [(2, 10), (1, 100), (1, 150)])
def test_the_window_is_bounded_by_messages_and_bytes(count: int, size: int) -> None:
    """At either limit nothing more is sent until an acknowledgement; below it one more goes."""
    peer = _replicating()
    for number in range(count):
        assert peer.wants_append(9, 0)
        peer.sent_append(6 + number, size, 0)
    assert not peer.wants_append(9, 0)
    assert peer.in_flight == count
    peer.acknowledged(6, FIRST_INDEX)
    assert peer.wants_append(9, 0)


def test_the_window_takes_one_more_below_its_bytes() -> None:
    """99 of 100 bytes leave room for a message."""
    peer = _replicating()
    peer.sent_append(6, 99, 0)
    assert peer.wants_append(9, 0)


def test_a_full_window_frees_its_oldest_place_at_a_heartbeat_reply() -> None:
    """The exit of the window's pause, by count and by bytes."""
    for size in (1, 100):
        peer = _replicating()
        peer.sent_append(6, size, 0)
        peer.sent_append(7, size, 0)
        assert not peer.wants_append(7, 0)
        peer.heartbeat_answered(7)
        if size == 1:
            assert peer.wants_append(7, 0)
        peer.heartbeat_answered(7)
        assert peer.wants_append(7, 0)


def test_a_heartbeat_reply_of_a_complete_peer_changes_nothing() -> None:
    """Nothing is asked of a peer that has acknowledged everything."""
    peer = _replicating()
    peer.heartbeat_answered(5)
    assert not peer.wants_append(5, 0)


def test_a_new_commit_index_is_pushed_once() -> None:
    """Without entries to send, an empty append carries it; then there is nothing to say."""
    peer = _replicating()
    assert peer.wants_append(5, 4)
    peer.sent_append(5, 0, 4)
    assert not peer.wants_append(5, 4)
    assert peer.in_flight == 0


def test_acknowledgements_never_go_back() -> None:
    """A late, lower one is no news."""
    peer = _replicating()
    assert not peer.acknowledged(3, FIRST_INDEX)
    assert (peer.match, peer.next) == (5, 6)


@pytest.mark.parametrize(("hint", "following"), [(8, 9), (6, 7), (2, 6), (20, 9)])
def test_a_refusal_while_replicating_probes_from_the_hint_above_the_match(hint: int, following: int) -> None:
    """Between the match and what was refused; the match itself doesn't change."""
    peer = _replicating(max_inflight=9)
    peer.sent_append(9, 10, 0)
    assert peer.refused(9, hint)
    assert (peer.state, peer.next, peer.match, peer.in_flight) == (ProgressState.PROBE, following, 5, 0)


@pytest.mark.parametrize("rejected", [0, 5, 10])
def test_stale_refusals_while_replicating_are_ignored(rejected: int) -> None:
    """At or below the match the peer has accepted since; beyond what was sent it can't be."""
    peer = _replicating(max_inflight=9)
    peer.sent_append(9, 10, 0)
    assert not peer.refused(rejected, 1)
    assert (peer.state, peer.next) == (ProgressState.REPLICATE, 10)


def test_a_refused_probe_goes_back_and_others_are_stale() -> None:
    """Only the refusal of the probe that is out counts."""
    peer = Progress(10, 2, 100)
    peer.sent_append(9, 0, 0)
    assert not peer.refused(7, 3)
    assert peer.refused(9, 3)
    assert peer.next == 4
    assert peer.wants_append(9, 0)


def test_unreachable_goes_back_to_probing() -> None:
    """After lost messages the peer is asked again from its match on."""
    peer = _replicating()
    peer.sent_append(7, 10, 0)
    peer.unreachable()
    assert (peer.state, peer.next, peer.in_flight) == (ProgressState.PROBE, 6, 0)
    assert peer.wants_append(7, 0)


def test_unreachable_leaves_a_probe_alone() -> None:
    """A probe that is out isn't doubled."""
    peer = Progress(6, 2, 100)
    peer.sent_append(5, 0, 0)
    peer.unreachable()
    assert not peer.wants_append(5, 0)


def test_a_pending_snapshot_stops_appends_and_is_offered_again() -> None:
    """Heartbeat replies don't repeat the offer; the election timeout does."""
    peer = _replicating()
    peer.sent_snapshot(20)
    assert peer.state is ProgressState.SNAPSHOT
    assert not peer.wants_append(30, 30)
    peer.heartbeat_answered(30)
    assert not peer.wants_snapshot_offer()
    assert not peer.refused(29, 1)
    peer.offer_snapshot_again()
    assert peer.wants_snapshot_offer()


@pytest.mark.parametrize(("ok", "following"), [(True, 21), (False, 6)])
def test_a_reported_snapshot_is_followed_by_a_probe(ok: bool, following: int) -> None:
    """After it if it arrived, from the match if not, in both cases after the next heartbeat reply."""
    peer = _replicating()
    peer.sent_snapshot(20)
    peer.snapshot_finished(ok)
    assert (peer.state, peer.next) == (ProgressState.PROBE, following)
    assert not peer.wants_append(30, 0)
    peer.heartbeat_answered(30)
    assert peer.wants_append(30, 0)


@pytest.mark.parametrize(("index", "state"), [(19, ProgressState.SNAPSHOT), (20, ProgressState.REPLICATE)])
def test_an_acknowledged_snapshot_replicates(index: int, state: ProgressState) -> None:
    """A snapshot is needed until the peer holds what the leader's log, from 21 on, continues."""
    peer = _replicating()
    peer.sent_snapshot(25)
    peer.acknowledged(index, 21)
    assert peer.state is state


def test_a_report_without_a_pending_snapshot_changes_nothing() -> None:
    """A late report of an older snapshot doesn't stop replication."""
    peer = _replicating()
    peer.snapshot_finished(False)
    peer.offer_snapshot_again()
    assert peer.state is ProgressState.REPLICATE
    assert not peer.wants_snapshot_offer()
