"""How the right to certify passes on: from genesis's nodes, by one certified hand-over after another.

Who certifies a height is named by the seal before it. So where that changes, those before hand over to those
after with the certificate of that seal; whoever follows these hand-overs trusts the network's id alone.
It must not know where certificates are kept. Layouts: formats.md, section 9.
"""

from collections.abc import Callable, Sequence

from ledger.certificate import (
    Certificate,
    Certifier,
    Certifiers,
    InvalidCertificate,
    certifiers_hash,
    decode_certificate,
    decode_seal,
    verify_certificate,
)
from ledger.codec import Record
from ledger.genesis import Genesis, decode_genesis
from ledger.genesis import network_id as network_id_of
from ledger.registry import Registry


class Handover(Record, frozen=True):
    """The last certificate by those who certified so far, and who certifies from the height after it on."""

    certificate: Certificate
    certifiers: Certifiers


class HandoverMissing(Exception):
    """The certificate of a hand-over is not held; `height` is that of the hand-over."""

    def __init__(self, height: int) -> None:
        super().__init__(f"the certificate of height {height}, at which others begin to certify, is not held")
        self.height = height


def genesis_certifiers(genesis: Genesis) -> Certifiers:
    """The certifiers that genesis names: all its nodes, under its rule."""
    nodes = tuple(Certifier(node.id, node.member, node.key) for node in genesis.nodes)
    return Certifiers(genesis.parameters.certificate_rule, nodes)


def verify_handovers(genesis_raw: bytes, handovers: Sequence[Handover]) -> tuple[int, Certifiers]:
    """The height after which the last of these hand-overs counts (0 for none), and who certifies from there.

    Raises InvalidCertificate, and Malformed for bytes that are no genesis. Each must be
    certified by those before it, name those after it, and be of a greater height.
    """
    network_id, height = network_id_of(genesis_raw), 0
    certifiers = genesis_certifiers(decode_genesis(genesis_raw))
    for handover in handovers:
        seal = verify_certificate(handover.certificate, certifiers)
        if seal.network_id != network_id:
            raise InvalidCertificate(f"the hand-over at height {seal.height} is of another network")
        if seal.height <= height:
            raise InvalidCertificate(f"the hand-over at height {seal.height} does not follow on {height}")
        if seal.certifiers_hash != certifiers_hash(handover.certifiers):
            raise InvalidCertificate(f"the hand-over at height {seal.height} is to other certifiers")
        height, certifiers = seal.height, handover.certifiers
    return height, certifiers


def handovers_below(
    registry: Registry, height: int, certificate: Callable[[int], bytes | None]
) -> tuple[Handover, ...]:
    """The hand-overs that lead to the certifiers of `height`; `certificate` gives those that are held.

    Raises HandoverMissing.
    """
    found = []
    for from_height, certifiers in registry.certifiers[1:]:
        if from_height <= height:
            raw = certificate(from_height - 1)
            handover = None if raw is None else Handover(decode_certificate(raw), certifiers)
            # Before a recovery block the seal names others: no certificate hands over to its voters.
            if handover is None or not _names(handover):
                raise HandoverMissing(from_height - 1)
            found.append(handover)
    return tuple(found)


def _names(handover: Handover) -> bool:
    seal = decode_seal(handover.certificate.seal)
    return seal.certifiers_hash == certifiers_hash(handover.certifiers)
