"""Where other nodes are reached: genesis, the chain, the own configuration, in this order. Needs no links."""

from ledger.bodies import SetNode
from ledger.genesis import decode_genesis
from ledger.membership import Change
from ledger.records import NodeRecord
from node.addresses import AddressBook
from tests.unit.node.harness import Node


def test_the_chain_and_the_own_configuration_say_where_a_node_is() -> None:
    """A node comes with the chain, one moves, the own word stands above both, and who is retired is gone."""
    node = Node("n0", 3)
    registry = node.driver.executed.registry
    book = AddressBook(decode_genesis(node.genesis_raw).nodes, {"n2": "tunnel:1", "n9": "new:1"})
    assert book.addresses == {"n0": "n0:7000", "n1": "n1:7000", "n2": "tunnel:1", "n9": "new:1"}
    assert book.follow(registry)
    assert not book.follow(registry)
    assert book.addresses["n9"] == "new:1"

    moved = registry.with_node(_at(registry.nodes["n1"], "elsewhere:7000"))
    assert book.follow(moved)
    assert book.addresses["n1"] == "elsewhere:7000"

    retired = moved.with_change(Change(2, ("n0", "n1"), (), ()), 9)
    assert book.follow(retired)
    assert book.addresses == {"n0": "n0:7000", "n1": "elsewhere:7000", "n9": "new:1"}


def test_who_was_introduced_is_known_until_the_chain_says_more() -> None:
    """Nobody who is known moves by it, and nobody whom the chain has retired comes back by it."""
    node = Node("n0", 3)
    registry = node.driver.executed.registry
    book = AddressBook(decode_genesis(node.genesis_raw).nodes, {"n9": "new:1"})
    retired = registry.with_change(Change(2, ("n0", "n1"), (), ()), 9)
    book.follow(retired)
    assert not book.is_stranger("n2")
    assert book.is_stranger("n5")
    words = dict.fromkeys(("n1", "n2", "n5", "n9"), "said:1")
    assert book.introduce(words) == {"n5"}
    assert book.introduce(words) == frozenset()
    assert book.addresses == {"n0": "n0:7000", "n1": "n1:7000", "n5": "said:1", "n9": "new:1"}
    assert book.is_stranger("n5")

    n5 = NodeRecord("n5", "bank0", bytes(65), "n5:7000", registry.nodes["n0"].status, 1, 9)
    book.follow(retired.with_node(n5))
    assert book.addresses["n5"] == "n5:7000"
    assert not book.is_stranger("n5")
    assert book.introduce({"n5": "said:2"}) == frozenset()


def test_what_is_said_next_replaces_what_was_said_while_no_link_stands() -> None:
    """The first may have lied, or be out of date; where a link stands, the certificate says who is there."""
    book = AddressBook(decode_genesis(Node("n0", 3).genesis_raw).nodes, {})
    assert book.introduce({"n5": "liar:1"}) == {"n5"}
    assert book.news({"n5": "liar:1"}) == {}
    assert book.introduce({"n5": "n5:7000"}) == {"n5"}
    assert book.introduce({"n5": "liar:1"}, linked={"n5"}) == frozenset()
    assert book.addresses["n5"] == "n5:7000"


def _at(node: NodeRecord, address: str) -> NodeRecord:
    body = SetNode(node.id, node.member, node.key, address, node.version)
    return NodeRecord(
        node.id, node.member, node.key, body.address, node.status, node.version + 1, node.since_height
    )
