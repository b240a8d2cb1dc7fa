"""What a node answers whose old blocks are forgotten: balances and outcomes stay, the rest is elsewhere."""

from __future__ import annotations

import pytest

from api.ports import BlockPruned, Forgotten, Place
from consensus.messages import AppendEntries, AppendEntriesReply, decode_message, encode_message
from node.driver import SWEEP_MS
from node.messages import Hello, RaftFrame
from node.reads import Reads
from tests.unit.node.anna import tx
from tests.unit.node.harness import ALWAYS, TICK_MS, Network, Node
from tests.unit.node.snapshots import grown


def reads_of(node: Node) -> Reads:
    """The reads over a node's store."""
    driver = node.driver
    return Reads(
        node.store, lambda: driver.executed.registry, lambda: driver.certified_height, driver.holders
    )


def cluster_of(size: int) -> tuple[Network, Node, list[str]]:
    """A network, its leader, and the others' names."""
    network = Network(size)
    leader = network.elect()
    return network, leader, sorted(network.nodes.keys() - {leader.id})


def submit(network: Network, node: Node, raw: bytes) -> None:
    """Have it executed everywhere."""
    node.driver.submit(raw, lambda result: None)
    network.settle()
    network.tick()


def say_first_height(node: Node, peer: str, first: int) -> None:
    """Another node says which block is the first that it holds."""
    hello = Hello(node.store.network_id, peer, bytes(16), 0, 0, first)
    node.driver.on_message(peer, hello)


def test_a_forgotten_block_is_told_of_with_those_that_hold_it() -> None:
    """A block, a payment and a receipt of it say which nodes said that they hold it; headers still answer."""
    network, node, (one, two, three) = cluster_of(4)
    tx_id, author = tx(3), b"bank0"
    for number in range(1, 5):
        submit(network, node, node.bank.open_account("bank0", f"a{number}", tx(number), ALWAYS))
    place = reads_of(node).payment(tx_id, author).place
    assert place is not None
    newest = reads_of(node).block(place.height + 1)
    node.store.prune(place.height)
    for peer, first in ((two, 1), (one, place.height), (three, place.height + 1)):
        say_first_height(node, peer, first)
    reads = reads_of(node)
    for ask in (lambda: reads.block(place.height), lambda: reads.payment(tx_id, author)):
        with pytest.raises(BlockPruned, match=f"block {place.height} {one}, {two} said last"):
            ask()
    with pytest.raises(BlockPruned):
        reads.receipt(tx_id, author)
    with pytest.raises(BlockPruned, match=f"of block 1 {two} said last"):
        reads.block(1)
    assert node.driver.holders(place.height + 1) == (one, two, three)
    assert reads.block(place.height + 1) == newest


def test_a_node_that_forgets_a_block_says_so_to_those_it_is_linked_to() -> None:
    """Within half a second, and once: nobody is sent to it for that block any more."""
    network, node, (one, two) = cluster_of(3)
    for peer in (one, two):
        network.nodes[peer].driver.on_connected(node.id)
    network.settle()
    assert node.driver.holders(1) == (one, two)
    network.nodes[one].store.prune(1)
    network.tick(SWEEP_MS // TICK_MS)
    assert (node.driver.holders(1), node.driver.holders(2)) == ((two,), (one, two))
    network.nodes[one].ports.sent.clear()
    network.nodes[one].tick(2 * SWEEP_MS // TICK_MS)
    assert not [message for _, message in network.nodes[one].ports.sent if isinstance(message, Hello)]


def test_who_is_no_member_of_the_cluster_is_not_named() -> None:
    """A node that was let go, or isn't taken in, answers no reads."""
    _, node, (one, _) = cluster_of(3)
    for peer in (one, "n7"):
        say_first_height(node, peer, 1)
    assert node.driver.holders(1) == (one,)


def test_nobody_known_to_hold_a_block_is_said_too() -> None:
    """Then the operator knows to look for an archive."""
    node = grown(3)
    node.store.prune(2)
    with pytest.raises(BlockPruned, match="of block 1 no node that it hears does"):
        reads_of(node).block(1)


def test_a_page_of_history_ends_where_blocks_are_forgotten() -> None:
    """What is held is shown; going on from there tells what is missing."""
    network, node, (_, other) = cluster_of(3)
    submit(network, node, node.bank.open_account("bank0", "anna", tx(7), ALWAYS))
    account = node.bank.account("bank0", tx(7))
    for number in (8, 9):
        submit(network, node, node.bank.issue(account, 5, tx(number), ALWAYS))
    whole = reads_of(node).history(account, None, 10)
    assert len(whole.entries) == 3
    assert (whole.next, whole.forgotten) == (None, None)
    assert reads_of(node).history(account, None, 1).forgotten is None
    node.store.prune(whole.entries[1].place.height)
    page = reads_of(node).history(account, None, 10)
    assert page.entries == whole.entries[:1]
    assert page.next == whole.entries[1].place
    assert page.forgotten == Forgotten(node.store.pruned, ())
    say_first_height(node, other, 1)
    full = reads_of(node).history(account, None, 1)
    assert full.forgotten == Forgotten(node.store.pruned, (other,))
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
