"""A payment goes into one block: not again while that isn't executed, nor by the next leader. The chain would
tell a second one from a payment, but room in blocks is worth something, and so is one place a payment.
"""

import pytest

from consensus.messages import (
    Entry,
    EntryType,
    Heartbeat,
    Message,
    RequestVote,
    RequestVoteReply,
    decode_message,
    encode_message,
)
from ledger.block import decode_block
from ledger.outcome import Outcome
from ledger.state import State
from node.messages import RaftFrame
from tests.unit.node.harness import ALWAYS, Node
from tests.unit.node.test_intake import Leader


def opening(node: Node, number: int) -> bytes:
    """bank0 opens an account."""
    return node.bank.open_account("bank0", "anna", number.to_bytes(16, "big"), ALWAYS)


def test_each_block_under_way_holds_what_is_new() -> None:
    """Two blocks are proposed before the first is executed: each has its own payment."""
    node = Node()
    node.tick(30)
    height = node.driver.executed_height
    raws = [opening(node, number) for number in (1, 2)]
    for raw in raws:
        node.driver.submit(raw, lambda result: None)
        node.ports.verify.run()
        node.ports.advance(1_000)
    assert node.driver.executed_height == height
    node.ports.settle()
    bodies = [decode_block(stored(node, height + place).data).body for place in (1, 2)]
    assert bodies == [(raws[0],), (raws[1],)]
    assert node.driver.status().last_height == height + 2


def stored(node: Node, height: int) -> Entry:
    """The log's entry at this height."""
    entry = node.store.entry(height)
    assert entry is not None
    return entry


def sent(node: Node) -> list[Message]:
    """What the node has sent of the core since the last call."""
    node.ports.settle()
    found, node.ports.sent = node.ports.sent, []
    return [decode_message(message.data) for _, message in found if isinstance(message, RaftFrame)]


def elect(node: Node) -> None:
    """n1 falls silent, n0 stands for election, and n2 votes for it and does nothing more."""
    for _ in range(30):
        if node.driver.status().role == "leader":
            break
        node.ports.advance(100)
        node.driver.tick()
        for message in sent(node):
            if isinstance(message, RequestVote) and message.to == "n2":
                reply = RequestVoteReply("n2", "n0", message.term, True, message.pre_vote)
                node.driver.on_message("n2", RaftFrame(encode_message(reply)))
    assert node.driver.status().role == "leader"
    node.ports.advance(1_000)
    node.ports.settle()


@pytest.mark.parametrize(("in_log", "last"), [(True, EntryType.OPENING), (False, EntryType.NORMAL)])
def test_a_new_leader_proposes_only_what_stands_nowhere(in_log: bool, last: EntryType) -> None:
    """n0 holds a payment and takes over: it leaves out what a block of its unexecuted log holds already."""
    leader = Leader().opened()
    node, parent, raw = leader.node, leader.parent, leader.payment(1)
    node.driver.submit(raw, lambda result: None)
    if in_log:
        leader.send(leader.chain([[raw]]), parent)
        assert leader.acknowledged() == 2
    elect(node)
    assert (node.driver.status().last_height, node.driver.status().pending) == (3, 1)
    assert stored(node, 3).type is last
    assert [decode_block(stored(node, height).data).body for height in (2, 3)].count((raw,)) == 1


def test_what_stands_in_two_blocks_all_the_same_is_executed_once() -> None:
    """A leader may repeat a payment in good faith: the second place only names the first."""
    leader = Leader().opened()
    parent, raw = leader.parent, leader.payment(1)
    leader.send(leader.chain([[raw], [raw]]), parent)
    assert leader.acknowledged() == 3
    leader.say(Heartbeat("n1", "n0", 1, 3, 0))
    leader.node.ports.settle()
    rows = [State.open(leader.node.store).history_row(height, 0) for height in (2, 3)]
    assert [row and (row.outcome, row.duplicate_of) for row in rows] == [
        (Outcome.EXECUTED, ()),
        (Outcome.DUPLICATE_OF, ((2, 0),)),
    ]
