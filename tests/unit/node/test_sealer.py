"""Seals become certificates at a quorum; contradictions stop the node; nothing unsigned or foreign counts."""

import pytest
from msgspec.structs import replace

from ledger.blame import Fault, SignedMessage, contradicting_seals
from ledger.certificate import (
    Certifier,
    Certifiers,
    Seal,
    decode_certificate,
    decode_seal,
    encode_seal,
    seal_hash,
    verify_certificate,
)
from ledger.certificate import certifiers_hash as hash_of
from ledger.codec import decode
from ledger.keys import public_bytes, sign
from node.certifying import Certifying
from node.messages import SealShare
from node.sealer import MAX_AHEAD, Around, Contradiction, Sealer
from node.store import OwnSeal
from tests.simulation.cluster.bank import key_of
from tests.unit.node.harness import Node

NETWORK = bytes(31) + b"\x07"
CERTIFIERS = Certifiers(
    0, tuple(Certifier(f"n{i}", f"bank{i}", public_bytes(key_of(f"n{i}"))) for i in range(3))
)

REGISTRY = Node("n0", 3).driver.executed.registry


def seal(height: int, header: int = 1, state: int = 1, network: bytes = NETWORK) -> bytes:
    """The bytes of a seal; the numbers stand for different hashes."""
    return encode_seal(
        Seal(
            format=1,
            network_id=network,
            epoch=0,
            height=height,
            header_hash=header.to_bytes(32, "big"),
            parent_seal_hash=bytes(32),
            outcomes_root=bytes(32),
            log_root=bytes(32),
            state_root=state.to_bytes(32, "big"),
            certifiers_hash=hash_of(CERTIFIERS),
            electorate_hash=bytes(32),
        )
    )


def share(node: str, raw: bytes) -> SealShare:
    """What `node` sends of a seal."""
    return SealShare(raw, sign(key_of(node), seal_hash(raw)))


def own(raw: bytes) -> OwnSeal:
    """n0's own seal."""
    return OwnSeal(raw, sign(key_of("n0"), seal_hash(raw)))


class Sealing:
    """A sealer of n0 and the certificates it has formed."""

    def __init__(self) -> None:
        self.formed: dict[int, bytes] = {}
        self.two_faced: list[tuple[str, int, bytes]] = []
        around = Around(
            "n0",
            NETWORK,
            lambda: Certifying(REGISTRY, self.sealer.executed),
            lambda height: None,
            self.formed.__setitem__,
            lambda *found: self.two_faced.append(found),
        )
        self.sealer = Sealer(around, 0, 0, lambda height: None)

    def execute(self, height: int, raw: bytes | None = None) -> None:
        """n0 executes and seals a height."""
        raw = raw or seal(height)
        self.sealer.execute(height, raw, own(raw))


def test_a_certificate_forms_at_the_quorum() -> None:
    """Two of three: the own seal and one more, in either order, and it verifies."""
    for own_first in (True, False):
        sealing = Sealing()
        if own_first:
            sealing.execute(1)
        assert sealing.sealer.receive("n1", share("n1", seal(1))) is None
        if not own_first:
            assert sealing.formed == {}
            sealing.execute(1)
        verify_certificate(decode_certificate(sealing.formed[1]), CERTIFIERS)
        assert sealing.sealer.certified == 1


def test_the_own_seal_alone_is_no_quorum() -> None:
    """One of three isn't, and the same other seal twice isn't more."""
    sealing = Sealing()
    sealing.execute(1)
    assert sealing.formed == {}


def test_a_later_certificate_makes_earlier_ones_needless() -> None:
    """Seals are chained: height 2's certificate covers 1, whose seals are dropped."""
    sealing = Sealing()
    sealing.execute(1)
    sealing.execute(2)
    sealing.sealer.receive("n1", share("n1", seal(2)))
    sealing.sealer.receive("n1", share("n1", seal(1)))
    assert list(sealing.formed) == [2]


@pytest.mark.parametrize(
    ("sender", "message", "reason"),
    [
        ("n1", share("n2", seal(1)), "does not verify"),
        ("n9", share("n1", seal(1)), "no certifier"),
        ("n1", share("n1", seal(1, network=bytes(32))), "another network"),
        ("n1", SealShare(b"\x90", bytes(64)), "Seal"),
        ("n1", SealShare(seal(1), bytes(64)), "r is not between"),
    ],
)
def test_a_seal_that_is_no_good_is_refused_with_a_reason(
    sender: str, message: SealShare, reason: str
) -> None:
    """Another's signature, a stranger, another network, no seal, no signature: none counts."""
    sealing = Sealing()
    sealing.execute(1)
    assert reason in (sealing.sealer.receive(sender, message) or "")
    assert sealing.formed == {}
    assert sealing.sealer.sealed_by == {}


@pytest.mark.parametrize("own_first", [True, False])
@pytest.mark.parametrize(("other", "word"), [(seal(1, state=2), "divergence"), (seal(1, header=2), "fork")])
def test_a_contradicting_seal_stops_the_node(own_first: bool, other: bytes, word: str) -> None:
    """Other results of the block are a divergence, another block is a fork, whichever comes first."""
    sealing = Sealing()
    if own_first:
        sealing.execute(1)
        with pytest.raises(Contradiction, match="height 1") as caught:
            sealing.sealer.receive("n1", share("n1", other))
    else:
        sealing.sealer.receive("n1", share("n1", other))
        with pytest.raises(Contradiction, match="height 1") as caught:
            sealing.execute(1)
    assert caught.value.word == word
    assert other in caught.value.evidence
    assert seal(1) in caught.value.evidence


def test_a_late_contradiction_of_a_certified_height_stops_the_node_too() -> None:
    """The third node's seal comes after the certificate, and is compared all the same."""
    sealing = Sealing()
    sealing.execute(1)
    sealing.sealer.receive("n1", share("n1", seal(1)))
    with pytest.raises(Contradiction):
        sealing.sealer.receive("n2", share("n2", seal(1, state=2)))


def test_an_unsigned_contradiction_stops_nobody() -> None:
    """A stranger must not be able to stop a node."""
    sealing = Sealing()
    sealing.execute(1)
    forged = SealShare(seal(1, state=2), share("n1", seal(1)).signature)
    assert sealing.sealer.receive("n1", forged) is not None


def test_seals_far_ahead_are_not_kept() -> None:
    """Up to MAX_AHEAD above the executed height they wait, beyond that they are dropped."""
    sealing = Sealing()
    for height in (MAX_AHEAD, MAX_AHEAD + 1):
        assert sealing.sealer.receive("n1", share("n1", seal(height))) is None
    assert sealing.sealer.sealed_by == {"n1": MAX_AHEAD}


def test_own_seals_are_kept_so_far_below_the_certified_height(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of an older height isn't compared any more."""
    monkeypatch.setattr("node.sealer.KEPT_BELOW", 2)
    sealing = Sealing()
    for height in range(1, 5):
        sealing.execute(height)
        sealing.sealer.receive("n1", share("n1", seal(height)))
    assert sealing.sealer.receive("n2", share("n2", seal(2, state=2))) is None
    with pytest.raises(Contradiction):
        sealing.sealer.receive("n2", share("n2", seal(3, state=2)))


def test_own_seals_are_read_back_after_a_restart() -> None:
    """What wasn't certified when the process ended still counts."""
    formed: dict[int, bytes] = {}
    around = Around(
        "n0", NETWORK, lambda: Certifying(REGISTRY, 3), seal, formed.__setitem__, lambda *found: None
    )
    sealer = Sealer(around, 3, 1, lambda height: own(seal(height)))
    sealer.receive("n1", share("n1", seal(3)))
    assert list(formed) == [3]


def test_two_seals_of_one_node_for_one_height_are_evidence_before_it_is_executed() -> None:
    """They are kept once, and judged by the ledger's rule of blame; two of one node never count twice."""
    sealing = Sealing()
    changed = encode_seal(replace(decode_seal(seal(1)), state_root=bytes(32)))
    for raw in (changed, changed, seal(1), changed, seal(1)):
        assert sealing.sealer.receive("n1", share("n1", raw)) is None
    ((node, height, evidence),) = sealing.two_faced
    assert (node, height) == ("n1", 1)
    _, pair = decode(evidence, tuple[str, tuple[tuple[bytes, bytes], tuple[bytes, bytes]]])
    first, second = (SignedMessage(*message) for message in pair)
    assert contradicting_seals(first, second, public_bytes(key_of("n1"))) is Fault.DIVERGENCE
    sealing.execute(1)
    assert len(decode_certificate(sealing.formed[1]).signatures) == 2
