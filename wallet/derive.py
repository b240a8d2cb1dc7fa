"""Many keys from one: a bank signs for ten thousand customers while it keeps, and backs up, a single key.

A child says nothing about its parent or its siblings; whoever has the parent has every child. It must not
know what the labels mean.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wallet.errors import LabelMalformed

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of P-256 (NIST SP 800-186, section 3.2.1.3)."""
MOST_LABEL_BYTES = 255
_SALT = b"nostro/derived-key/v1"
_OUTPUT_BYTES = 48
"""128 bits more than n has, so that the remainder is even to within 2**-128 (FIPS 186-5, appendix A.2.1)."""


def derive_key(parent: ec.EllipticCurvePrivateKey, label: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of `label` under `parent`: the same two always give the same key, on any machine.

    HKDF-SHA256 (RFC 5869) of the parent's 32-byte scalar, with the label in UTF-8 as info; its 48 bytes
    modulo n - 1, plus 1. Raises LabelMalformed unless the label has 1 to 255 bytes.
    """
    if not isinstance(parent.curve, ec.SECP256R1):
        raise ValueError(f"Keys are derived from P-256 keys, not from one on {parent.curve.name}.")
    info = _label_bytes(label)
    scalar = parent.private_numbers().private_value.to_bytes(32)
    output = HKDF(algorithm=hashes.SHA256(), length=_OUTPUT_BYTES, salt=_SALT, info=info).derive(scalar)
    return ec.derive_private_key(int.from_bytes(output) % (P256_ORDER - 1) + 1, ec.SECP256R1())


def _label_bytes(label: str) -> bytes:
    try:
        data = label.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _malformed("it is not valid Unicode") from error
    if not 1 <= len(data) <= MOST_LABEL_BYTES:
        raise _malformed(f"it has {len(data)} bytes, not 1 to {MOST_LABEL_BYTES}")
    return data


def _malformed(fault: str) -> LabelMalformed:
    return LabelMalformed(
        f"The label can't name a derived key: {fault}.", "Use the customer's number or a short name."
    )
