"""Blocks are checked before Raft sees them: what is invalid is never acknowledged, and its leader not
believed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    Heartbeat,
    HeartbeatReply,
    Message,
    decode_message,
    encode_message,
)
from ledger.block import (
    Block,
    Parent,
    decode_block,
    encode_block,
    genesis_parent,
    make_block,
    parent_of,
)
from ledger.keys import sign
from ledger.state import scheduled
from node import intake
from node.intake import CLOCK_LOOK_MS, FAR_AHEAD_MS, MAX_AHEAD_MS, MAX_QUEUED
from node.messages import AskTransfer, RaftFrame
from node.raft_loop import MAX_EVIDENCE
from node.records import EVIDENCE
from node.watch import BEHIND_CLOCK_MS
from tests.simulation.cluster.bank import key_of
from tests.unit.node.harness import ALWAYS, NOW_MS, Node, reopen


class Leader:
    """A leader played by the test: n1, which can sign whatever it likes and sends it to the follower n0."""

    def __init__(self) -> None:
        self.node = Node("n0", 3)
        self.parent = genesis_parent(self.node.genesis_raw)
        self.commit = 0

    def payment(self, number: int) -> bytes:
        """A transaction that is valid, whatever comes of it."""
        return self.node.bank.open_account("bank0", "anna", number.to_bytes(16, "big"), ALWAYS)

    def block(self, parent: Parent, body: Sequence[bytes], term: int = 1, time_ms: int = NOW_MS) -> Block:
        """A block by n1."""
        executed = self.node.driver.executed
        return make_block(
            parent=parent,
            scheduled=scheduled(executed.progress, executed.registry, parent.height + 1, 0),
            term=term,
            time_ms=time_ms,
            proposer="n1",
            boot=bytes(16),
            body=body,
            sign=lambda digest: sign(key_of("n1"), digest),
        )

    def chain(self, bodies: Sequence[Sequence[bytes]]) -> list[Block]:
        """Blocks that follow on what was sent before."""
        blocks: list[Block] = []
        for body in bodies:
            blocks.append(self.block(self.parent, body))
            self.parent = parent_of(blocks[-1], self.parent)
        return blocks

    def send(self, blocks: Sequence[Block], after: Parent, term: int = 1) -> None:
        """Send blocks that follow `after`."""
        terms = [after.term] + [block.header.term for block in blocks]
        entries = tuple(
            Entry(
                block.header.height,
                block.header.term,
                EntryType.OPENING if block.header.term > before else EntryType.NORMAL,
                block.raw,
            )
            for block, before in zip(blocks, terms, strict=False)
        )
        self.say(AppendEntries("n1", "n0", term, after.height, after.term, entries, self.commit))

    def say(self, message: Message) -> None:
        """Send any message."""
        self.node.driver.on_message("n1", RaftFrame(encode_message(message)))

    def replies(self) -> list[Message]:
        """What the follower has answered since the last call."""
        self.node.ports.settle()
        sent, self.node.ports.sent = self.node.ports.sent, []
        return [decode_message(message.data) for _, message in sent if isinstance(message, RaftFrame)]

    def node_entry(self, height: int) -> bytes:
        """The follower's block at this height."""
        entry = self.node.store.entry(height)
        assert entry is not None
        return entry.data

    def acknowledged(self) -> int:
        """The highest height that the follower has acknowledged since the last call."""
        indexes = [r.index for r in self.replies() if isinstance(r, AppendEntriesReply) and r.success]
        return max(indexes, default=0)

    def opened(self) -> "Leader":
        """The same, after its first block has opened the term."""
        first = self.parent
        self.send(self.chain([()]), first)
        assert self.acknowledged() == 1
        return self


def test_a_valid_block_is_acknowledged_once_verified_and_synced() -> None:
    """Neither before the signatures are checked nor before the disk has it."""
    leader = Leader().opened()
    parent, node = leader.parent, leader.node
    leader.send(leader.chain([[leader.payment(1)]]), parent)
    assert node.ports.sent == []
    node.ports.verify.run()
    assert not [m for _, m in node.ports.sent if isinstance(m, RaftFrame)]
    node.ports.disk.run()
    assert leader.acknowledged() == 2


def broken_signature(leader: Leader) -> Block:
    """A payment whose signature is another's."""
    raw = leader.payment(1)
    return leader.block(leader.parent, [raw[:-1] + bytes([raw[-1] ^ 1])])


def broken_proposer(leader: Leader) -> Block:
    """The block's own signature is broken."""
    block = leader.block(leader.parent, [leader.payment(1)])
    return make_block_raw(block, bytes(63) + b"\x01")


def expired_payment(leader: Leader) -> Block:
    """A payment that isn't valid any more at the block's time."""
    return leader.block(leader.parent, [leader.payment(1)], time_ms=ALWAYS[1])


def wrong_parent(leader: Leader) -> Block:
    """A block that follows another chain."""
    other = replace(leader.parent, hash=bytes(32))
    return leader.block(other, [leader.payment(1)])


def make_block_raw(block: Block, signature: bytes) -> Block:
    """The block under another signature."""
    return decode_block(encode_block(block.header_raw, signature, block.body))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (broken_signature, "transaction 0"),
        (broken_proposer, "signature of n1"),
        (expired_payment, "not valid at the block's time"),
        (wrong_parent, "parent_hash"),
    ],
)
def test_an_invalid_block_is_kept_as_evidence_and_its_leader_distrusted(
    make: Callable[[Leader], Block], reason: str
) -> None:
    """Nothing of it is acknowledged; nothing more of that leader's term is listened to; it stands in
    the store.
    """
    leader = Leader().opened()
    leader.send([make(leader)], leader.parent)
    assert leader.acknowledged() == 0
    (logged,) = leader.node.ports.logged("invalid_block")
    assert reason in logged["reason"]
    assert len(list(leader.node.store.scan(EVIDENCE))) == 1
    leader.say(Heartbeat("n1", "n0", 1, 0, 5))
    parent = leader.parent
    leader.send(leader.chain([[leader.payment(2)]]), parent)
    assert leader.replies() == []
    assert leader.node.driver.status().counters["distrusted_messages"] == 2
    assert leader.node.driver.status().last_height == 1


def test_a_distrusted_node_is_believed_in_a_later_term() -> None:
    """Distrust is for one leadership: what the node signs in another is judged anew."""
    leader = Leader().opened()
    leader.send([broken_signature(leader)], leader.parent)
    assert leader.acknowledged() == 0
    parent = leader.parent
    leader.send([leader.block(parent, [], term=2)], parent, term=2)
    assert leader.acknowledged() == 2


def test_two_blocks_of_one_height_and_term_are_noticed() -> None:
    """Raft would take the second for the first: it is evidence of equivocation."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send([leader.block(parent, [leader.payment(1)])], parent)
    assert leader.acknowledged() == 2
    leader.send([leader.block(parent, [leader.payment(2)])], parent)
    assert leader.acknowledged() == 0
    (logged,) = leader.node.ports.logged("invalid_block")
    assert "another block" in logged["reason"]


def test_an_entry_that_is_not_the_block_it_says_is_refused() -> None:
    """The log's index and type must be the block's."""
    leader = Leader().opened()
    block = leader.block(leader.parent, [leader.payment(1)])
    entry = Entry(2, 1, EntryType.OPENING, block.raw)
    leader.say(AppendEntries("n1", "n0", 1, 1, 1, (entry,), 0))
    assert leader.acknowledged() == 0
    assert "type opening" in leader.node.ports.logged("invalid_block")[0]["reason"]


def test_nothing_is_acknowledged_further_than_the_look_back_reaches() -> None:
    """64 above the executed block; the rest waits, and goes on when more is committed and executed."""
    leader = Leader()
    first = leader.parent
    blocks = leader.chain([()] + [[leader.payment(number)] for number in range(70)])
    leader.send(blocks, first)
    assert leader.acknowledged() == 64
    leader.commit = 3
    leader.say(Heartbeat("n1", "n0", 1, 3, 0))
    assert leader.acknowledged() == 67
    assert leader.node.driver.executed_height == 3


def test_opening_blocks_are_exempt_from_the_look_back() -> None:
    """Else nobody could ever take over from a leader that left 64 blocks unexecuted."""
    leader = Leader()
    first = leader.parent
    leader.send(leader.chain([()] + [[leader.payment(number)] for number in range(63)]), first)
    assert leader.acknowledged() == 64
    parent = leader.parent
    opening = leader.block(parent, [], term=2)
    leader.send([opening], parent, term=2)
    assert leader.acknowledged() == 65
    leader.send(
        [leader.block(parent_of(opening, leader.parent), [leader.payment(99)], term=2)],
        parent_of(opening, leader.parent),
        term=2,
    )
    assert leader.acknowledged() == 65


@pytest.mark.parametrize(("ahead_ms", "held"), [(MAX_AHEAD_MS, False), (MAX_AHEAD_MS + 1, True)])
def test_a_block_ahead_of_the_clock_waits_for_it(ahead_ms: int, held: bool) -> None:
    """Its acknowledgement is held until the block is no more than MAX_AHEAD_MS ahead."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send([leader.block(parent, [leader.payment(1)], time_ms=NOW_MS + ahead_ms)], parent)
    assert leader.acknowledged() == (0 if held else 2)
    if held:
        leader.node.ports.advance(1)
        assert leader.acknowledged() == 2


def test_a_clock_that_is_set_right_lets_go_of_what_waited_for_it() -> None:
    """A clock an hour behind is corrected: the follower goes on within CLOCK_LOOK_MS, not in an hour."""
    leader = Leader().opened()
    parent = leader.parent
    hour_ms = 3_600_000
    leader.send([leader.block(parent, [leader.payment(1)], time_ms=NOW_MS + hour_ms)], parent)
    assert leader.acknowledged() == 0
    leader.node.ports.wall_ms += hour_ms
    leader.node.ports.advance(CLOCK_LOOK_MS - 1)
    assert leader.acknowledged() == 0
    leader.node.ports.advance(1)
    assert leader.acknowledged() == 2


def test_heartbeats_pass_blocks_that_are_being_checked() -> None:
    """A long check must not make the follower think that its leader is gone."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send(leader.chain([[leader.payment(1)]]), parent)
    leader.say(Heartbeat("n1", "n0", 1, 0, 5))
    replies = [decode_message(m.data) for _, m in leader.node.ports.sent if isinstance(m, RaftFrame)]
    assert [type(reply) for reply in replies] == [HeartbeatReply]


def test_appends_keep_their_order_while_the_first_is_checked() -> None:
    """The second follows on the first, and both are acknowledged."""
    leader = Leader().opened()
    for number in range(3):
        parent = leader.parent
        leader.send(leader.chain([[leader.payment(number)]]), parent)
    assert leader.acknowledged() == 4


def test_an_append_that_does_not_fit_is_refused_by_raft_without_being_checked() -> None:
    """A gap before it: Raft answers with a hint, and no signature is verified for it."""
    leader = Leader().opened()
    leader.chain([[leader.payment(1)]])
    gap = leader.parent
    leader.send(leader.chain([[leader.payment(2)]]), gap)
    assert not leader.node.ports.verify.jobs
    (reply,) = leader.replies()
    assert isinstance(reply, AppendEntriesReply)
    assert not reply.success


def test_a_block_that_contradicts_an_executed_one_is_invalid() -> None:
    """It would have to replace what is final here: the sender is not believed, the node goes on."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send(leader.chain([[leader.payment(1)]]), parent)
    assert leader.acknowledged() == 2
    leader.say(Heartbeat("n1", "n0", 1, 2, 0))
    leader.replies()
    assert leader.node.driver.executed_height == 2
    leader.send([leader.block(parent, [], term=2)], parent, term=2)
    assert leader.acknowledged() == 0
    assert "contradicts an executed block" in leader.node.ports.logged("invalid_block")[0]["reason"]
    assert leader.node.stopped == []


def test_waiting_appends_are_bounded() -> None:
    """Over MAX_QUEUED of one sender more are dropped and counted; the leader sends them again."""
    leader = Leader().opened()
    parent = leader.parent
    (block,) = leader.chain([[leader.payment(1)]])
    for _ in range(MAX_QUEUED + 2):
        leader.send([block], parent)
    assert leader.node.driver.status().counters["appends_dropped"] == 2
    assert leader.acknowledged() == 2


@pytest.mark.parametrize(("behind_ms", "asked"), [(BEHIND_CLOCK_MS - 1, 0), (BEHIND_CLOCK_MS, 1)])
def test_a_leader_whose_clock_is_far_behind_is_asked_to_hand_over(behind_ms: int, asked: int) -> None:
    """Once a term, however many such blocks come."""
    leader = Leader().opened()
    asks = 0
    for number in range(2):
        parent = leader.parent
        block = leader.block(parent, [leader.payment(number)], time_ms=NOW_MS)
        leader.parent = parent_of(block, leader.parent)
        leader.node.ports.wall_ms = NOW_MS + behind_ms
        leader.send([block], parent)
        leader.node.ports.settle()
        asks += len([m for _, m in leader.node.ports.sent if isinstance(m, AskTransfer)])
        assert leader.acknowledged() == block.header.height
    assert asks == asked


def test_the_bytes_of_waiting_appends_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the bound of one sender more are dropped, but one message is always taken."""
    leader = Leader().opened()
    first = leader.parent
    blocks = leader.chain([[leader.payment(1)], [leader.payment(2)]])
    monkeypatch.setattr(intake, "MAX_QUEUED_BYTES", len(blocks[0].raw) + len(blocks[1].raw) - 1)
    leader.send(blocks, first)
    leader.send(blocks[1:], parent_of(blocks[0], leader.parent))
    assert leader.node.driver.status().counters["appends_dropped"] == 1
    assert leader.acknowledged() == 3


def test_an_append_without_blocks_waits_behind_blocks_that_are_being_checked() -> None:
    """Raft would take it for a gap, and make the leader send all of them again."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send(leader.chain([[leader.payment(1)]]), parent)
    leader.commit = 2
    leader.send([], leader.parent)
    replies = [reply for reply in leader.replies() if isinstance(reply, AppendEntriesReply)]
    assert [(reply.success, reply.index) for reply in replies] == [(True, 2), (True, 2)]
    assert leader.node.driver.executed_height == 2


def test_a_new_term_does_not_wait_behind_what_is_held_of_an_older_one() -> None:
    """The held block can go on only when more is committed, and that takes the new term's opening block."""
    leader = Leader()
    first = leader.parent
    leader.send(leader.chain([()] + [[leader.payment(number)] for number in range(64)]), first)
    assert leader.acknowledged() == 64
    before = leader.node.driver.status().last_height
    parent = parent_of(decode_block(leader.node_entry(before)), leader.parent)
    leader.send([leader.block(parent, [], term=2)], parent, term=2)
    assert leader.acknowledged() == 65


def test_a_new_terms_probe_beyond_what_is_held_is_refused_at_once() -> None:
    """The leader leads again and asks from its own end: only a refusal tells it where this log ends."""
    leader = Leader()
    first = leader.parent
    leader.send(leader.chain([()] + [[leader.payment(number)] for number in range(64)]), first)
    assert leader.acknowledged() == 64
    leader.chain([[leader.payment(99)]])
    leader.send([leader.block(leader.parent, [], term=2)], leader.parent, term=2)
    (reply,) = [reply for reply in leader.replies() if isinstance(reply, AppendEntriesReply)]
    assert (reply.success, reply.term, reply.hint_index) == (False, 2, 64)


@pytest.mark.parametrize("after", [0, 1, 64])
def test_a_probe_with_blocks_too_far_above_is_answered_without_them(after: int) -> None:
    """Both ends started again: the follower's log is as far above as may be, and it doesn't know what of it
    is committed. Were the probe to wait with its blocks, or answered from its beginning only, the two would
    wait for each other: simulated seeds did.
    """
    leader = Leader()
    first = leader.parent
    blocks = leader.chain([()] + [[leader.payment(number)] for number in range(64)])
    parents = list(accumulate(blocks, lambda parent, block: parent_of(block, parent), initial=first))
    leader.send(blocks[:64], first)
    assert leader.acknowledged() == 64
    leader.node = reopen(leader.node)
    leader.commit = 64
    leader.send(blocks[after:], parents[after])
    assert leader.acknowledged() == 65
    assert leader.node.driver.executed_height == 64


def test_a_leader_that_begins_anew_does_not_wait_behind_what_is_held() -> None:
    """Its acknowledgement was lost, so it sends again from before; it must be answered, or nothing is ever
    committed.
    """
    leader = Leader()
    first = leader.parent
    blocks = leader.chain([()] + [[leader.payment(number)] for number in range(64)])
    leader.send(blocks, first)
    assert leader.acknowledged() == 64
    leader.send(blocks[:10], first)
    assert leader.acknowledged() == 10


def test_the_evidence_of_one_sender_is_bounded() -> None:
    """Each term it can send another invalid block; MAX_EVIDENCE of them are kept."""
    leader = Leader().opened()
    for term in range(2, MAX_EVIDENCE + 4):
        bad = make_block_raw(leader.block(leader.parent, [], term=term), bytes(63) + b"\x01")
        leader.send([bad], leader.parent, term=term)
        leader.node.ports.settle()
    assert len(leader.node.ports.logged("invalid_block")) == MAX_EVIDENCE + 2
    assert len(list(leader.node.store.scan(EVIDENCE))) == MAX_EVIDENCE


@pytest.mark.parametrize(("ahead_ms", "answers"), [(FAR_AHEAD_MS, 1), (FAR_AHEAD_MS + 1, 0)])
def test_a_leader_far_ahead_of_the_clock_is_not_listened_to_meanwhile(ahead_ms: int, answers: int) -> None:
    """Its heartbeats would keep the others from electing one that they can follow."""
    leader = Leader().opened()
    parent = leader.parent
    leader.send([leader.block(parent, [leader.payment(1)], time_ms=NOW_MS + ahead_ms)], parent)
    leader.replies()
    leader.say(Heartbeat("n1", "n0", 1, 0, 5))
    assert len(leader.replies()) == answers
    leader.node.ports.wall_ms += 1
    leader.say(Heartbeat("n1", "n0", 1, 0, 5))
    assert len(leader.replies()) == 1
