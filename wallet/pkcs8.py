"""Private keys in and out as PKCS#8 (RFC 5958), PEM or DER, for other software and hardware.

It must not know keystores or files. Encrypted export uses the strongest that the package `cryptography`
offers for PKCS#8: PBKDF2 with few rounds, so much weaker than the keystore's scrypt. An exported file is for
the way between two programs, not for keeping.
"""

from __future__ import annotations

from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wallet.errors import KeyMalformed, PassphraseUnfit

MOST_PKCS8_BYTES = 16 * 1024
MOST_PKCS8_PASSPHRASE_BYTES = 1_000
"""OpenSSL takes a little more."""


def import_private_key(data: bytes, passphrase: str | None = None) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in PEM or DER. Raises PassphraseUnfit, KeyMalformed (also for a wrong passphrase)."""
    if len(data) > MOST_PKCS8_BYTES:
        raise _malformed(f"the key has over {MOST_PKCS8_BYTES:,} bytes")
    secret = None if passphrase is None else _passphrase_bytes(passphrase)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            key = serialization.load_pem_private_key(data, secret)
        else:
            key = serialization.load_der_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _malformed(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _malformed("it is a key of another kind than ECDSA on P-256 (secp256r1)")
    return key


def export_private_key(
    key: ec.EllipticCurvePrivateKey, encoding: Literal["pem", "der"] = "pem", passphrase: str | None = None
) -> bytes:
    """The key in PKCS#8; with a `passphrase` encrypted, though weak against guessing (see the module).

    Raises PassphraseUnfit.
    """
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(_passphrase_bytes(passphrase))
    form = serialization.Encoding.PEM if encoding == "pem" else serialization.Encoding.DER
    return key.private_bytes(form, serialization.PrivateFormat.PKCS8, encryption)


def _passphrase_bytes(passphrase: str) -> bytes:
    data = passphrase.encode("utf-8", "surrogatepass")
    if not 1 <= len(data) <= MOST_PKCS8_PASSPHRASE_BYTES:
        raise PassphraseUnfit(
            f"A PKCS#8 passphrase has 1 to {MOST_PKCS8_PASSPHRASE_BYTES:,} bytes, this one {len(data):,}.",
            "Choose another passphrase, or leave it out for a key in the clear.",
        )
    return data


def _malformed(fault: str) -> KeyMalformed:
    return KeyMalformed(
        f"The private key can't be read: {fault.rstrip('.')}.",
        "Give an ECDSA P-256 key in PKCS#8 (PEM or DER), with its passphrase if it has one.",
    )
