"""Damaged records put right with what other nodes hold; what nobody can put right is refused by name."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from consensus.messages import Entry, EntryType
from ledger.block import decode_block
from ledger.codec import decode, encode
from ledger.records import PROGRESS_KEY
from ledger.view import StateCorrupted
from node import repair
from node.damage import Damage, survey
from node.records import (
    HARD_STATE,
    CorruptRecord,
    block_key,
    certificate_key,
    header_key,
    meta_key,
    seal_key,
)
from node.repair import PATIENCE_S, RETRY_S, CertifiedTip, Helpers, NotRepaired, open_repaired
from node.snapshot_fetch import Ask, PeerAnswer
from node.store import LED, LogWrite, Store
from tests.simulation.cluster.repairs import ask_running
from tests.unit.node.harness import ManualPorts, Network, Node, open_database
from tests.unit.node.test_membership import Cluster

VICTIM = "n2"


class Ward:
    """Three nodes; one of them is off, and its disk at hand."""

    def __init__(self, blocks: int = 6) -> None:
        self.network = Network(3)
        self.leader = self.network.elect()
        self.grow(blocks)
        if self.leader.id == VICTIM:
            self.leader.driver.hand_over("n0")
            self.network.tick(5)
            self.leader = self.network.nodes["n0"]
        self.victim = self.network.nodes.pop(VICTIM)
        self.disk = self.victim.disk
        self.log = ManualPorts()
        self.waited: list[float] = []

    def grow(self, blocks: int) -> None:
        """More blocks, on all nodes that run."""
        for _ in range(blocks):
            height = self.leader.driver.executed_height
            raw = self.leader.bank.open_account("bank0", f"a{height}", height.to_bytes(16, "big"), (1, 2**62))
            self.leader.driver.submit(raw, lambda result: None)
            self.network.tick(2)

    def flip(self, key: bytes, place: int = -1) -> None:
        """Flip a bit of a stored row."""
        row = bytearray(self.disk.live[key])
        row[place] ^= 4
        self.disk.live[key] = self.disk.durable[key] = bytes(row)

    def ask(self) -> Ask:
        """The way to the nodes that run."""
        return ask_running({id_: (node.driver, node.store) for id_, node in self.network.nodes.items()})

    def open(self, *, whole: bool = False, ask: Ask | None = None) -> Store:
        """Open the victim's store, mended."""

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)

        database = open_database(self.disk)
        helpers = Helpers(ask or self.ask(), ("n0", "n1"), self.log)
        opened = partial(Store.open, database, self.victim.genesis_raw, VICTIM)
        return asyncio.run(open_repaired(opened, helpers, whole=whole, sleep=sleep))

    def revive(self) -> Node:
        """Start the victim again among the others."""
        node = Node(VICTIM, disk=self.disk, genesis_raw=self.victim.genesis_raw)
        node.ports.wall_ms = self.leader.ports.wall_ms
        self.network.nodes[VICTIM] = node
        self.network.link()
        for other in self.network.nodes.values():
            for peer in self.network.nodes:
                if peer != other.id:
                    other.driver.on_connected(peer)
        self.network.tick(20)
        return node

    def append_unexecuted(self, count: int) -> None:
        """Let the victim's log go on with the leader's next blocks, acknowledged and not executed."""
        self.grow(count)
        height = self.victim.store.log_end
        entries = [self.leader.store.entry(height + 1 + number) for number in range(count)]
        self.victim.store.write_log([LogWrite(None, tuple(entry for entry in entries if entry is not None))])

    def append_anything(self, first: int, count: int) -> None:
        """Let the victim's log go on with blocks that nobody else has."""
        term = self.victim.store.hard_state().term
        entries = [Entry(first + number, term, EntryType.NORMAL, b"own") for number in range(count)]
        self.victim.store.write_log([LogWrite(None, tuple(entries))])


def with_other_signature(raw: bytes) -> bytes:
    """The block under another signature: its hash, which covers the header, is the same."""
    at = raw.index(decode_block(raw).signature)
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.fixture
def ward() -> Ward:
    """A victim that has executed all."""
    return Ward()


@pytest.mark.parametrize("place", [0, 4, 12, 20, -1], ids=["checksum", "height", "term", "type", "payload"])
@pytest.mark.parametrize("height", [1, 4])
def test_a_damaged_executed_block_is_fetched_by_its_hash(ward: Ward, height: int, place: int) -> None:
    """The row is as it was before, the log says so, and the node goes on."""
    before = dict(ward.disk.live)
    ward.flip(block_key(height), place)
    ward.open()
    assert ward.disk.live == ward.disk.durable == before
    assert ward.log.logged("record_repaired") == [
        {"record": f"B:{height.to_bytes(8, 'big').hex()}", "height": height}
    ]
    node = ward.revive()
    ward.grow(2)
    assert node.driver.executed_height == ward.leader.driver.executed_height
    assert not node.stopped


def test_a_missing_block_in_the_middle_is_fetched_too(ward: Ward) -> None:
    """A row that isn't there is damaged like one that is wrong."""
    before = dict(ward.disk.live)
    del ward.disk.live[block_key(3)]
    ward.open()
    assert ward.disk.live == before


@pytest.mark.parametrize("lie", ["another block", "no block", "nothing", "another signature"])
def test_a_block_that_is_not_the_one_the_chain_names_is_not_believed(ward: Ward, lie: str) -> None:
    """The next peer is asked; with liars alone nothing is written."""
    before = dict(ward.disk.live)
    ward.flip(block_key(3))
    honest = ward.ask()

    async def lying(peer: str, path: str) -> PeerAnswer:
        right = await honest("n1", path)
        return {
            "another block": await honest("n1", path.replace("/3", "/2")),
            "no block": PeerAnswer(200, b"\x90"),
            "nothing": PeerAnswer(404, b""),
            "another signature": PeerAnswer(200, with_other_signature(right.body)),
        }[lie]

    async def mixed(peer: str, path: str) -> PeerAnswer:
        return await (lying if peer == "n0" else honest)(peer, path)

    damaged = dict(ward.disk.live)
    with pytest.raises(NotRepaired, match=r"n0 .*3.*n1 .*3"):
        ward.open(ask=lying)
    assert ward.disk.live == damaged
    assert len(ward.waited) == PATIENCE_S / RETRY_S - 1
    ward.open(ask=mixed)
    assert ward.disk.live == before


def test_with_nobody_to_help_the_store_stays_closed_and_the_error_says_what_to_do(ward: Ward) -> None:
    """Nothing is written; each peer's answer is named."""
    ward.flip(block_key(3))
    before = dict(ward.disk.live)
    ward.network.nodes.clear()
    with pytest.raises(NotRepaired, match=r"n0 is down; n1 is down.*Start this node again"):
        ward.open()
    assert ward.disk.live == before


def test_old_damage_is_found_when_the_whole_store_is_looked_through() -> None:
    """At an ordinary start only the newest part is read."""
    ward = Ward(70)
    ward.flip(block_key(1))
    ward.open()
    assert ward.log.logged("record_repaired") == []
    ward.open(whole=True)
    assert [fields["height"] for fields in ward.log.logged("record_repaired")] == [1]


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_damaged_end_waits_until_a_certificate_covers_all_that_was_acknowledged(
    ward: Ward, first: int
) -> None:
    """Three blocks were acknowledged, not executed, one is damaged: the others' certified log replaces it."""
    executed = ward.victim.driver.executed_height
    ward.append_unexecuted(3)
    term = ward.victim.store.hard_state()
    ward.flip(block_key(executed + first))
    store = ward.open()
    assert store.log_end >= executed + 3
    assert store.hard_state() == term
    for height in range(1, store.log_end + 1):
        assert store.entry(height) == ward.leader.store.entry(height)
    node = ward.revive()
    assert node.driver.executed_height == ward.leader.driver.executed_height
    assert not node.stopped


def test_a_damaged_end_above_what_is_certified_keeps_the_node_out(ward: Ward) -> None:
    """What it acknowledged may yet be committed with its help: it must not come back and vote without it."""
    executed = ward.victim.driver.executed_height
    ward.append_unexecuted(1)
    ward.append_anything(executed + 2, 3)
    ward.flip(block_key(executed + 1))
    before = dict(ward.disk.live)
    with pytest.raises(
        NotRepaired, match=f"may have acknowledged blocks up to {executed + 4} in terms up to"
    ):
        ward.open()
    assert ward.disk.live == before
    ward.grow(3)
    assert ward.open().log_end >= executed + 4


def test_a_certificate_of_a_later_term_than_the_own_is_high_enough(ward: Ward) -> None:
    """Its leader was elected by others, and held all that could be committed with this node's help."""
    executed = ward.victim.driver.executed_height
    ward.append_anything(executed + 1, 40)
    ward.flip(block_key(executed + 1))
    old = ward.victim.store.hard_state()
    ward.leader.driver.hand_over("n1" if ward.leader.id == "n0" else "n0")
    ward.network.tick(10)
    store = ward.open()
    assert executed < store.log_end < executed + 40
    assert store.hard_state().term > old.term
    assert store.hard_state().vote is None
    node = ward.revive()
    assert node.driver.executed_height == ward.leader.driver.executed_height
    assert not node.stopped


def test_a_proof_that_does_not_hold_is_not_believed(ward: Ward) -> None:
    """Certificates are followed from genesis on, and their signatures checked."""
    executed = ward.victim.driver.executed_height
    ward.append_unexecuted(2)
    ward.flip(block_key(executed + 1))
    honest = ward.ask()
    forged = True

    async def forging(peer: str, path: str) -> PeerAnswer:
        answer = await honest(peer, path)
        if "proof" not in path:
            return answer
        return PeerAnswer(200, answer.body[:-1] + bytes([answer.body[-1] ^ forged]))

    with pytest.raises(NotRepaired, match="a certificate doesn't hold"):
        ward.open(ask=forging)
    forged = False
    assert ward.open(ask=forging).log_end >= executed + 2


def test_an_end_that_is_too_long_to_replace_is_refused(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held in memory, up to a bound in bytes."""
    executed = ward.victim.driver.executed_height
    ward.append_unexecuted(3)
    ward.flip(block_key(executed + 1))
    heights = range(executed + 1, ward.leader.store.last_certified() + 1)
    entries = [ward.leader.store.entry(height) for height in heights]
    size_bytes = sum(len(entry.data) for entry in entries if entry is not None)
    monkeypatch.setattr(repair, "TAIL_BYTES", size_bytes - 1)
    with pytest.raises(NotRepaired, match="bring the bank back as a new node"):
        ward.open()
    monkeypatch.setattr(repair, "TAIL_BYTES", size_bytes)
    assert ward.open().log_end >= executed + 3


@pytest.mark.parametrize("whole", [False, True])
def test_a_damaged_term_and_vote_is_refused(ward: Ward, whole: bool) -> None:
    """Nobody else knows how this node voted."""
    ward.flip(HARD_STATE)
    before = dict(ward.disk.live)
    with pytest.raises(CorruptRecord, match="bring the bank back as a new node"):
        ward.open(whole=whole)
    assert ward.disk.live == before


@pytest.mark.parametrize("key", [header_key(3), seal_key(3)], ids=["header", "own seal"])
def test_a_damaged_header_or_own_seal_is_refused_when_all_is_looked_through(ward: Ward, key: bytes) -> None:
    """A height is never sealed anew; a header is what others' blocks are judged by."""
    ward.flip(key)
    with pytest.raises(CorruptRecord, match="height 3"):
        ward.open(whole=True)


def test_damaged_progress_is_refused(ward: Ward) -> None:
    """Without the executed height nothing can be judged."""
    row = ward.disk.live[PROGRESS_KEY]
    ward.disk.live[PROGRESS_KEY] = b"\xc1" + row[1:]
    with pytest.raises(StateCorrupted, match="progress"):
        ward.open(whole=True)


def test_damaged_certificates_and_marks_are_dropped(ward: Ward) -> None:
    """They are written without a sync: a crash could have taken them as well, and others tell them again."""
    certified = ward.victim.store.last_certified()
    led = meta_key(LED + ward.leader.id)
    ward.flip(certificate_key(certified))
    ward.flip(led)
    store = ward.open(whole=True)
    assert store.last_certified() < certified
    assert store.led_term(ward.leader.id) == 0
    assert len(ward.log.logged("record_dropped")) == 2
    node = ward.revive()
    ward.grow(2)
    assert node.store.last_certified() > certified
    assert node.store.led_term(ward.leader.id) > 0


def test_a_sound_store_has_no_damage(ward: Ward) -> None:
    """Neither its newest part, nor all of it; opening it writes nothing."""
    before = dict(ward.disk.live)
    store = ward.open()
    assert survey(store, whole=False) is None
    assert survey(store, whole=True) is None
    ward.open(whole=True)
    assert ward.disk.live == before
    assert Damage((), None, (), ()).counts()["blocks"] == 0


@pytest.mark.parametrize("lie", [None, "no hand-overs", "older certificate"])
def test_a_damaged_certificate_of_a_handover_is_fetched_again(lie: str | None) -> None:
    """It is kept for ever: receipts and proofs need it, and it is proved from genesis again."""
    cluster = Cluster(3, further=1)
    cluster.elect()
    cluster.change(add=cluster.register(3))
    cluster.pay()
    victim = next(node for id_, node in cluster.nodes.items() if id_ != cluster.leader.id)
    height = victim.driver.executed.registry.certifiers[1][0] - 1
    key = certificate_key(height)
    others = {id_: (node.driver, node.store) for id_, node in cluster.nodes.items() if node is not victim}
    before = victim.disk.live[key]
    victim.disk.live[key] = before[:-1] + bytes([before[-1] ^ 1])
    honest = ask_running(others)

    async def ask(peer: str, path: str) -> PeerAnswer:
        tip = decode((await honest(peer, path)).body, CertifiedTip)
        if lie == "no hand-overs":
            tip = CertifiedTip((), tip.certificate)
        elif lie == "older certificate":
            tip = CertifiedTip(tip.handovers, tip.handovers[-1].certificate)
        return PeerAnswer(200, encode(tip))

    async def sleep(seconds: float) -> None:
        """The others are asked again at once."""

    opened = partial(Store.open, open_database(victim.disk), victim.genesis_raw, victim.id)
    helpers = Helpers(ask, sorted(others), ManualPorts())
    if lie is None:
        asyncio.run(open_repaired(opened, helpers, whole=True, sleep=sleep))
        assert victim.disk.live[key] == before
    else:
        with pytest.raises(NotRepaired, match="certificate"):
            asyncio.run(open_repaired(opened, helpers, whole=True, sleep=sleep))
        assert victim.disk.live[key] != before
