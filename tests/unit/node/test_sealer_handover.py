"""Certificates around a hand-over: each height is certified by its own certifiers, and none before the
hand-over's.
"""

from dataclasses import replace

import pytest

from ledger.certificate import Certifier, Certifiers, decode_certificate, verify_certificate
from ledger.keys import public_bytes
from node.certifying import Certifying
from node.sealer import Around, Sealer
from tests.simulation.cluster.bank import key_of
from tests.unit.node.harness import Node
from tests.unit.node.test_sealer import NETWORK, own, seal, share

HANDOVER = 4
"""The last height that the old certifiers certify."""


def certifiers(*nodes: str) -> Certifiers:
    """These nodes, by majority."""
    return Certifiers(0, tuple(Certifier(node, "bank", public_bytes(key_of(node))) for node in nodes))


OLD, NEW = certifiers("n0", "n1", "n2"), certifiers("n0", "n3", "n4")


class Sealing:
    """n0 has executed up to the height above the hand-over, and certified nothing."""

    def __init__(self) -> None:
        registry = Node("n0", 5).driver.executed.registry
        registry = replace(registry, certifiers=((0, OLD), (HANDOVER + 1, NEW)))
        self.formed: dict[int, bytes] = {}
        around = Around(
            "n0",
            NETWORK,
            lambda: Certifying(registry, HANDOVER + 1),
            seal,
            self.formed.__setitem__,
            lambda *found: None,
        )
        self.sealer = Sealer(around, HANDOVER + 1, 0, lambda height: own(seal(height)))

    def receive(self, node: str, height: int) -> str | None:
        """Another node's seal of a height."""
        return self.sealer.receive(node, share(node, seal(height)))


def test_nothing_is_certified_past_a_handover_that_is_not() -> None:
    """Only the old certifiers say who the new ones are; the new ones' seals wait, and then count at once."""
    sealing = Sealing()
    assert sealing.receive("n3", HANDOVER + 1) is None
    assert sealing.formed == {}
    assert sealing.sealer.missing() == (1, HANDOVER)
    sealing.receive("n1", HANDOVER)
    assert list(sealing.formed) == [HANDOVER, HANDOVER + 1]
    for height, those in ((HANDOVER, OLD), (HANDOVER + 1, NEW)):
        verify_certificate(decode_certificate(sealing.formed[height]), those)
    assert sealing.sealer.missing() is None


@pytest.mark.parametrize(("node", "height"), [("n3", HANDOVER), ("n1", HANDOVER + 1)])
def test_each_height_has_its_own_certifiers(node: str, height: int) -> None:
    """New certifiers don't seal the hand-over itself, old ones not what comes after it."""
    assert Sealing().receive(node, height) == f"{node} is no certifier of height {height}"
