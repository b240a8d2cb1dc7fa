"""What a node answers whose old blocks are forgotten: balances and outcomes stay, the rest is elsewhere."""

from __future__ import annotations

import pytest

from api.ports import BlockPruned, Forgotten, Place
from consensus.messages import AppendEntries, AppendEntriesReply, decode_message, encode_message
from node.messages import Hello, RaftFrame
from node.reads import Reads
from tests.unit.node.harness import Network, Node
from tests.unit.node.snapshots import grown


def reads_of(node: Node) -> Reads:
    """The reads over a node's store."""
    driver = node.driver
    return Reads(
        node.store, lambda: driver.executed.registry, lambda: driver.certified_height, driver.holders
    )


def test_a_forgotten_block_is_told_of_with_those_that_hold_it() -> None:
    """A block, a payment and a receipt of it say which nodes said that they hold it; headers still answer."""
    node = grown(6)
    tx_id = (3).to_bytes(16, "big")
    block = reads_of(node).block(4)
    author = b"bank0"
    place = reads_of(node).payment(tx_id, author).place
    assert place is not None
    node.store.prune(place.height)
    for peer, first in (("n2", 1), ("n1", place.height), ("n3", place.height + 1)):
        hello = Hello(node.store.network_id, peer, bytes(16), 0, 0, first)
        node.driver.on_message(peer, hello)
    reads = reads_of(node)
    for ask in (lambda: reads.block(place.height), lambda: reads.payment(tx_id, author)):
        with pytest.raises(BlockPruned, match=f"block {place.height} n1, n2 held it"):
            ask()
    with pytest.raises(BlockPruned):
        reads.receipt(tx_id, author)
    with pytest.raises(BlockPruned, match="of block 1 n2 held it"):
        reads.block(1)
    assert node.driver.holders(place.height + 1) == ("n1", "n2", "n3")
    if place.height < 4:
        assert reads.block(4) == block


def test_nobody_known_to_hold_a_block_is_said_too() -> None:
    """Then the operator knows to look for an archive."""
    node = grown(3)
    node.store.prune(2)
    with pytest.raises(BlockPruned, match="of block 1 no node that it hears does"):
        reads_of(node).block(1)


def test_a_page_of_history_ends_where_blocks_are_forgotten() -> None:
    """What is held is shown; going on from there tells what is missing."""
    node = Node()
    node.tick(30)
    tx_id = bytes(15) + b"\x07"
    node.submit(node.bank.open_account("bank0", "anna", tx_id, (1, 2**62)))
    account = node.bank.account("bank0", tx_id)
    for number in (8, 9):
        node.tick()
        node.submit(node.bank.issue(account, 5, bytes(15) + bytes([number]), (1, 2**62)))
    whole = reads_of(node).history(account, None, 10)
    assert len(whole.entries) == 3
    assert (whole.next, whole.forgotten) == (None, None)
    assert reads_of(node).history(account, None, 1).forgotten is None
    node.store.prune(whole.entries[1].place.height)
    page = reads_of(node).history(account, None, 10)
    assert page.entries == whole.entries[:1]
    assert page.next == whole.entries[1].place
    assert page.forgotten == Forgotten(node.store.pruned, ())
    node.driver.on_message("n2", Hello(node.store.network_id, "n2", bytes(16), 0, 0, 1))
    full = reads_of(node).history(account, None, 1)
    assert full.forgotten == Forgotten(node.store.pruned, ("n2",))
    with pytest.raises(BlockPruned):
        reads_of(node).history(account, Place(page.next.height, page.next.index), 10)


def test_a_leader_that_begins_below_what_is_held_hears_where_to_go_on() -> None:
    """A node fresh from a snapshot holds no block, and the leader first asks for the one before its last."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    height = follower.driver.executed_height
    assert height > 0
    follower.store.prune(height)
    entry = leader.store.entry(height)
    assert entry is not None
    probe = AppendEntries(leader.id, follower.id, entry.term, 0, 0, (entry,), height)
    follower.ports.sent.clear()
    follower.driver.on_message(leader.id, RaftFrame(encode_message(probe)))
    follower.ports.settle()
    frames = [message for _, message in follower.ports.sent if isinstance(message, RaftFrame)]
    (reply,) = [decode_message(frame.data) for frame in frames]
    assert isinstance(reply, AppendEntriesReply)
    assert (reply.success, reply.index) == (True, height)
    assert not follower.stopped
