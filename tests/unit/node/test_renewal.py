"""Certificates renewed in place: the same names, a new life, and never a file that is half of each."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from node import tls
from node.renewal import Pair, renew

NETWORK = "testnet"
NOW = datetime.datetime.now(datetime.UTC)
LATER = NOW + datetime.timedelta(days=800)
CA = tls.create_ca(NETWORK, NOW)
NAMES = [tls.node_name("alpha-1", NETWORK), "localhost", "127.0.0.1"]


def put(folder: Path, ca: tls.Issued = CA) -> tuple[Pair, tls.TlsFiles]:
    issued = tls.issue(ca, "alpha-1", NAMES, NOW)
    files = tls.TlsFiles(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    for path, data in zip(files, (CA.certificate, issued.certificate, issued.key), strict=True):
        path.write_bytes(data)
    return Pair(files.certificate, files.key), files


def test_a_renewed_certificate_says_the_same_for_another_825_days(tmp_path: Path) -> None:
    """Subject, names, usages and key stay; serial number and life are new."""
    pair, files = put(tmp_path)
    old, key = tls.read_certificate(pair.certificate), files.key.read_bytes()
    renewal = renew(pair, CA, LATER)
    new = tls.read_certificate(pair.certificate)
    assert (renewal.days_before, renewal.days_left) == pytest.approx((25, tls.LEAF_DAYS), abs=0.01)
    assert new.subject == old.subject
    assert list(new.extensions) == list(old.extensions)
    assert new.public_key() == old.public_key()
    assert new.serial_number != old.serial_number
    assert files.key.read_bytes() == key
    tls.peer_server_context(files)


def test_a_new_key_goes_with_its_certificate(tmp_path: Path) -> None:
    """With --new-key both files are replaced, they belong together, and the key is its owner's alone."""
    pair, files = put(tmp_path)
    old = tls.read_certificate(pair.certificate)
    renew(pair, CA, LATER, new_key=True)
    new = tls.read_certificate(pair.certificate)
    identifier = new.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert new.public_key() != old.public_key()
    assert identifier == x509.SubjectKeyIdentifier.from_public_key(new.public_key())
    assert files.key.stat().st_mode & 0o077 == 0
    tls.peer_server_context(files)


def test_an_expired_certificate_is_renewed_too(tmp_path: Path) -> None:
    """It is never too late."""
    pair, _ = put(tmp_path)
    renewal = renew(pair, CA, NOW + datetime.timedelta(days=tls.LEAF_DAYS + 10))
    assert renewal.days_before == pytest.approx(-10, abs=0.01)


def test_anothers_certificate_is_left_alone(tmp_path: Path) -> None:
    """A certificate of another authority is refused, and the file stays what it was."""
    pair, files = put(tmp_path, tls.create_ca(NETWORK, NOW))
    before = files.certificate.read_bytes()
    with pytest.raises(tls.TlsError, match="was not issued by this CA"):
        renew(pair, CA, LATER)
    assert files.certificate.read_bytes() == before


def test_a_new_key_needs_the_old_ones_place(tmp_path: Path) -> None:
    """Where only the certificate is at hand, a new key would be of no use to anybody."""
    pair, files = put(tmp_path)
    before = files.certificate.read_bytes()
    with pytest.raises(tls.TlsError, match="no key beside"):
        renew(Pair(pair.certificate), CA, LATER, new_key=True)
    assert files.certificate.read_bytes() == before


def test_a_ca_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    """The folder is named, and who has the key."""
    with pytest.raises(tls.TlsError, match=r"Only its keeper"):
        tls.read_ca(tmp_path)
    (tmp_path / "ca.pem").write_bytes(CA.certificate)
    (tmp_path / "ca.key").write_bytes(b"none")
    with pytest.raises(tls.TlsError, match="holds no CA"):
        tls.read_ca(tmp_path)
    (tmp_path / "ca.key").write_bytes(tls.private_pem(ec.generate_private_key(ec.SECP256R1())))
    assert tls.read_ca(tmp_path).certificate == CA.certificate
