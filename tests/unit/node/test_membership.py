"""The membership changes as the members decide: whole cores, stepped by hand, on real rows and keys."""

from collections.abc import Iterator

import pytest

from ledger.audit import audit
from ledger.certificate import decode_certificate, verify_certificate
from ledger.outcome import Outcome
from ledger.records import LEARNER, REGISTERED, RETIRED, VOTING
from node.health import why_not_ready
from node.results import Stage, SubmitResult
from tests.simulation.cluster.chain import StoredChain
from tests.simulation.cluster.signatures import checked_once
from tests.unit.node.harness import ALWAYS, Network, Node

CHANGE_TICKS = 400
"""Longer than a decision takes to come into force (64 blocks) and to be carried out."""

LOAD_EVERY_TICKS = 3


@pytest.fixture(autouse=True)
def _checked_once() -> Iterator[None]:
    """Each signature is checked once a test, not once a node."""
    with checked_once():
        yield


class Cluster(Network):
    """A network whose members decide who makes it up."""

    def __init__(self, size: int, further: int = 0) -> None:
        super().__init__(size, further)
        self._asked = 0
        self._load: list[list[SubmitResult]] = []

    @property
    def leader(self) -> Node:
        """Whoever leads now."""
        return max(
            (node for node in self.nodes.values() if node.driver.status().role == "leader"),
            key=lambda node: node.driver.status().term,
        )

    def ask(self, raw: bytes) -> list[SubmitResult]:
        """Submit to the leader and settle."""
        results: list[SubmitResult] = []
        self.leader.driver.submit(raw, results.append)
        self.settle()
        return results

    def tx_id(self) -> bytes:
        """One that wasn't used yet."""
        self._asked += 1
        return self._asked.to_bytes(16, "big")

    def pay(self) -> Outcome:
        """A member opens an account: anything that is executed and certified."""
        bank = self.leader.bank
        results = self.ask(bank.open_account("bank0", "holder", self.tx_id(), ALWAYS))
        self.tick(5)
        assert results[-1].stage is Stage.CERTIFIED
        return results[-1].outcome

    def register(self, number: int, id_: str | None = None) -> str:
        """A bank's further node is registered and started; its id."""
        id_ = id_ or f"n{number}"
        results = self.ask(self.leader.bank.set_node(f"bank{number}", id_, self.tx_id(), ALWAYS))
        self.tick(2)
        assert results[-1].outcome is Outcome.EXECUTED
        self.start(id_)
        return id_

    def decide(self, add: str | None = None, remove: str | None = None, *, voting: bool = True) -> Outcome:
        """The members decide; the outcome."""
        version = self.leader.driver.executed.registry.membership_decisions.version
        raw = self.leader.bank.set_membership((add, remove), version, self.tx_id(), ALWAYS, voting=voting)
        results = self.ask(raw)
        self.tick(2)
        return results[-1].outcome

    def submit_somewhere(self) -> None:
        """One of the clients opens an account, at whichever member."""
        members = self.leader.driver.executed.registry.membership.membership.nodes
        running = [node for node in members if node in self.nodes]
        results: list[SubmitResult] = []
        node = self.nodes[running[len(self._load) % len(running)]]
        node.driver.submit(node.bank.open_account("bank0", "client", self.tx_id(), ALWAYS), results.append)
        self._load.append(results)

    def carry_out(self) -> None:
        """Wait until what was decided is so, while clients go on."""
        for tick in range(CHANGE_TICKS):
            if tick % LOAD_EVERY_TICKS == 0:
                self.submit_somewhere()
            self.tick()
            status = self.leader.driver.status()
            if not status.membership.is_pending and status.certified_height == status.last_height:
                return
        raise AssertionError(f"not carried out: {[n.driver.status() for n in self.nodes.values()]}")

    def change(self, add: str | None = None, remove: str | None = None, *, voting: bool = True) -> None:
        """Decide, and wait until it is so."""
        assert self.decide(add, remove, voting=voting) is Outcome.EXECUTED
        self.carry_out()

    def stop(self, id_: str) -> None:
        """A machine is gone."""
        del self.nodes[id_]
        self.link()

    @property
    def voters(self) -> tuple[str, ...]:
        """Who votes, as the leader knows it."""
        return self.leader.driver.status().membership.voters

    def check(self) -> None:
        """All members stand at one height, with the same seal; the first one's store and the last one's pass
        the audit.
        """
        self.tick(25)
        members = self.leader.driver.executed.registry.membership.membership.nodes
        stores = [self.nodes[id_].store for id_ in members]
        heights = {node.driver.executed_height for node in self.nodes.values() if node.id in members}
        assert heights == {self.leader.driver.executed_height}
        (height,) = heights
        assert len({_seal(store, height) for store in stores}) == 1
        assert {results[-1].outcome for results in self._load} <= {Outcome.EXECUTED}
        for id_ in {members[0], members[-1]}:
            report = audit(StoredChain(self.nodes[id_].store), own_node=id_)
            assert report.findings == ()
        assert all(node.stopped == [] for node in self.nodes.values())


def _seal(store: object, height: int) -> bytes:
    header = store.header(height)  # type: ignore[attr-defined]
    return bytes(header.seal)


def test_a_single_node_grows_to_seven_and_shrinks_back() -> None:
    """One by one, while it is in use: each joins as a learner and votes; each that goes is certified away."""
    cluster = Cluster(1, further=6)
    cluster.elect()
    for number in range(1, 7):
        cluster.change(add=cluster.register(number))
        assert cluster.pay() is Outcome.EXECUTED
    assert cluster.voters == tuple(f"n{number}" for number in range(7))
    for number in (6, 5, 0, 1, 2, 3):
        cluster.change(remove=f"n{number}")
        assert cluster.pay() is Outcome.EXECUTED
    assert cluster.voters == ("n4",)
    cluster.check()


def test_a_dead_node_is_replaced() -> None:
    """The bank brings a new node under a new id; the old one's id is never used again."""
    cluster = Cluster(3)
    cluster.elect()
    dead = next(id_ for id_ in cluster.nodes if id_ != cluster.leader.id)
    cluster.stop(dead)
    new = cluster.register(int(dead[1:]), "n9")
    cluster.change(add=new, remove=dead)
    assert new in cluster.voters
    assert dead not in cluster.voters
    assert cluster.leader.driver.executed.registry.nodes[dead].status == RETIRED
    assert cluster.decide(add=dead) is Outcome.NODE_RETIRED
    cluster.check()


def test_a_leader_that_is_removed_hands_over_first() -> None:
    """There is always a leader: it doesn't wait for an election timeout."""
    cluster = Cluster(3)
    removed = cluster.elect()
    terms = removed.driver.status().term
    cluster.change(remove=removed.id)
    assert cluster.leader.id != removed.id
    assert cluster.leader.driver.status().term == terms + 1
    assert removed.driver.status().membership.is_let_go
    assert "retired" in str(why_not_ready(removed.driver))
    assert removed.stopped == []
    cluster.pay()
    cluster.check()


def test_a_removed_node_that_stays_disturbs_nobody() -> None:
    """It goes on ticking, and says what it likes: the others' term stays."""
    cluster = Cluster(3)
    cluster.elect()
    removed = next(id_ for id_ in cluster.nodes if id_ != cluster.leader.id)
    cluster.change(remove=removed)
    term = cluster.leader.driver.status().term
    cluster.tick(200)
    assert cluster.leader.driver.status().term == term
    cluster.pay()


def test_statuses_follow_the_membership() -> None:
    """Registered, then learner, then voting; and retired in the end."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    new = cluster.register(3)

    leader = cluster.leader
    found = [leader.driver.executed.registry.nodes[new].status]

    def note(_: int) -> None:
        status = leader.driver.executed.registry.nodes[new].status
        if status != found[-1]:
            found.append(status)

    leader.driver.on_block(note)
    cluster.change(add=new)
    cluster.change(remove=new)
    assert found == [REGISTERED, LEARNER, VOTING, LEARNER, RETIRED]


def test_a_learner_that_only_learns_stays_one() -> None:
    """It executes everything, seals nothing, and is no voter."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    new = cluster.register(3)
    cluster.change(add=new, voting=False)
    cluster.pay()
    status = cluster.nodes[new].driver.status()
    assert status.membership.learners == (new,)
    assert status.executed_height == cluster.leader.driver.executed_height
    assert cluster.nodes[new].store.last_own_seal() == 0
    cluster.check()


def test_a_node_that_never_comes_is_given_up() -> None:
    """What is decided waits for it as long as it takes; the decision to remove it ends that."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    new = cluster.register(3)
    cluster.stop(new)
    assert cluster.decide(add=new) is Outcome.EXECUTED
    cluster.tick(CHANGE_TICKS)
    status = cluster.leader.driver.status()
    assert (status.membership.learners, status.membership.is_pending) == ((new,), True)
    assert cluster.decide(remove="n0") is Outcome.MEMBERSHIP_CHANGE_PENDING
    cluster.change(remove=new)
    assert cluster.leader.driver.status().membership.learners == ()
    cluster.check()


def test_a_bank_rotates_its_nodes_key() -> None:
    """A new node with a new key takes the old one's place in one decision, and certifies from then on."""
    cluster = Cluster(3)
    cluster.elect()
    old = next(id_ for id_ in cluster.nodes if id_ != cluster.leader.id)
    new = cluster.register(int(old[1:]), f"{old}-2027")
    assert cluster.decide(add=new) is Outcome.MEMBER_HAS_VOTING_NODE
    cluster.change(add=new, remove=old)
    cluster.pay()
    store = cluster.leader.store
    height = store.last_certified()
    certifiers = cluster.leader.driver.executed.registry.certifiers_at(height)
    assert new in {certifier.node for certifier in certifiers.nodes}
    raw = store.certificate(height)
    assert raw is not None
    verify_certificate(decode_certificate(raw), certifiers)
    cluster.check()


def test_a_newcomer_learns_the_certificates_of_those_who_are_gone() -> None:
    """All who certified the beginning are replaced and switched off; who joins then has every hand-over's."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    for number in range(3):
        new = cluster.register(number, f"n{number}-2027")
        cluster.change(add=new, remove=f"n{number}")
        cluster.stop(f"n{number}")
    last = cluster.register(3)
    cluster.change(add=last)
    cluster.pay()
    cluster.check()
    registry = cluster.nodes[last].driver.executed.registry
    handovers = [from_height - 1 for from_height, _ in registry.certifiers[1:]]
    assert len(handovers) == 4
    assert all(cluster.nodes[last].store.certificate(height) is not None for height in handovers)
