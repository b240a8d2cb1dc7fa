"""Two versions of the rules side by side, on whole cores: activated by the members, at one height for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from ledger.audit import audit
from ledger.outcome import Outcome
from ledger.rules import RULES
from ledger.rules.base import RuleSet
from ledger.schedule import LOOK_BACK
from node.results import SubmitResult
from node.rules_watch import UnknownRules
from tests.simulation.cluster.chain import StoredChain
from tests.simulation.cluster.signatures import checked_once
from tests.unit.ledger.rules.later import BOTH, UNLUCKY
from tests.unit.node.harness import ALWAYS, Network, Node

READY, OLD = BOTH, RULES


@pytest.fixture(autouse=True)
def _checked_once() -> Iterator[None]:
    """Each signature is checked once a test, not once a node."""
    with checked_once():
        yield


class Cluster(Network):
    """Three nodes, each with the versions of the rules that its program has."""

    def __init__(self, programs: Mapping[str, Mapping[int, RuleSet]]) -> None:
        self._programs = programs
        self._asked = 0
        super().__init__(3)
        self.elect()
        bank = self.nodes["n0"].bank
        tx_id = self._tx_id()
        self.account = bank.account("bank0", tx_id)
        assert self.ask(bank.open_account("bank0", "anna", tx_id, ALWAYS)) is Outcome.EXECUTED

    def start(self, id_: str) -> Node:
        """A node with its program on an empty disk."""
        node = Node(id_, genesis_raw=self.genesis_raw, rules=self._programs[id_])
        self.nodes[id_] = node
        self.link()
        return node

    def exchange_program(self, id_: str, rules: Mapping[int, RuleSet]) -> None:
        """The node goes on from its disk with another program."""
        old = self.nodes[id_]
        node = Node(id_, disk=old.disk, genesis_raw=self.genesis_raw, rules=rules)
        node.ports.wall_ms = old.ports.wall_ms
        self.nodes[id_] = node
        self.link()

    def _tx_id(self) -> bytes:
        self._asked += 1
        return self._asked.to_bytes(16, "big")

    @property
    def leader(self) -> Node:
        """Whoever leads and goes on."""
        leading = [n for n in self.nodes.values() if not n.stopped and n.driver.status().role == "leader"]
        return max(leading, key=lambda node: node.driver.status().term)

    def ask(self, raw: bytes) -> Outcome:
        """Submit to the leader; what came of it."""
        results: list[SubmitResult] = []
        self.leader.driver.submit(raw, results.append)
        self.tick(3)
        return results[-1].outcome

    def decide(self) -> int:
        """The members activate version 2; the height that it holds from."""
        from_height = self.leader.driver.executed_height + LOOK_BACK + 10
        raw = self.leader.bank.set_rules(2, from_height, self._tx_id(), ALWAYS)
        assert self.ask(raw) is Outcome.EXECUTED
        return from_height

    def pay_unlucky(self) -> Outcome:
        """Pay the amount that version 2 refuses."""
        bank = self.leader.bank
        return self.ask(bank.issue(self.account, UNLUCKY, self._tx_id(), ALWAYS))

    def pass_time(self) -> None:
        """Longer than the blocks up to an activation take."""
        self.tick(200)

    def check(self, ids: tuple[str, ...]) -> None:
        """These nodes stand at one height, with the same state, and their stores pass the audit."""
        stores = [self.nodes[id_].store for id_ in ids]
        assert len({self.nodes[id_].driver.executed.progress.seal_hash for id_ in ids}) == 1
        for id_, store in zip(ids, stores, strict=True):
            assert audit(StoredChain(store), own_node=id_, rules=BOTH).findings == ()


ALL = ("n0", "n1", "n2")


def test_new_rules_take_effect_everywhere_at_one_height() -> None:
    """Where all programs are ready the payment is taken before and refused after, and nobody stops."""
    cluster = Cluster(dict.fromkeys(ALL, READY))
    from_height = cluster.decide()
    assert cluster.pay_unlucky() is Outcome.EXECUTED
    cluster.pass_time()
    assert cluster.leader.driver.executed_height >= from_height - 1
    assert cluster.pay_unlucky() is Outcome.AMOUNT_OVERFLOW
    cluster.tick(5)
    assert all(node.stopped == [] for node in cluster.nodes.values())
    assert all(node.ports.logged("rules_unknown") == [] for node in cluster.nodes.values())
    cluster.check(ALL)


@pytest.mark.parametrize("old", ALL)
def test_a_program_too_old_says_so_and_stops_before_the_height(old: str) -> None:
    """It warns once it is decided, goes on until the block before, and stops; a newer one takes its place."""
    cluster = Cluster({**dict.fromkeys(ALL, READY), old: OLD})
    from_height = cluster.decide()
    cluster.tick(3)
    node = cluster.nodes[old]
    warnings = node.ports.logged("rules_unknown")
    assert [(w["version"], w["from_height"]) for w in warnings] == [(2, from_height)]
    assert node.driver.status().missing_rules == (from_height, 2)
    assert node.stopped == []
    cluster.pass_time()
    assert [reason.word for reason in node.stopped] == ["rules"]
    assert "install a newer one" in node.stopped[0].what
    assert (node.driver.executed_height, node.store.log_end) == (from_height - 1, from_height - 1)
    assert cluster.pay_unlucky() is Outcome.AMOUNT_OVERFLOW
    cluster.exchange_program(old, READY)
    cluster.tick(50)
    cluster.check(ALL)


def test_nothing_of_the_new_rules_is_committed_by_programs_that_lack_them() -> None:
    """Where most programs are too old the chain stands at the height before, until they are exchanged."""
    cluster = Cluster({"n0": READY, "n1": OLD, "n2": OLD})
    from_height = cluster.decide()
    cluster.pass_time()
    assert [len(cluster.nodes[id_].stopped) for id_ in ALL] == [0, 1, 1]
    assert cluster.nodes["n0"].driver.executed_height == from_height - 1
    for id_ in ("n1", "n2"):
        cluster.exchange_program(id_, READY)
    cluster.elect()
    assert cluster.pay_unlucky() is Outcome.AMOUNT_OVERFLOW
    cluster.tick(20)
    cluster.check(ALL)


def test_a_program_too_old_does_not_start_at_the_height() -> None:
    """Started on a store that has come that far, it says at once what is missing."""
    cluster = Cluster({"n0": READY, "n1": READY, "n2": OLD})
    from_height = cluster.decide()
    cluster.pass_time()
    with pytest.raises(UnknownRules, match=f"from height {from_height} on follow version 2"):
        cluster.exchange_program("n2", OLD)
