"""PKCS#8 in and out, checked against the `ecdsa` package's own reader and writer."""

from __future__ import annotations

from typing import Literal

import ecdsa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from wallet.errors import KeyMalformed, PassphraseUnfit
from wallet.pkcs8 import MOST_PKCS8_BYTES, MOST_PKCS8_PASSPHRASE_BYTES, export_private_key, import_private_key

KEY = ec.derive_private_key(7, ec.SECP256R1())
OPENSSL_SCALAR = "11ef09b14cd83db1a1368c7d1f3cfd23c47c9b0882902b390a9c9a136bad8eb3"
OPENSSL_CLEAR = b"""-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEe8JsUzYPbGhNox9
Hzz9I8R8mwiCkCs5CpyaE2utjrOhRANCAAR76qrto8sXVR9Sgjy7CszWrRJTidXw
bK38ivltxh0C1IXNVFNwKn9T1uKH110chF4ZIVYG/eQjHWUzxh/SFPQX
-----END PRIVATE KEY-----
"""
OPENSSL_SCRYPT = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAjtBcrPYz0uUQICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBASoguNN6YFkwLyC3HCl0O6BIGQo1OYtZdoYzXK
Jy5XHeI0VFwR6KaXAsIoTu/IY3X5CPfLs4ztITxbGe/j/23wHqiXvViJje4XNF18
6XsyOWd1DQdispqzKQtEVFWN3pPBFd2t3huM1Xe4p0rDub+OUQjshG47odJhjRwC
ykG0hi6V3TWEJaJe12nf9i+QYGUHSIJrsW1cJpvjkyoQNW8SQF9u
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.mark.parametrize("encoding", ["pem", "der"])
@pytest.mark.parametrize("passphrase", [None, "p", "p" * MOST_PKCS8_PASSPHRASE_BYTES])
def test_round_trip(encoding: Literal["pem", "der"], passphrase: str | None) -> None:
    """What goes out comes in again, encrypted or not."""
    data = export_private_key(KEY, encoding, passphrase)
    assert import_private_key(data, passphrase).private_numbers() == KEY.private_numbers()


def test_another_program_reads_it() -> None:
    """The independent `ecdsa` package finds the same scalar in the PEM."""
    signing_key = ecdsa.SigningKey.from_pem(export_private_key(KEY).decode())
    assert signing_key.privkey.secret_multiplier == 7


def test_another_program_wrote_it() -> None:
    """Keys that the command `openssl` 3.0.19 wrote (genpkey; pkcs8 -topk8 -scrypt) are read."""
    for pem, passphrase in ((OPENSSL_CLEAR, None), (OPENSSL_SCRYPT, "secret")):
        key = import_private_key(pem, passphrase)
        assert f"{key.private_numbers().private_value:064x}" == OPENSSL_SCALAR


@pytest.mark.parametrize("passphrase", [None, "wrong"])
def test_passphrase_lacks_or_is_wrong(passphrase: str | None) -> None:
    """An encrypted key needs its own passphrase."""
    with pytest.raises(KeyMalformed, match="P-256"):
        import_private_key(export_private_key(KEY, passphrase="right"), passphrase)


def test_passphrase_for_a_key_in_the_clear() -> None:
    """A passphrase for a key that has none is an error, so that nobody believes it was encrypted."""
    with pytest.raises(KeyMalformed):
        import_private_key(export_private_key(KEY), "passphrase")


@pytest.mark.parametrize("passphrase", ["", "p" * (MOST_PKCS8_PASSPHRASE_BYTES + 1)])
def test_unfit_passphrase(passphrase: str) -> None:
    """An empty or too long passphrase is refused on the way out and in."""
    with pytest.raises(PassphraseUnfit):
        export_private_key(KEY, passphrase=passphrase)
    with pytest.raises(PassphraseUnfit):
        import_private_key(export_private_key(KEY, passphrase="p"), passphrase)


@pytest.mark.parametrize(
    "other",
    [ec.derive_private_key(7, ec.SECP384R1()), ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))],
)
def test_other_kinds_of_key(other: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    """Keys on other curves are refused by kind."""
    data = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(KeyMalformed, match="another kind"):
        import_private_key(data)


@pytest.mark.parametrize(
    "data", [b"", b"-----BEGIN PRIVATE KEY-----", b"0" * 64, b"0" * (MOST_PKCS8_BYTES + 1)]
)
def test_not_a_key(data: bytes) -> None:
    """Other bytes are refused."""
    with pytest.raises(KeyMalformed):
        import_private_key(data)


def test_longest_input() -> None:
    """A PEM of exactly the most bytes is read: text after the key is allowed."""
    data = export_private_key(KEY).ljust(MOST_PKCS8_BYTES, b"\n")
    assert import_private_key(data).private_numbers() == KEY.private_numbers()
