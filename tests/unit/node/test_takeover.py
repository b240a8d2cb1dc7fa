"""Leaders that change at the worst moment: while an activation waits, at the look-back, or because nobody
believes the old one.
"""

from collections.abc import Sequence

import pytest

from consensus.messages import AppendEntries, EntryType, decode_message, encode_message
from ledger.block import decode_block, encode_block
from ledger.outcome import Outcome
from ledger.schedule import LOOK_BACK
from node.intake import FAR_AHEAD_MS
from node.messages import AskTransfer, NodeMessage, RaftFrame
from node.records import EVIDENCE
from node.results import Stage, SubmitResult
from tests.simulation.cluster.bank import ISSUER
from tests.unit.node.harness import ALWAYS, Network, Node

FLIPPED = 1


def tx(number: int) -> bytes:
    """A transaction id."""
    return number.to_bytes(16, "big")


def executed_heights(network: Network) -> set[int]:
    """The executed height of every node, each once."""
    return {node.driver.executed_height for node in network.nodes.values()}


def hand_over(network: Network, leader: Node) -> Node:
    """Another node leads, without an election timeout passing; it has opened its term."""
    asking = next(node for node in network.nodes.values() if node is not leader)
    leader.driver.on_message(asking.id, AskTransfer(leader.driver.status().term, "a test"))
    network.settle()
    (new,) = (node for node in network.nodes.values() if node.driver.status().role == "leader")
    assert new is not leader
    return new


def submitted(network: Network, node: Node, raw: bytes) -> SubmitResult:
    """The last that the submitter hears once nothing moves any more."""
    results: list[SubmitResult] = []
    node.driver.submit(raw, results.append)
    network.settle()
    network.tick(2)
    return results[-1]


def types(node: Node, first: int, last: int) -> list[EntryType]:
    """The types of the log's entries."""
    entries = [node.store.entry(height) for height in range(first, last + 1)]
    return [entry.type for entry in entries if entry is not None]


@pytest.mark.parametrize("change_at", [30, 63, 64], ids=["in the middle", "just before", "at the activation"])
def test_an_activation_is_reached_without_traffic_though_the_leader_changes(change_at: int) -> None:
    """Fillers go on under the next leader; also where the block at the activation is its opening block,
    which still follows the old values, and where it is the last before.
    """
    network = Network(3)
    leader = network.elect()
    decided = leader.driver.executed_height + 1
    activation = decided + LOOK_BACK
    raw = leader.bank.set_envelope_bytes(ISSUER, 2_048, activation, tx(9), ALWAYS)
    assert submitted(network, leader, raw).outcome is Outcome.EXECUTED
    for _ in range(200):
        if leader.driver.status().last_height == decided + change_at - 1:
            break
        network.tick()
    opening = leader.driver.status().last_height + 1
    leader = hand_over(network, leader)
    assert types(leader, opening, opening) == [EntryType.OPENING]
    network.tick(80)
    assert executed_heights(network) == {max(activation - 1, opening)}
    for node in network.nodes.values():
        assert node.driver.executed.registry.parameters_at(activation).envelope_bytes == 2_048
        assert node.ports.logged("invalid_block") == []
    paid = submitted(network, leader, leader.bank.open_account("bank0", "anna", tx(100), ALWAYS))
    assert paid.stage is Stage.CERTIFIED


def broken(message: NodeMessage) -> NodeMessage:
    """The same, with a flipped bit in the signature of every block that it carries."""
    if not isinstance(message, RaftFrame):
        return message
    inner = decode_message(message.data)
    if not isinstance(inner, AppendEntries) or not inner.entries:
        return message
    entries = []
    for entry in inner.entries:
        block = decode_block(entry.data)
        signature = block.signature[:-1] + bytes([block.signature[-1] ^ FLIPPED])
        data = encode_block(block.header_raw, signature, block.body)
        entries.append(type(entry)(entry.index, entry.term, entry.type, data))
    changed = AppendEntries(
        inner.sender,
        inner.to,
        inner.term,
        inner.prev_log_index,
        inner.prev_log_term,
        tuple(entries),
        inner.commit,
    )
    return RaftFrame(encode_message(changed))


class LyingNetwork(Network):
    """A network in which what one node sends to some others is broken on its way out of it."""

    liar = ""
    victims: Sequence[str] = ()

    def settle(self) -> None:
        """See Network."""
        if self.liar:
            ports = self.nodes[self.liar].ports
            send = type(ports).send

            def lie(to: str, message: NodeMessage) -> None:
                send(ports, to, broken(message) if to in self.victims else message)

            ports.send = lie  # type: ignore[method-assign]  # the liar's own port, for this test
        super().settle()


def test_a_leader_that_sends_invalid_blocks_to_all_is_replaced() -> None:
    """Both keep its block as evidence, elect one of themselves, and the payment settles."""
    network = LyingNetwork(3)
    liar = network.elect()
    network.liar, network.victims = liar.id, [node for node in network.nodes if node != liar.id]
    honest = [network.nodes[node] for node in network.victims]
    network.settle()
    results: list[SubmitResult] = []
    liar.driver.submit(liar.bank.open_account("bank0", "anna", tx(100), ALWAYS), results.append)
    network.tick(60)
    assert {node.driver.status().leader_id for node in honest} <= {node.id for node in honest}
    assert all(list(node.store.scan(EVIDENCE)) for node in honest)
    assert results[-1].stage is Stage.CERTIFIED
    assert executed_heights(network) == {results[-1].height}


def test_one_victim_of_a_liar_stands_aside_and_the_others_go_on() -> None:
    """It can't replace a leader whom a quorum believes; in the next term it follows again, and catches up."""
    network = LyingNetwork(3)
    liar = network.elect()
    victim, other = (node for node in network.nodes.values() if node is not liar)
    network.liar, network.victims = liar.id, [victim.id]
    network.settle()
    opened = submitted(network, liar, liar.bank.open_account("bank0", "anna", tx(100), ALWAYS))
    network.tick(60)
    assert opened.stage is Stage.CERTIFIED
    assert liar.driver.status().role == "leader"
    assert (victim.driver.status().leader_id, victim.driver.status().has_quorum) == (None, False)
    network.victims = ()
    network.liar = ""
    network.tick(1)
    leader = hand_over(network, liar)
    network.tick(5)
    assert leader is other
    assert executed_heights(network) == {leader.driver.executed_height}
    assert victim.driver.status().has_quorum


def test_a_leader_whose_clock_is_far_ahead_is_replaced() -> None:
    """Nobody acknowledges its blocks for an hour, so nobody may wait for it: another leads, and goes on."""
    network = Network(3)
    ahead = network.elect()
    ahead.ports.wall_ms += FAR_AHEAD_MS + 3_600_000
    results: list[SubmitResult] = []
    raw = ahead.bank.open_account("bank0", "anna", tx(100), ALWAYS)
    ahead.driver.submit(raw, results.append)
    network.tick(80)
    leaders = {node.driver.status().leader_id for node in network.nodes.values()}
    assert len(leaders) == 1
    assert ahead.id not in leaders
    assert results[-1].stage is Stage.CERTIFIED
    assert abs(results[-1].time_ms - next(iter(network.nodes.values())).ports.wall_ms) < 2 * 3_600_000
