"""What nodes do for each other over time: forward again, send missing seals, complain of being passed
over.
"""

from ledger.codec import encode
from ledger.keys import sign, tagged_hash
from node.forwarding import FORWARD_AGAIN_MS
from node.messages import AskTransfer, Forward, NeedSeals, SealShare
from node.records import EVIDENCE
from node.results import Stage, SubmitResult
from node.seal_exchange import ANSWERED_SEALS
from node.submissions import PASSED_OVER_MS
from tests.simulation.cluster.bank import key_of
from tests.unit.node.harness import ALWAYS, Network, Node


def opening(node: Node, number: int) -> bytes:
    """bank0 opens an account."""
    return node.bank.open_account("bank0", "anna", number.to_bytes(16, "big"), ALWAYS)


def pair() -> tuple[Network, Node, Node]:
    """A network of three, its leader and a follower."""
    network = Network(3)
    leader = network.elect()
    follower = next(node for node in network.nodes.values() if node is not leader)
    return network, leader, follower


def test_what_the_leader_never_got_is_forwarded_again() -> None:
    """The first message is lost; after FORWARD_AGAIN_MS the next one arrives, and the submitter is
    answered.
    """
    network, leader, follower = pair()
    network.cut = {(follower.id, leader.id)}
    results: list[SubmitResult] = []
    follower.driver.submit(opening(follower, 1), results.append)
    network.settle()
    assert [result.stage for result in results] == [Stage.PENDING]
    network.cut = set()
    network.tick(FORWARD_AGAIN_MS // 100 - 1)
    assert [result.stage for result in results] == [Stage.PENDING]
    network.tick(2)
    assert [result.stage for result in results] == [Stage.PENDING, Stage.EXECUTED, Stage.CERTIFIED]


def test_a_new_leader_gets_what_the_old_one_did_not_see_through() -> None:
    """Forwarded to a leader that vanishes, then to the next one."""
    network, leader, follower = pair()
    network.cut = {(leader.id, other) for other in network.nodes}
    results: list[SubmitResult] = []
    follower.driver.submit(opening(follower, 1), results.append)
    network.settle()
    assert [result.stage for result in results] == [Stage.PENDING]
    network.cut |= {(other, leader.id) for other in network.nodes}
    network.tick(60)
    assert follower.submit(opening(follower, 1))[-1].stage is Stage.CERTIFIED


def test_what_a_deposed_leader_proposed_is_proposed_again_by_it() -> None:
    """Its block is lost; the payment waits in its pool and goes into a block of its next term."""
    network, leader, follower = pair()
    others = [node for node in network.nodes.values() if node is not leader]
    network.cut = {(leader.id, other.id) for other in others} | {(other.id, leader.id) for other in others}
    results: list[SubmitResult] = []
    leader.driver.submit(opening(leader, 1), results.append)
    network.tick(60)
    network.cut = {(follower.id, leader.id)} | {(leader.id, follower.id)}
    network.tick(5)
    now = next(node for node in others if node.driver.status().role == "leader")
    assert now.driver.status().executed_height == leader.driver.status().last_height
    network.cut = set()
    now.driver.on_message(leader.id, AskTransfer(now.driver.status().term, "a test"))
    network.tick(10)
    assert leader.submit(opening(leader, 1))[-1].stage is Stage.CERTIFIED


def test_missing_seals_are_asked_for_and_sent() -> None:
    """Seals get lost on the way; once asked, the highest in common make a certificate."""
    network, leader, follower = pair()
    certified = leader.driver.certified_height
    blocked = {id_ for id_ in network.nodes if id_ != leader.id}
    for number in range(3):
        leader.driver.submit(opening(leader, number), lambda result: None)
        moved = True
        while moved:
            moved = False
            for node in network.nodes.values():
                node.ports.settle()
                sent, node.ports.sent = node.ports.sent, []
                for to, message in sent:
                    if not (isinstance(message, SealShare) and node.id in blocked):
                        moved = True
                        network.nodes[to].driver.on_message(node.id, message)
    assert leader.driver.executed_height == certified + 3
    assert leader.driver.certified_height == certified
    network.tick(30)
    assert leader.driver.certified_height == leader.driver.executed_height == follower.driver.executed_height


def test_an_answer_holds_the_highest_seals_in_common() -> None:
    """At most ANSWERED_SEALS, none above what either has executed, none below what was asked for."""
    node = Node()
    node.tick(30)
    for number in range(ANSWERED_SEALS + 4):
        node.submit(opening(node, number))
    executed = node.driver.executed_height
    for first, last, count in (
        (1, executed + 9, ANSWERED_SEALS),
        (executed - 1, executed, 2),
        (3, 3, 1),
        (5, 4, 0),
    ):
        node.ports.sent.clear()
        node.driver.on_message("n1", NeedSeals(first, last))
        shares = [message for _, message in node.ports.sent if isinstance(message, SealShare)]
        assert len(shares) == count


def test_a_follower_that_is_passed_over_asks_for_another_leader() -> None:
    """What it forwarded still waits, while what came PASSED_OVER_MS later was executed."""
    network, leader, follower = pair()
    old: list[SubmitResult] = []
    follower.driver.submit(opening(follower, 1), old.append)
    follower.ports.settle()
    follower.ports.sent = [item for item in follower.ports.sent if not isinstance(item[1], Forward)]
    for node in network.nodes.values():
        node.ports.elapsed_ms += PASSED_OVER_MS
    follower.driver.submit(opening(follower, 2), lambda result: None)
    follower.ports.settle()
    (forward,) = [message for _, message in follower.ports.sent if isinstance(message, Forward)]
    assert len(forward.envelopes) == 1
    term = leader.driver.status().term
    network.settle()
    assert follower.ports.logged("transfer_asked")
    network.tick(40)
    assert follower.driver.status().term > term
    assert follower.submit(opening(follower, 1))[-1].stage is Stage.CERTIFIED


def test_a_contradicting_seal_stops_the_node_and_is_kept() -> None:
    """The word says what it is, and both seals are in the store for an inquiry."""
    network, leader, follower = pair()
    own = leader.store.own_seal(1)
    assert own is not None
    forged = own.seal.replace(own.seal[-34:], own.seal[-34:-32] + bytes(32))
    share = SealShare(forged, sign(key_of(follower.id), tagged_hash("seal", forged)))
    leader.driver.on_message(follower.id, share)
    assert [reason.word for reason in leader.stopped] == ["divergence"]
    ((_, evidence),) = leader.store.scan(EVIDENCE)
    assert encode(forged) in evidence
    assert encode(own.seal) in evidence
    network.tick(30)
    assert leader.driver.status().role == "leader"
    assert [node.driver.status().role for node in network.nodes.values() if node is not leader].count(
        "leader"
    ) == 1


def test_a_node_whose_memory_has_lost_a_bit_stops_over_its_next_seal() -> None:
    """The same block, another state root: whoever compares the two seals stops and keeps both of them."""
    network, leader, follower = pair()
    tree = follower.driver._state.tree
    tree.apply(tree.update({0: bytes(32)}))
    leader.submit(opening(leader, 1))
    network.settle()
    for node in (leader, follower):
        assert [reason.word for reason in node.stopped] == ["divergence"]
        assert len(list(node.store.scan(EVIDENCE))) == 1
