"""Seals and certificates: how many must sign, who, and what."""

import pytest
from msgspec.structs import replace

from ledger.certificate import (
    Certificate,
    Certifiers,
    InvalidCertificate,
    SealSignature,
    certifiers_hash,
    decode_certificate,
    decode_seal,
    encode_certificate,
    encode_seal,
    make_certificate,
    seal_hash,
    verify_certificate,
)
from ledger.codec import Malformed
from ledger.keys import sign
from tests.unit.ledger import sample

SEAL = sample.seal(5)
CERTIFIERS = sample.certifiers()
NODES = ("node-alpha", "node-beta", "node-gamma")


def _refused(certificate: Certificate, certifiers: Certifiers = CERTIFIERS) -> str:
    with pytest.raises(InvalidCertificate) as invalid:
        verify_certificate(certificate, certifiers)
    return str(invalid.value)


def test_round_trip() -> None:
    """Seal and certificate give themselves back."""
    certificate = sample.certificate(SEAL)
    assert decode_certificate(encode_certificate(certificate)) == certificate
    assert encode_seal(decode_seal(SEAL)) == SEAL


def test_majority_at_its_boundary() -> None:
    """Two of three are enough, one is not, all three are fine."""
    for count in (2, 3):
        assert verify_certificate(sample.certificate(SEAL, NODES[:count]), CERTIFIERS) == decode_seal(SEAL)
    assert "1 nodes signed, 2 are needed" in _refused(sample.certificate(SEAL, NODES[:1]))


def test_order_of_collecting_does_not_matter() -> None:
    """A certificate is put in order; out of order it is none, and no node counts twice."""
    assert sample.certificate(SEAL, NODES[::-1]) == sample.certificate(SEAL, NODES)
    good = sample.certificate(SEAL).signatures
    assert "ascending" in _refused(Certificate(SEAL, good[::-1]))
    assert "ascending" in _refused(Certificate(SEAL, (good[0], good[0])))


def test_every_listed_signature_must_be_good() -> None:
    """A bad third one spoils two good ones; so does a stranger's."""
    good = sample.certificate(SEAL).signatures
    bad = SealSignature("node-gamma", good[0].signature)
    assert "node-gamma" in _refused(Certificate(SEAL, (*good, bad)))
    stranger = SealSignature("node-z", good[0].signature)
    assert "node-z is not a certifier" in _refused(Certificate(SEAL, (*good, stranger)))


def test_signatures_over_another_seal_are_refused() -> None:
    """A certificate is of one seal."""
    assert "does not verify" in _refused(Certificate(sample.seal(6), sample.certificate(SEAL).signatures))


def test_signature_of_another_type_is_refused() -> None:
    """A header's hash signed by the same key certifies nothing."""
    made = sample.block([], term=2)
    signatures = [(node, sign(sample.private_key(sample.NODE_KEYS[node]), made.hash)) for node in NODES]
    assert "does not verify" in _refused(make_certificate(SEAL, signatures))


def test_byzantine_rule_takes_more() -> None:
    """With four certifiers the majority is three; the byzantine quorum of three certifiers does not exist."""
    rule = Certifiers(1, CERTIFIERS.nodes)
    sealed = encode_seal(replace(decode_seal(SEAL), certifiers_hash=certifiers_hash(rule)))
    assert "takes 4 certifiers" in _refused(sample.certificate(sealed), rule)


def test_bytes_that_are_no_seal() -> None:
    """A certificate carries a seal, and signatures at all."""
    assert "Seal" in _refused(Certificate(b"\x90", sample.certificate(SEAL).signatures))
    with pytest.raises(Malformed, match=r"Certificate\.signatures"):
        decode_certificate(encode_certificate(Certificate(SEAL, ())))


def test_keys_of_certifiers() -> None:
    """A certifier is found by its node id."""
    assert CERTIFIERS.key_of("node-beta") == sample.public_key(23)
    assert CERTIFIERS.key_of("node-delta") is None
    assert CERTIFIERS.quorum() == 2
    assert seal_hash(SEAL) != seal_hash(sample.seal(6))
