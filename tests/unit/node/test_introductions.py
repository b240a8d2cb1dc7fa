"""A stranger at the door: the nodes that are known prove who votes now, and nothing else is believed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping

import pytest
from msgspec.structs import replace

from ledger.certificate import InvalidCertificate
from ledger.codec import Malformed, decode, encode
from ledger.genesis import decode_genesis
from ledger.handovers import Handover
from node import introductions
from node.addresses import AddressBook
from node.introductions import (
    VOTERS_PATH,
    Acquaintances,
    Introduction,
    ask_of_strangers,
    introduce,
    introduced,
)
from node.snapshot_fetch import MAX_HANDOVERS, PeerAnswer, PeerFailed
from tests.unit.ledger import sample
from tests.unit.node.harness import Node
from tests.unit.node.peer_ends import Lines, SeededRandom
from tests.unit.node.test_membership import Cluster

NEVER = 0
"""The status of an answer that doesn't come."""


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


def introduction_of(node: Node) -> Introduction:
    """What the node says of who votes."""
    driver = node.driver
    raw = introduce(driver.executed.registry, driver.executed_height, node.store.certificate)
    assert raw is not None
    return decode(raw, Introduction)


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
    forged = forge(introduction_of(changed.leader))
    with pytest.raises((InvalidCertificate, Malformed)):
        introduced(changed.leader.genesis_raw, forged)


def test_an_introduction_has_so_many_hand_overs_at_most() -> None:
    """One more isn't read; so many are, which lead nowhere here."""
    handover = Handover(sample.certificate(sample.seal(1)), sample.certifiers())
    raw = encode(Introduction((handover,) * MAX_HANDOVERS, ()))
    assert len(decode(raw, Introduction).handovers) == MAX_HANDOVERS
    with pytest.raises(Malformed, match="length"):
        decode(encode(Introduction((handover,) * (MAX_HANDOVERS + 1), ())), Introduction)


class _Door:
    """A node whose acquaintances answer as they are told to: bytes, a status, or never."""

    def __init__(self, node: Node, answers: Mapping[str, bytes | int]) -> None:
        self.book = AddressBook(decode_genesis(node.genesis_raw).nodes, {})
        self.linked: set[str] = set()
        self.log = Lines()
        self.asked: list[str] = []
        self.met: list[Mapping[str, str]] = []
        self._answers = answers
        self._around = Acquaintances(
            node.genesis_raw, self._ask, lambda: "abcd", self._is_news, self._meet, SeededRandom(), self.log
        )

    async def _ask(self, peer: str, path: str) -> PeerAnswer:
        self.asked.append(f"{peer}{path}")
        answer = self._answers.get(peer)
        if answer is None:
            raise PeerFailed(f"{peer} is down")
        if answer == NEVER:
            await asyncio.Event().wait()
        return PeerAnswer(200, answer) if isinstance(answer, bytes) else PeerAnswer(answer, b"")

    def _is_news(self, addresses: Mapping[str, str]) -> bool:
        return bool(self.book.news(addresses, self.linked))

    def _meet(self, addresses: Mapping[str, str]) -> None:
        self.met.append(addresses)
        self.book.introduce(addresses, self.linked)

    def knock(self) -> None:
        """One round of asking, and no second one."""

        async def no_second_round(pause_s: float) -> None:
            raise TimeoutError

        async def scenario() -> None:
            knocked = asyncio.Event()
            knocked.set()
            with pytest.raises(TimeoutError):
                await ask_of_strangers(self._around, knocked, no_second_round)
            assert not knocked.is_set()

        asyncio.run(scenario())


def test_those_who_are_known_are_asked_once_a_stranger_has_knocked(changed: Cluster) -> None:
    """One is down, one lies, one lacks the proof: the fourth's word makes the strangers known."""
    truth = introduction_of(changed.leader)
    door = _Door(changed.leader, {"b": encode(_another_node(truth)), "c": 404, "d": encode(truth)})
    assert "n0-2027" not in door.book.addresses
    door.knock()
    assert sorted(door.asked) == [f"{peer}{VOTERS_PATH}" for peer in "abcd"]
    assert door.book.addresses["n0-2027"] == "n0-2027:7000"
    assert "mallory-1" not in door.book.addresses
    reasons = {fields["peer"]: fields["reason"] for _, fields in door.log.lines}
    assert reasons.keys() == {"a", "b", "c"}
    assert "doesn't prove who votes" in reasons["b"]


def test_one_who_never_answers_keeps_nobody_waiting_long(
    changed: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are asked at once, and whoever trickles is given up after a while."""
    monkeypatch.setattr(introductions, "ANSWER_TIMEOUT_S", 0.01)
    door = _Door(
        changed.leader, {"a": NEVER, "b": NEVER, "c": NEVER, "d": encode(introduction_of(changed.leader))}
    )
    door.knock()
    assert door.book.addresses["n0-2027"] == "n0-2027:7000"
    reasons = [fields["reason"] for _, fields in door.log.lines]
    assert len(reasons) == 3
    assert all("within 0.01 s" in reason for reason in reasons)


def test_a_liar_s_address_is_replaced_until_a_link_stands(changed: Cluster) -> None:
    """One says that all are reached at its own place, one tells the truth: some round ends with the truth."""
    truth = introduction_of(changed.leader)
    lie = replace(truth, addresses=("liar:1",) * len(truth.addresses))
    door = _Door(changed.leader, {"a": encode(lie), "d": encode(truth)})
    rounds = 0
    while door.book.addresses.get("n0-2027") != "n0-2027:7000":
        door.knock()
        rounds += 1
        assert rounds < 20
    door.linked = {"n0-2027", "n1-2027"}
    met = len(door.met)
    door.knock()
    assert len(door.met) == met
    assert door.book.addresses["n2"] == "n2:7000"


def test_the_loop_goes_on_while_an_introduction_is_verified(
    changed: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long answer takes long to verify: another thread does it, or this node's leader would go unheard."""
    threads: list[int] = []

    def verify(genesis_raw: bytes, introduction: Introduction) -> dict[str, str]:
        threads.append(threading.get_ident())
        return introduced(genesis_raw, introduction)

    monkeypatch.setattr(introductions, "introduced", verify)
    _Door(changed.leader, {"a": encode(introduction_of(changed.leader))}).knock()
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_what_would_be_no_news_is_not_verified(changed: Cluster) -> None:
    """Whoever says nothing new costs nothing: what it gives proves nothing, and isn't looked at."""
    unproved = _without_first(introduction_of(changed.leader))
    door = _Door(changed.leader, {"a": encode(unproved)})
    door.linked = {"n0-2027", "n1-2027"}
    door.knock()
    assert "a" not in {fields["peer"] for _, fields in door.log.lines}
    door.linked = set()
    door.knock()
    assert "a" in {fields["peer"] for event, fields in door.log.lines if event == "nobody_introduced"}
