"""A proof of an account from a real core: taken at one height, answered once that height is certified."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from api.ports import NotCertified, NotFound, ProofView
from ledger.certificate import Certifiers, decode_certificate, decode_seal, seal_hash, verify_certificate
from ledger.state_proof import verify_account_proof
from node.records import certificate_key
from node.service import About, NodeService
from tests.unit.node.anna import issue, open_anna, tx
from tests.unit.node.harness import Node, open_database
from tests.unit.node.test_membership import Cluster

LONG_MS = 60_000


@contextmanager
def serving(node: Node) -> Iterator[NodeService]:
    """The service of a node without links."""
    about = About(node.id, "bank0", "0", 0, {})
    with closing(NodeService(node.driver, node.store, {}, about, node.stopped.append)) as service:
        yield service


async def asked(service: NodeService, node: Node, account: bytes, timeout_ms: int) -> asyncio.Task[ProofView]:
    """A request whose proof is taken, by a node whose disk has written nothing since."""
    task = asyncio.create_task(service.account_proof(account, timeout_ms))
    await asyncio.sleep(0)
    node.ports.execute.run()
    await asyncio.sleep(0)
    return task


def checked(view: ProofView, account: bytes, certifiers: Certifiers) -> int | None:
    """The balance that is proved, from the certificate down; None for an account that isn't there."""
    certificate = decode_certificate(view.certificate)
    verify_certificate(certificate, certifiers)
    above = certificate.seal
    for seal in reversed(view.seals):
        assert decode_seal(above).parent_seal_hash == seal_hash(seal)
        above = seal
    assert (above, decode_seal(above).height) == (view.seal, view.height)
    proved = verify_account_proof(view.proof, account, decode_seal(view.seal).state_root)
    return None if proved is None else proved.balance


def paid_but_not_certified() -> Node:
    """A node alone that has executed a payment of 50 to Anna; the certificate isn't on its disk yet."""
    node = Node()
    node.tick(30)
    node.submit(open_anna(node))
    node.driver.submit(issue(node, 1), lambda result: None)
    height = node.driver.executed_height + 1
    while node.driver.executed_height < height:
        assert node.ports.verify.run() or node.ports.execute.run() or node.ports.disk.run()
    assert node.driver.certified_height == height - 1
    return node


def certifiers_of(node: Node, height: int) -> Certifiers:
    """Who certifies a height."""
    return node.driver.executed.registry.certifiers_at(height)


def test_a_proof_is_answered_once_its_height_is_certified() -> None:
    """Not before: there would be nothing to check it against. So is the proof that an account isn't there."""
    node = paid_but_not_certified()
    height, anna = node.driver.executed_height, node.bank.account("bank0", tx(100))

    async def scenario(service: NodeService) -> None:
        there, absent = [await asked(service, node, account, LONG_MS) for account in (anna, anna[::-1])]
        assert not there.done()
        node.ports.settle()
        for task, account, balance in ((there, anna, 50), (absent, anna[::-1], None)):
            view = await task
            assert (view.height, view.seals) == (height, ())
            assert checked(view, account, certifiers_of(node, height)) == balance

    with serving(node) as service:
        asyncio.run(scenario(service))


def test_a_proof_stays_that_of_its_height_while_blocks_go_on() -> None:
    """Where only a later height has a certificate, the seals between lead to it."""
    node = paid_but_not_certified()
    height, anna = node.driver.executed_height, node.bank.account("bank0", tx(100))

    async def scenario(service: NodeService) -> None:
        task = await asked(service, node, anna, LONG_MS)
        for number in (2, 3):
            node.submit(issue(node, number))
        skipped = [certificate_key(each) for each in (height, height + 1)]
        open_database(node.disk).write({}, skipped, sync=True)
        view = await task
        assert (view.height, len(view.seals)) == (height, 2)
        assert checked(view, anna, certifiers_of(node, height + 2)) == 50

    with serving(node) as service:
        asyncio.run(scenario(service))


def test_a_proof_that_is_not_certified_in_time_is_refused() -> None:
    """With the height that it was taken at, and how far certificates go; when the node stops, at once."""
    node = paid_but_not_certified()
    height, anna = node.driver.executed_height, node.bank.account("bank0", tx(100))
    words = f"taken at height {height}; this node holds certificates up to height {height - 1}"

    async def scenario(service: NodeService) -> None:
        late, stopped = await asked(service, node, anna, 1), await asked(service, node, anna, LONG_MS)
        with pytest.raises(NotCertified, match=words):
            await late
        service.stop_waiting()
        with pytest.raises(NotCertified, match=words):
            await stopped

    with serving(node) as service:
        asyncio.run(scenario(service))


def test_before_the_first_block_nothing_is_proved() -> None:
    """Genesis is in no seal."""
    node = Node()

    async def scenario(service: NodeService) -> None:
        task = await asked(service, node, bytes(21), LONG_MS)
        with pytest.raises(NotFound):
            await task

    with serving(node) as service:
        asyncio.run(scenario(service))


def test_a_node_that_certifies_nothing_proves_as_the_others_do() -> None:
    """A learner has every seal, for it executes, though it signs none."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    learner = cluster.nodes[cluster.register(3)]
    cluster.change(add=learner.id, voting=False)
    cluster.pay()
    cluster.tick(25)
    height = learner.driver.executed_height
    assert learner.store.own_seal(height) is None
    holder = bytes(21)

    async def scenario(service: NodeService) -> None:
        view = await (await asked(service, learner, holder, LONG_MS))
        assert view.height == height
        assert checked(view, holder, certifiers_of(learner, height)) is None

    with serving(learner) as service:
        asyncio.run(scenario(service))
