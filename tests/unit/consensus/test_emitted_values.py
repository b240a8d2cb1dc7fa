"""What the core has handed out stays as it was, whatever happens to its log: messages may leave late.

Frozen types alone don't see to that: the place of a tuple may hold a list that the log goes on using.
"""

from consensus.messages import AppendEntries, AppendEntriesReply, Entry, EntryType
from consensus.raft import Ready
from tests.unit.consensus.caller import Caller, leader


def taken(caller: Caller) -> Ready:
    """The next Ready, which isn't done yet."""
    ready = caller.raft.ready()
    assert ready is not None
    return ready


def test_a_leaders_messages_do_not_change_when_its_log_grows_is_synced_and_is_trimmed() -> None:
    """An append that waits for its link carries what it carried when it was made."""
    caller = leader()
    caller.raft.propose(b"x")
    first = taken(caller)
    before = repr(first)
    caller.raft.propose(b"y")
    second = taken(caller)
    assert repr(first) == before
    caller.raft.advance(first.number)
    caller.raft.advance(second.number)
    caller.raft.step(AppendEntriesReply("b", "a", 1, True, caller.raft.last_index, 0, 0))
    assert [entry.data for entry in taken(caller).committed] == [b"x", b"y"]
    assert repr(first) == before


def test_a_leaders_messages_do_not_change_when_it_is_deposed() -> None:
    """Another leader's entries replace its own, in its log and not in what it has sent."""
    caller = leader()
    caller.raft.propose(b"x")
    ready = taken(caller)
    before = repr(ready)
    replacing = Entry(2, 5, EntryType.OPENING, b"other")
    caller.raft.step(AppendEntries("c", "a", 5, 1, 1, (replacing,), 0))
    assert [entry.data for entry in taken(caller).entries] == [b"other"]
    assert repr(ready) == before


def test_what_is_delivered_to_be_applied_does_not_change_when_the_log_is_trimmed() -> None:
    """Execution may take long: meanwhile the core forgets what it has delivered."""
    caller = leader()
    caller.raft.propose(b"x")
    caller.acknowledge()
    delivered = [ready.committed for ready in caller.readys if ready.committed]
    for number in range(10):
        caller.raft.propose(b"more %d" % number)
        caller.acknowledge()
    assert [[entry.data for entry in entries] for entries in delivered] == [[b"open"], [b"x"]]
