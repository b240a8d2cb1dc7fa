"""A stopped node's store goes on from what the members decided: all at once, and never below a promise."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from ledger.block import decode_block
from ledger.bodies import Kind, Recover
from ledger.certificate import Certifier, Certifiers
from ledger.codec import decode
from ledger.keys import public_bytes
from ledger.outcome import Outcome
from ledger.parameters import CertificateRule
from ledger.records import Schedule
from ledger.state import State
from node.introductions import Introduction, introduce, introduced
from node.records import EVIDENCE
from node.recovery import Done, Position, RecoveryRefused, Survivor, carry_out, decision, furthest, position
from node.results import Stage
from node.staged import StagedDatabase
from node.store import Store
from tests.simulation.cluster.bank import key_of
from tests.simulation.cluster.signatures import checked_once
from tests.unit.node.harness import ALWAYS, NOW_MS, Network, Node, open_database, reopen
from tests.unit.node.test_membership import CHANGE_TICKS, Cluster

BOOT = bytes(16)
LATER_MS = NOW_MS + 3_600_000


def _network(blocks: int = 3) -> Network:
    """Three nodes whose chain has some blocks."""
    network = Network(3)
    leader = network.elect()
    for number in range(blocks):
        tx_id = number.to_bytes(16, "big")
        leader.submit(leader.bank.open_account("bank0", f"a{number}", tx_id, ALWAYS))
        network.tick(5)
    return network


def _found(node: Node) -> Position:
    store = Store.open(open_database(node.disk), node.genesis_raw, node.id)
    return position(store, State.open(store), node.id)


def _signed(node: Node, body: Recover, author: str = "bank0") -> bytes:
    tx_id = bytes(14) + bytes([body.epoch]) + b"r"
    return node.bank.decide(Kind.RECOVER, body, author, tx_id, ALWAYS)


def _apply(node: Node, raw: bytes) -> Done:
    survivor = Survivor(node.id, key_of(node.id), open_database(node.disk), node.genesis_raw)
    return carry_out(survivor, raw, LATER_MS, BOOT)


def test_the_survivor_goes_on_alone() -> None:
    """Its store begins the new epoch; its node opens a term, certifies alone, and proves that it may."""
    node = _network().nodes["n0"]
    found = _found(node)
    body, author = decision([found])
    done = _apply(node, _signed(node, body, author))
    assert (done.node, done.maker, done.height, done.cut_blocks) == ("n0", "n0", found.log_end, 0)
    again = reopen(node)
    again.ports.wall_ms = LATER_MS
    assert (again.driver.executed_height, again.driver.executed.progress.epoch) == (found.log_end + 1, 1)
    again.tick(30)
    again.submit(again.bank.open_account("bank0", "later", bytes(15) + b"l", (1, 2**62)))
    again.tick(5)
    assert not again.stopped
    height = again.driver.executed_height
    assert height == again.driver.certified_height == found.log_end + 3
    proof = introduce(again.driver.executed.registry, height, again.store.certificate)
    assert proof is not None
    assert introduced(again.genesis_raw, decode(proof, Introduction)) == {"n0": "n0:7000"}


def _stuck() -> tuple[Cluster, Node]:
    """Two voters became one, and the other's store is lost before it has sealed the end of that change."""
    cluster = Cluster(1, further=2)
    stays = cluster.elect()
    cluster.change(add=cluster.register(1))
    lost = cluster.nodes["n1"]

    def on_block(_: int) -> None:
        if lost.driver.status().membership.outgoing:
            lost.ports.execute.paused = True

    lost.driver.on_block(on_block)
    assert cluster.decide(remove=lost.id) is Outcome.EXECUTED
    for _ in range(CHANGE_TICKS):
        cluster.tick()
        membership = stays.driver.status().membership
        if lost.ports.execute.paused and not membership.outgoing:
            break
    cluster.stop(lost.id)
    cluster.tick(50)
    return cluster, stays


def test_the_way_out_where_those_are_lost_who_had_to_certify_a_changes_end() -> None:
    """Payments go on, and nothing is certified or decided any more; a recovery brings both back."""
    with checked_once():
        cluster, stays = _stuck()
        status = stays.driver.status()
        assert (status.membership.voters, status.membership.is_pending) == (("n0",), True)
        results = cluster.ask(stays.bank.open_account("bank0", "waits", cluster.tx_id(), ALWAYS))
        cluster.tick(5)
        assert results[-1].stage is Stage.EXECUTED
        assert stays.driver.certified_height < stays.driver.executed_height
        assert cluster.decide(remove="n0") is Outcome.MEMBERSHIP_CHANGE_PENDING

        body, author = decision([_found(stays)])
        _apply(stays, _signed(stays, body, author))
        cluster.nodes[stays.id] = again = reopen(stays)
        again.ports.wall_ms = LATER_MS
        cluster.elect()
        assert cluster.pay() is Outcome.EXECUTED
        cluster.change(add=cluster.register(2))
        assert cluster.voters == ("n0", "n2")
        cluster.check()


def test_nobody_need_be_lost() -> None:
    """All nodes go on, where certifying was stuck; and the sole survivor of one recovery in another."""
    network = _network()
    positions = [_found(node) for node in network.nodes.values()]
    body, author = decision(positions)
    raw = _signed(network.nodes["n0"], body, author)
    done = [_apply(node, raw) for node in network.nodes.values()]
    maker = network.nodes[done[0].maker]
    for epoch in (2, 3):
        body, author = decision([_found(maker)])
        _apply(maker, _signed(maker, body, author))
        assert (_found(maker).epoch, body.voters) == (epoch, (maker.id,))


@pytest.mark.parametrize(
    ("survivors", "rule"), [(3, CertificateRule.MAJORITY), (4, CertificateRule.BYZANTINE)]
)
def test_too_few_for_the_byzantine_rule_are_proposed_under_the_majority(
    survivors: int, rule: CertificateRule
) -> None:
    """It takes four: what is signed says that fewer go on by another rule than is in force."""
    node = Network(4).elect()
    node.submit(node.bank.open_account("bank0", "a", bytes(16), ALWAYS))
    node.tick(5)
    found = _found(node)
    parameters = replace(found.registry.parameters_at(0), certificate_rule=CertificateRule.BYZANTINE.value)
    registry = found.registry.with_parameters(Schedule(1, ((0, parameters),)))
    positions = [
        dataclasses.replace(found, node=f"n{number}", certified=1, registry=registry)
        for number in range(survivors)
    ]
    assert decision(positions)[0].certifiers.certificate_rule == rule


def test_the_furthest_log_is_the_newest_then_the_longest() -> None:
    """As in an election: a longer log of an older term may lack what was acknowledged since."""
    found = _found(_network().nodes["n0"])
    longer = dataclasses.replace(found, node="n1", log_end=found.log_end + 9)
    newer = dataclasses.replace(found, node="n2", last_term=found.last_term + 1)
    assert furthest([found, longer]) is longer
    assert furthest([found, longer, newer]) is newer


def test_one_write_does_it_or_nothing() -> None:
    """What is staged is invisible below until it is committed, and then nothing more is staged."""
    node = _network().nodes["n0"]
    before = dict(node.disk.live)
    staged = StagedDatabase(open_database(node.disk))
    first, last = min(before), max(before)
    staged.write({first + b"+": b"new"}, [last], sync=True)
    assert dict(node.disk.live) == before
    rows = list(staged.scan(b"", b"\xff" * 64))
    assert rows == sorted({**before, first + b"+": b"new"}.items())[:-1]
    assert list(staged.scan(b"", b"\xff" * 64, reverse=True)) == rows[::-1]
    assert (staged.get(first + b"+"), staged.get(last), staged.get(first)) == (b"new", None, before[first])
    staged.commit()
    assert sorted(node.disk.live.items()) == rows


def test_a_second_time_is_refused() -> None:
    """A decision that is carried out isn't carried out again, nor by who is not named in it."""
    network = _network()
    node = network.nodes["n0"]
    body, author = decision([_found(node)])
    raw = _signed(node, body, author)
    with pytest.raises(RecoveryRefused, match="goes on without n1"):
        _apply(network.nodes["n1"], raw)
    _apply(node, raw)
    before = dict(node.disk.live)
    with pytest.raises(RecoveryRefused, match="in epoch 1 already"):
        _apply(node, raw)
    assert dict(node.disk.live) == before


def test_nothing_certified_or_executed_is_lost() -> None:
    """A lower block is refused where it is proposed and where it is carried out, and nothing is written."""
    node = _network().nodes["n0"]
    found = _found(node)
    with pytest.raises(RecoveryRefused, match="what a quorum of banks has confirmed"):
        decision([found], found.certified - 1)
    body, author = decision([found])
    before = dict(node.disk.live)
    low = replace(body, height=found.certified - 1, certified_height=found.certified - 1)
    with pytest.raises(RecoveryRefused, match="what a quorum of banks has confirmed"):
        _apply(node, _signed(node, low, author))
    assert dict(node.disk.live) == before


def _naming(*nodes: str, own: ec.EllipticCurvePrivateKey | None = None) -> Certifiers:
    """These nodes as certifiers; with `own` in place of the first one's key."""
    keys = [key_of(node) for node in nodes]
    keys[0] = own or keys[0]
    members = [f"bank{node[1:]}" for node in nodes]
    named = zip(nodes, members, map(public_bytes, keys), strict=True)
    return Certifiers(0, tuple(Certifier(*each) for each in named))


WRONG = (
    ({"header_hash": bytes(32)}, "another block"),
    ({"term": 1}, "the decision is for term 1"),
    ({"certifiers": _naming("n0", "n9")}, "unknown_node"),
    ({"certifiers": _naming("n0", "n1", own=key_of("n9"))}, "another member or key for n0"),
    ({"rehearsal": True}, "a drill's rehearsal"),
    ({"certified_height": 1}, "the decision builds on that of 1"),
)


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_a_wrong_decision_is_refused(changes: dict[str, object], words: str) -> None:
    """Another chain's block, a term that was, a node that isn't: told, and nothing is written."""
    node = _network().nodes["n0"]
    body, author = decision([_found(node)])
    before = dict(node.disk.live)
    with pytest.raises(RecoveryRefused, match=words):
        _apply(node, _signed(node, replace(body, **changes), author))
    assert dict(node.disk.live) == before


def test_who_follows_is_bound_to_the_maker() -> None:
    """A survivor that doesn't make the block votes for nobody else in the new term, and keeps its log."""
    network = _network()
    nodes = [network.nodes[name] for name in ("n0", "n1")]
    positions = [_found(node) for node in nodes]
    body, author = decision(positions)
    raw = _signed(nodes[0], body, author)
    made = [_apply(node, raw) for node in nodes]
    maker = made[0].maker
    follower = next(node for node in nodes if node.id != maker)
    store = Store.open(open_database(follower.disk), follower.genesis_raw, follower.id)
    assert (store.hard_state().term, store.hard_state().vote) == (body.term, maker)
    assert store.log_end == body.height


def test_what_is_cut_off_is_kept() -> None:
    """Blocks above the named one, which nobody has executed, stay as evidence."""
    network = _network()
    node = network.elect()
    network.cut |= {(node.id, other) for other in network.nodes if other != node.id}
    node.submit(node.bank.open_account("bank0", "alone", bytes(15) + b"x", ALWAYS))
    node.tick(2)
    found = _found(node)
    assert found.log_end == found.executed + 1
    body, author = decision([found], found.executed)
    assert _apply(node, _signed(node, body, author)).cut_blocks == 1
    kept = [raw for key, raw in node.disk.live.items() if key.startswith(EVIDENCE)]
    assert len(kept) == 1
    entry = Store.open(open_database(node.disk), node.genesis_raw, node.id).entry(found.log_end)
    assert entry is not None
    assert decode_block(entry.data).header.epoch == 1
