"""A block that only a copy has: what is decided about it can't be carried out on the real store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ledger.bodies import Kind
from node.disk import LevelDatabase
from node.marked_copy import MARKED_TERMS, Stock, mark, opened, take_stock
from node.recovery import Position, RecoveryRefused, Survivor, carry_out, decision
from tests.simulation.cluster.bank import key_of
from tests.unit.node.harness import ALWAYS, NOW_MS, Network, Node, open_database

BOOT = bytes(16)
LATER_MS = NOW_MS + 3_600_000


def _go_on(network: Network, leader: Node, first: int) -> None:
    """Three more blocks."""
    for number in range(first, first + 3):
        tx_id = number.to_bytes(16, "big")
        leader.submit(leader.bank.open_account("bank0", f"a{number}", tx_id, ALWAYS))
        network.tick(5)


def _marked(node: Node, copy: Path, *others: Position) -> tuple[Stock, bytes]:
    """A copy of the node's rows, marked; its stock, and a signed decision to go on from its end."""
    with closing(LevelDatabase(copy)) as database:
        database.write(dict(node.disk.live), (), sync=True)
    with opened(copy, node.genesis_raw, node.id, key_of(node.id)) as survivor:
        known_term = take_stock(survivor).position.known_term
        stock = mark(survivor, known_term, LATER_MS, BOOT)
    body, author = decision([stock.position, *others], rehearsal=True)
    return stock, node.bank.decide(Kind.RECOVER, body, author, bytes(15) + b"r", ALWAYS)


def _real(node: Node) -> Survivor:
    return Survivor(node.id, key_of(node.id), open_database(node.disk), node.genesis_raw)


def test_the_copy_goes_on_from_its_own_block(tmp_path: Path) -> None:
    """The marked block ends its log, in a term that elections don't come to; the copy goes on from it."""
    node = Network(3).elect()
    before = take_stock(_real(node)).position
    stock, raw = _marked(node, tmp_path / "copy")
    assert (stock.position.log_end, stock.position.executed) == (before.log_end + 1, before.log_end)
    assert stock.position.last_term == before.known_term + MARKED_TERMS
    with opened(tmp_path / "copy", node.genesis_raw, node.id, key_of(node.id)) as copy:
        done = carry_out(copy, raw, LATER_MS, BOOT, rehearsal=True)
        after = take_stock(copy).position
    assert (done.maker, after.epoch, after.executed) == (node.id, 1, before.log_end + 2)


def test_its_decision_is_refused_by_every_real_store(tmp_path: Path) -> None:
    """By its maker's and by those that would follow it, sooner and later; nothing is written."""
    network = Network(3)
    leader = network.elect()
    _go_on(network, leader, 0)
    nodes = sorted(network.nodes.values(), key=lambda node: node.id != leader.id)
    _, raw = _marked(leader, tmp_path / "copy", *(take_stock(_real(node)).position for node in nodes[1:]))
    for first in (3, 6):
        for node in nodes:
            before = dict(node.disk.live)
            with pytest.raises(RecoveryRefused, match="a drill's rehearsal"):
                carry_out(_real(node), raw, LATER_MS, BOOT)
            assert dict(node.disk.live) == before
        _go_on(network, leader, first)


@pytest.mark.parametrize(("blocks", "words"), [(0, "below the block"), (3, "would lose what a quorum")])
def test_the_maker_never_has_the_marked_block(tmp_path: Path, blocks: int, words: str) -> None:
    """Even where a store of the real chain is taken for a drill's copy, nothing comes of the decision."""
    network = Network(3)
    leader = network.elect()
    _go_on(network, leader, 0)
    _, raw = _marked(leader, tmp_path / "copy")
    if blocks:
        _go_on(network, leader, blocks)
    before = dict(leader.disk.live)
    with pytest.raises(RecoveryRefused, match=words):
        carry_out(_real(leader), raw, LATER_MS, BOOT, rehearsal=True)
    assert dict(leader.disk.live) == before


def test_stock_is_what_the_store_says() -> None:
    """Heights, members and nodes come from the executed state; nothing was paid, so nothing is held."""
    network = Network(3)
    leader = network.elect()
    _go_on(network, leader, 0)
    stock = take_stock(_real(leader))
    assert stock.position.executed == leader.driver.executed_height
    assert set(stock.registry.nodes) == {"n0", "n1", "n2"}
    assert stock.supply == {"EUR": 0}
