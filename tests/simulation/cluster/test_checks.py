"""The simulated cluster's own means: what it checks would be seen, and what it saves costs no strictness."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from consensus.messages import AppendEntriesReply, encode_message
from ledger.block import block_hash
from ledger.keys import BadSignature, public_bytes, sign, verify
from ledger.outcome import Outcome
from ledger.parameters import CertificateRule
from node.config import Timing
from node.messages import RaftFrame
from node.results import Stage, SubmitResult
from tests.simulation.cluster.bank import Bank, genesis_of, key_of
from tests.simulation.cluster.clients import Clients, Order
from tests.simulation.cluster.history import Balances
from tests.simulation.cluster.oracle import Oracle
from tests.simulation.cluster.profile import (
    CALM,
    CAMPAIGN,
    HARSH,
    LOST_QUORUM,
    PROFILES,
    TIMINGS,
    draw_rates,
    draw_rule,
)
from tests.simulation.cluster.reads import Answer
from tests.simulation.cluster.signatures import checked_once
from tests.simulation.cluster.world import MAX_STEPS, World
from tests.simulation.report import Violation
from tests.unit.node.anna import alone, issue, tx
from tests.unit.node.harness import Node

ACCOUNT = b"account"
BALANCES = Balances({ACCOUNT: [3, 7]}, {ACCOUNT: [100, 40]})


@pytest.mark.parametrize(("height", "balance"), [(1, 0), (2, 0), (3, 100), (6, 100), (7, 40), (99, 40)])
def test_balances_hold_from_the_height_of_their_change_on(height: int, balance: int) -> None:
    """Before its first change an account holds nothing."""
    assert BALANCES.at(ACCOUNT, height) == balance


@pytest.mark.parametrize(("height", "balance"), [(6, 40), (7, 100), (2, 100)])
def test_a_read_that_the_chain_does_not_give_is_a_violation(height: int, balance: int) -> None:
    """A balance of another height than the one it was read at is seen."""
    with pytest.raises(Violation, match="the chain gives"):
        BALANCES.check_answers([Answer("n0", ACCOUNT, height, balance)])


def test_signatures_checked_once_are_still_checked() -> None:
    """A good signature is good again; one by another key, or over another digest, is refused each time."""
    key, digest, other = key_of("one"), bytes(32), bytes([1]) * 32
    public, signature = public_bytes(key), sign(key, digest)
    with checked_once():
        for _ in range(2):
            verify(public, digest, signature)
            for wrong in ((public, other, signature), (public_bytes(key_of("two")), digest, signature)):
                with pytest.raises(BadSignature):
                    verify(*wrong)
    with pytest.raises(BadSignature):
        verify(public, other, signature)


def test_nodes_that_never_come_to_rest_are_a_violation() -> None:
    """An event that makes another at the same moment, for ever, doesn't hang the simulator."""
    world = World(1)

    def again() -> None:
        world.schedule(0, again)

    again()
    for _ in range(MAX_STEPS):
        world.step()
    with pytest.raises(Violation, match="still busy"):
        world.step()


def _pays_after_refusal(refused: bytes, executed: bytes, node: Node) -> None:
    """Check, at a node that has executed the one, an order for the other that was refused."""
    assert node.submit(executed)[-1].stage is Stage.CERTIFIED
    order = Order(refused, node.bank.issuance, tx(9), (), 0, refused=[Outcome.INSUFFICIENT_FUNDS])
    Oracle(lambda id_: node.disk, Counter()).check_refused({node.id: node.store}, [order])


def test_what_was_refused_for_good_and_is_executed_is_a_violation() -> None:
    """The chain has that very content; another one with the same id is none."""
    node = alone()
    one, other = issue(node, 9, 1), issue(node, 9, 2)
    _pays_after_refusal(one, other, node)
    with pytest.raises(Violation, match="was refused"):
        _pays_after_refusal(other, other, node)


def test_an_order_is_refused_for_good_once_all_its_submissions_are() -> None:
    """One that a node holds, or never answered, keeps it open; one that reached nobody does not."""
    heard: list[Callable[[SubmitResult], None]] = []
    is_up = [True, True, False]

    def submit(node: str, submissions: list[tuple[bytes, Callable[[SubmitResult], None]]]) -> bool:
        heard.extend(report for _, report in submissions)
        return is_up[len(heard) - 1]

    clients = Clients(World(1), Bank(genesis_of(1)), lambda: ["n0"], submit)
    clients.orders.append(Order(b"", b"", b"", (), 0))
    for _ in is_up:
        clients.ask_for_all_again(["n0"])
    refusal = SubmitResult(Stage.REFUSED, b"", b"", Outcome.INSUFFICIENT_FUNDS)
    heard[0](refusal)
    heard[1](replace(refusal, held=True))
    assert clients.refused_for_good() == []
    heard[1](refusal)
    assert clients.refused_for_good() == clients.orders


def test_the_mixture_has_every_kind_of_fault_but_a_lost_quorum() -> None:
    """What all together do must be seen to be done by each alone, and the other way round."""
    alone = {nemesis.name for name in CAMPAIGN if name != HARSH.name for nemesis in PROFILES[name].nemeses}
    together = {nemesis.name for nemesis in HARSH.nemeses}
    assert together <= alone
    assert alone - together == {LOST_QUORUM.name}


def test_seeds_differ_in_timing_and_in_the_certificate_rule() -> None:
    """A node's default timing is among what is drawn; the byzantine rule only where genesis allows it."""
    random = Random(1)
    assert {draw_rates(CALM, random).timing for _ in range(20)} == {*TIMINGS}
    assert Timing() in TIMINGS
    assert {draw_rule(4, random) for _ in range(20)} == {*CertificateRule}
    assert {draw_rule(3, random) for _ in range(20)} == {CertificateRule.MAJORITY}


def test_a_recovery_keeps_what_the_survivors_chain_has_and_undoes_nothing_of_theirs() -> None:
    """Another block than the one that lost nodes executed voids it, though it has the same height."""
    node = alone()
    tip = node.driver.executed_height
    sealed = {height: node.store.header(height) for height in range(1, tip + 1)}
    blocks = {height: block_hash(found.header) for height, found in sealed.items() if found is not None}
    oracle = Oracle(lambda id_: node.disk, Counter())
    for height in blocks:
        oracle.executed("lost", node.store, height)
    oracle.executed("survivor", node.store, 1)
    replaced = {**blocks, tip: bytes(32), tip + 1: bytes(32)}
    assert oracle.recovered(blocks, ["survivor"]) == tip
    assert oracle.recovered(replaced, ["survivor"]) == tip - 1
    with pytest.raises(Violation, match="undoes what is above 0, a survivor had executed 1"):
        oracle.recovered({1: bytes(32)}, ["survivor"])


def test_a_term_has_one_leader_in_each_epoch() -> None:
    """Nobody in the new one has heard of whom the lost elected; within it there can't be two."""
    oracle = Oracle(lambda id_: alone().disk, Counter())
    oracle.leads("lost", 4)
    with pytest.raises(Violation, match="both lead term 4"):
        oracle.leads("survivor", 4)
    oracle.recovered({}, ["survivor"])
    oracle.leads("survivor", 4)
    with pytest.raises(Violation, match="both lead term 4"):
        oracle.leads("other", 4)


def _acknowledges(node: Node, index: int, term: int) -> None:
    """Check, as it leaves, that the node tells another that it stored the block in this term."""
    reply = AppendEntriesReply(node.id, "other", term, success=True, index=index, hint_index=0, hint_term=0)
    Oracle(lambda id_: node.disk, Counter()).sent(node.id, RaftFrame(encode_message(reply)))


def test_a_block_acknowledged_but_not_on_the_disk_is_a_violation() -> None:
    """One on the disk is none; nor is one of a term that is over: a later leader may have had it cut off."""
    node = alone()
    stored, term = node.driver.executed_height, node.driver.status().term
    _acknowledges(node, stored, term)
    _acknowledges(node, stored + 1, term - 1)
    with pytest.raises(Violation, match=f"acknowledged block {stored + 1} before it was synced"):
        _acknowledges(node, stored + 1, term)
