"""A stranger at the door: the nodes that are known prove who votes now, and nothing else is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.certificate import InvalidCertificate
from ledger.codec import Malformed, decode, encode
from ledger.genesis import decode_genesis
from node.addresses import AddressBook
from node.introductions import (
    VOTERS_PATH,
    Acquaintances,
    Introduction,
    ask_of_strangers,
    introduce,
    introduced,
)
from node.snapshot_fetch import PeerAnswer, PeerFailed
from tests.unit.node.harness import Node
from tests.unit.node.test_membership import Cluster


@pytest.fixture(scope="module")
def changed() -> Cluster:
    """Two of three nodes are replaced, one after the other."""
    cluster = Cluster(3)
    cluster.elect()
    for number in range(2):
        cluster.change(add=cluster.register(number, f"n{number}-2027"), remove=f"n{number}")
        cluster.stop(f"n{number}")
    cluster.pay()
    return cluster


def introduction_of(node: Node) -> bytes:
    """What the node says of who votes."""
    driver = node.driver
    raw = introduce(driver.executed.registry, driver.executed_height, node.store.certificate)
    assert raw is not None
    return raw


def test_voters_of_whom_genesis_knows_nothing_are_proved(changed: Cluster) -> None:
    """Over two hand-overs, each certified by those before."""
    found = introduced(changed.leader.genesis_raw, introduction_of(changed.leader))
    assert found == {"n0-2027": "n0-2027:7000", "n1-2027": "n1-2027:7000", "n2": "n2:7000"}


def test_who_certifies_since_genesis_needs_no_handover() -> None:
    """Nothing is proved but what genesis says."""
    node = Node("n0", 3)
    assert introduced(node.genesis_raw, introduction_of(node)) == {f"n{n}": f"n{n}:7000" for n in range(3)}


def _without_first(introduction: Introduction) -> Introduction:
    return replace(introduction, handovers=introduction.handovers[1:])


def _another_node(introduction: Introduction) -> Introduction:
    last = introduction.handovers[-1]
    (first, *others) = last.certifiers.nodes
    forged = replace(last.certifiers, nodes=(replace(first, node="mallory-1"), *others))
    return replace(introduction, handovers=(*introduction.handovers[:-1], replace(last, certifiers=forged)))


def _one_address_more(introduction: Introduction) -> Introduction:
    return replace(introduction, addresses=(*introduction.addresses, "mallory:7000"))


@pytest.mark.parametrize("forge", [_without_first, _another_node, _one_address_more])
def test_what_proves_nothing_is_refused(
    changed: Cluster, forge: Callable[[Introduction], Introduction]
) -> None:
    """A hand-over left out, another node named in one, or an address without a node."""
    forged = forge(decode(introduction_of(changed.leader), Introduction))
    with pytest.raises((InvalidCertificate, Malformed)):
        introduced(changed.leader.genesis_raw, encode(forged))


class _Log:
    def info(self, event: str, **fields: Any) -> None:
        """Nothing is looked at."""

    warning = error = info


def test_those_who_are_known_are_asked_once_a_stranger_has_knocked(changed: Cluster) -> None:
    """One is down, one lies, one lacks the proof: the fourth's word makes the strangers known."""
    raw = introduction_of(changed.leader)
    lie = encode(_another_node(decode(raw, Introduction)))
    answers = {"b": PeerAnswer(200, lie), "c": PeerAnswer(404, b""), "d": PeerAnswer(200, raw)}
    asked: list[str] = []

    async def ask(peer: str, path: str) -> PeerAnswer:
        asked.append(f"{peer}{path}")
        if peer not in answers:
            raise PeerFailed(f"{peer} is down")
        return answers[peer]

    async def no_second_round(pause_s: float) -> None:
        raise TimeoutError

    book = AddressBook(decode_genesis(changed.leader.genesis_raw).nodes, {})
    assert book.is_stranger("n0-2027")

    async def scenario() -> None:
        knocked = asyncio.Event()
        knocked.set()
        around = Acquaintances(changed.leader.genesis_raw, ask, lambda: "abcd", book.introduce, _Log())
        with pytest.raises(TimeoutError):
            await ask_of_strangers(around, knocked, no_second_round)
        assert not knocked.is_set()

    asyncio.run(scenario())
    assert asked == [f"{peer}{VOTERS_PATH}" for peer in "abcd"]
    assert book.addresses["n0-2027"] == "n0-2027:7000"
    assert not book.is_stranger("n0-2027")
    assert "mallory-1" not in book.addresses
