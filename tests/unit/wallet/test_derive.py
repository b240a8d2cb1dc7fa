"""Derived keys: fixed for ever by a vector that the standard library recomputes."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from wallet.derive import MOST_LABEL_BYTES, P256_ORDER, derive_key
from wallet.errors import LabelMalformed

PARENT = ec.derive_private_key(12345, ec.SECP256R1())


def rfc_5869(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 as the RFC's section 2 says it, from the standard library alone."""
    key = hmac.digest(salt, secret, "sha256")
    output = block = b""
    for counter in range(1, -(-length // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


@pytest.mark.parametrize("label", ["customer/1", "x", "é" * 127 + "x"])
def test_against_the_rfc(label: str) -> None:
    """The child's scalar is the one that RFC 5869 gives, reduced as documented."""
    output = rfc_5869((12345).to_bytes(32), b"nostro/derived-key/v1", label.encode(), 48)
    expected = int.from_bytes(output) % (P256_ORDER - 1) + 1
    assert derive_key(PARENT, label).private_numbers().private_value == expected


def test_vector() -> None:
    """This very value must never change: customers' keys depend on it."""
    assert f"{derive_key(PARENT, 'customer/1').private_numbers().private_value:064x}" == (
        "d760a8784c2baecda674ccb98c11efaf1036d4280f29e3ebe354d7bb5a0c37ed"
    )


def test_labels_and_parents_give_different_keys() -> None:
    """A thousand labels, and another parent, give keys that differ."""
    other = ec.derive_private_key(12346, ec.SECP256R1())
    scalars = {derive_key(PARENT, f"c{n}").private_numbers().private_value for n in range(1_000)}
    scalars |= {derive_key(other, "c1").private_numbers().private_value, 12345}
    assert len(scalars) == 1_002


@pytest.mark.parametrize("label", ["", "x" * (MOST_LABEL_BYTES + 1), "é" * 128, "\ud800"])
def test_label_refused(label: str) -> None:
    """No bytes, over 255 bytes, and what isn't Unicode name no key."""
    with pytest.raises(LabelMalformed):
        derive_key(PARENT, label)


def test_longest_label() -> None:
    """255 bytes do."""
    assert derive_key(PARENT, "x" * 255).curve.name == "secp256r1"


def test_other_curve() -> None:
    """A key of another curve is a programmer's error."""
    with pytest.raises(ValueError, match="secp384r1"):
        derive_key(ec.derive_private_key(1, ec.SECP384R1()), "x")
