"""Leadership handed over because an operator wants it: to whom, and when not."""

from __future__ import annotations

import pytest

from node.handover import HandoverRefused
from tests.unit.node.harness import Network, Node


def others(network: Network, leader: Node) -> list[Node]:
    return [node for node in network.nodes.values() if node is not leader]


@pytest.mark.parametrize("named", [True, False])
def test_the_successor_leads_without_waiting_for_a_tick(named: bool) -> None:
    """The one that was named, else the furthest; the others never miss a leader."""
    network = Network(3)
    leader = network.elect()
    wanted = others(network, leader)[-1].id if named else None
    chosen = leader.driver.hand_over(wanted)
    network.settle()
    assert wanted in (None, chosen)
    assert {node.driver.status().leader_id for node in network.nodes.values()} == {chosen}
    assert [event["to"] for event in leader.ports.logged("transfer_by_operator")] == [chosen]


def test_only_the_leader_hands_over() -> None:
    """A follower says who leads."""
    network = Network(3)
    leader = network.elect()
    with pytest.raises(HandoverRefused, match=f"ask {leader.id}"):
        others(network, leader)[0].driver.hand_over(leader.id)


def test_not_to_itself_and_not_to_whom_no_link_stands() -> None:
    """An unknown node counts as one that can't be reached."""
    network = Network(3)
    leader = network.elect()
    with pytest.raises(HandoverRefused, match="it is the leader already"):
        leader.driver.hand_over(leader.id)
    with pytest.raises(HandoverRefused, match="no link stands to zulu-1"):
        leader.driver.hand_over("zulu-1")
    leader.ports.links.clear()
    with pytest.raises(HandoverRefused, match="no link stands to any other voter"):
        leader.driver.hand_over(None)


def test_one_transfer_at_a_time() -> None:
    """While a successor is awaited, a second request is refused."""
    network = Network(3)
    leader = network.elect()
    first, second = others(network, leader)
    leader.driver.hand_over(first.id)
    with pytest.raises(HandoverRefused, match=f"being handed over to {first.id}"):
        leader.driver.hand_over(second.id)
