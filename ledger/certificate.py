"""Seals and certificates: what nodes sign after execution, and when a quorum has (formats.md, section 7).

It must not know how the roots in a seal were computed.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Final, Literal

from msgspec import Meta

from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import Bin32, Bin64, Bin65, MemberId, NodeId, Uint
from ledger.keys import BadSignature, tagged_hash, verify
from ledger.parameters import quorum

SEAL_FORMAT: Final = 1
NO_PARENT_SEAL: Final = bytes(32)


class InvalidCertificate(Exception):
    """A certificate that does not prove its seal; the text says why."""


class Seal(Record, frozen=True):
    """What a node certifies of one height: block, results, what went before, who is next."""

    format: Literal[1]
    network_id: Bin32
    epoch: Uint
    height: Uint
    header_hash: Bin32
    parent_seal_hash: Bin32
    outcomes_root: Bin32
    log_root: Bin32
    state_root: Bin32
    certifiers_hash: Bin32
    electorate_hash: Bin32


class SealSignature(Record, frozen=True):
    """A node's signature over a seal's hash."""

    node: NodeId
    signature: Bin64


class Certificate(Record, frozen=True):
    """A seal's bytes and the signatures of a quorum, strictly ascending by node id."""

    seal: bytes
    signatures: Annotated[tuple[SealSignature, ...], Meta(min_length=1)]


class Certifier(Record, frozen=True):
    """A node whose signature counts, and the member that answers for it."""

    node: NodeId
    member: MemberId
    key: Bin65


class Certifiers(Record, frozen=True):
    """The rule of certificates and the voting nodes in force, ascending by node id."""

    certificate_rule: Uint
    nodes: tuple[Certifier, ...]

    def key_of(self, node: str) -> bytes | None:
        """The key of the certifier `node`, or None when it is none."""
        for certifier in self.nodes:
            if certifier.node == node:
                return certifier.key
        return None

    def quorum(self) -> int:
        """How many of them a certificate takes."""
        return quorum(self.certificate_rule, len(self.nodes))


def encode_seal(seal: Seal) -> bytes:
    """The bytes of a seal."""
    return encode(seal)


def decode_seal(raw: bytes) -> Seal:
    """The seal in `raw`; raises Malformed."""
    return decode(raw, Seal)


def seal_hash(raw: bytes) -> bytes:
    """The hash of a seal's bytes: what is signed, and what the next seal names as its parent."""
    return tagged_hash("seal", raw)


def certifiers_hash(certifiers: Certifiers) -> bytes:
    """The hash that a seal gives of the certifiers of the height after it."""
    return tagged_hash("certifiers", encode(certifiers))


def make_certificate(seal_raw: bytes, signatures: Iterable[tuple[str, bytes]]) -> Certificate:
    """The certificate of (node id, signature) pairs over one seal, put in order."""
    return Certificate(
        seal_raw, tuple(SealSignature(node, signature) for node, signature in sorted(signatures))
    )


def encode_certificate(certificate: Certificate) -> bytes:
    """The bytes of a certificate."""
    return encode(certificate)


def decode_certificate(raw: bytes) -> Certificate:
    """The certificate in `raw`, its signatures not yet verified; raises Malformed."""
    return decode(raw, Certificate)


def verify_certificate(certificate: Certificate, certifiers: Certifiers) -> Seal:
    """The seal that a quorum of `certifiers`, those of its height, signed; raises InvalidCertificate.

    Every signature given must be good and by a certifier, not only as many as are needed. Whose the height
    is, the seal before it says; the hand-overs from genesis on (ledger/handovers.py).
    """
    try:
        seal = decode_seal(certificate.seal)
        needed = certifiers.quorum()
    except Malformed as error:
        raise InvalidCertificate(error.reason) from error
    nodes = [signature.node for signature in certificate.signatures]
    if any(a >= b for a, b in pairwise(nodes)):
        raise InvalidCertificate(f"height {seal.height}: node ids must be strictly ascending")
    if len(nodes) < needed:
        raise InvalidCertificate(f"height {seal.height}: {len(nodes)} nodes signed, {needed} are needed")
    _verify_signatures(certificate, certifiers, seal.height)
    return seal


def _verify_signatures(certificate: Certificate, certifiers: Certifiers, height: int) -> None:
    digest = seal_hash(certificate.seal)
    for signature in certificate.signatures:
        key = certifiers.key_of(signature.node)
        if key is None:
            raise InvalidCertificate(f"height {height}: node {signature.node} is not a certifier")
        try:
            verify(key, digest, signature.signature)
        except BadSignature as error:
            raise InvalidCertificate(f"height {height}: node {signature.node}: {error}") from error
