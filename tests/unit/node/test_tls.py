"""Certificates: who is let in over TLS 1.3, who isn't, and how files that can't be used are named."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from node import tls

NOW = datetime.datetime.now(datetime.UTC)


def _files(
    folder: Path, ca: tls.Issued, issued: tls.Issued, trusted: tls.Issued | None = None
) -> tls.TlsFiles:
    folder.mkdir()
    files = tls.TlsFiles(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    files.ca.write_bytes((trusted or ca).certificate)
    files.certificate.write_bytes(issued.certificate)
    files.key.write_bytes(issued.key)
    return files


def _handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A TLS handshake in memory; raises SSLError as the side that refuses does."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    dialling = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(6):
        for side in (dialling, accepting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    dialling.write(b"x")
    assert accepting.read(1) == b"x"
    return accepting, dialling


def test_two_nodes_of_one_network_meet_over_tls_1_3_and_know_each_other(tmp_path: Path) -> None:
    """The server reads the dialling node's id from its certificate."""
    ca = tls.create_ca("testnet", NOW)
    name = tls.node_name("alpha-1", "testnet")
    server = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [name], NOW))
    client = _files(tmp_path / "c", ca, tls.issue(ca, "bravo-1", [tls.node_name("bravo-1", "testnet")], NOW))
    accepting, _ = _handshake(tls.peer_server_context(server), tls.peer_client_context(client), name)
    names = tls.dns_names(accepting.getpeercert())
    assert accepting.version() == "TLSv1.3"
    assert tls.peer_node(names, "testnet") == "bravo-1"
    assert tls.peer_node(names, "othernet") is None


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    """A stranger with a CA of its own doesn't get through the handshake."""
    ca, other = tls.create_ca("testnet", NOW), tls.create_ca("testnet", NOW)
    name = tls.node_name("alpha-1", "testnet")
    server = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [name], NOW))
    bravo = tls.issue(other, "bravo-1", [tls.node_name("bravo-1", "testnet")], NOW)
    client = _files(tmp_path / "c", other, bravo, trusted=ca)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        _handshake(tls.peer_server_context(server), tls.peer_client_context(client), name)


def test_a_client_without_a_certificate_is_refused(tmp_path: Path) -> None:
    """Trusting the CA isn't enough on a peer link."""
    ca = tls.create_ca("testnet", NOW)
    name = tls.node_name("alpha-1", "testnet")
    server = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [name], NOW))
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        _handshake(tls.peer_server_context(server), tls.trusting_context(server.ca), name)


def test_a_server_that_is_another_node_is_refused_by_the_dialling_one(tmp_path: Path) -> None:
    """Whoever answers at a node's address must be that node."""
    ca = tls.create_ca("testnet", NOW)
    server = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [tls.node_name("alpha-1", "testnet")], NOW))
    client = _files(tmp_path / "c", ca, tls.issue(ca, "bravo-1", [tls.node_name("bravo-1", "testnet")], NOW))
    with pytest.raises(ssl.SSLCertVerificationError, match="charlie-1"):
        _handshake(
            tls.peer_server_context(server),
            tls.peer_client_context(client),
            tls.node_name("charlie-1", "testnet"),
        )


def test_a_server_only_certificate_cannot_dial(tmp_path: Path) -> None:
    """The API's certificate isn't a node's: it opens no peer link."""
    ca = tls.create_ca("testnet", NOW)
    name = tls.node_name("alpha-1", "testnet")
    server = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [name], NOW))
    client = _files(tmp_path / "c", ca, tls.issue(ca, "api", ["localhost"], NOW, client=False))
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        _handshake(tls.peer_server_context(server), tls.peer_client_context(client), name)


def test_tls_1_2_is_refused_on_peer_links(tmp_path: Path) -> None:
    """An older client has no common version with a node."""
    ca = tls.create_ca("testnet", NOW)
    name = tls.node_name("alpha-1", "testnet")
    files = _files(tmp_path / "s", ca, tls.issue(ca, "alpha-1", [name], NOW))
    client = tls.trusting_context(files.ca)
    client.load_cert_chain(files.certificate, files.key)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
        _handshake(tls.peer_server_context(files), client, name)


def test_two_identities_in_one_certificate_are_none() -> None:
    """A certificate that names two nodes speaks for neither."""
    names = frozenset({tls.node_name("alpha-1", "testnet"), tls.node_name("bravo-1", "testnet")})
    assert tls.peer_node(names, "testnet") is None


def test_days_left_counts_to_the_expiry(tmp_path: Path) -> None:
    """A new certificate has its full life, and an expired one a negative rest."""
    ca = tls.create_ca("testnet", NOW)
    path = tmp_path / "node.pem"
    path.write_bytes(tls.issue(ca, "alpha-1", ["localhost"], NOW).certificate)
    certificate = tls.read_certificate(path)
    assert tls.days_left(certificate, NOW) == pytest.approx(tls.LEAF_DAYS, abs=0.01)
    assert tls.days_left(certificate, NOW + datetime.timedelta(days=tls.LEAF_DAYS + 1)) < 0


def test_a_signing_key_is_read_when_only_its_owner_can(tmp_path: Path) -> None:
    """Mode 0600 is accepted, and a group that may read is refused with the command that mends it."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "signing.key"
    tls.write_private(path, tls.private_pem(key))
    assert tls.load_signing_key(path, None).private_numbers() == key.private_numbers()
    path.chmod(0o640)
    with pytest.raises(tls.TlsError, match="chmod 600"):
        tls.load_signing_key(path, None)


def test_an_encrypted_signing_key_needs_its_passphrase(tmp_path: Path) -> None:
    """Right passphrase opens it; none or a wrong one is explained."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "signing.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"right"),
        )
    )
    path.chmod(0o600)
    assert tls.load_signing_key(path, b"right").private_numbers() == key.private_numbers()
    for passphrase in (None, b"wrong"):
        with pytest.raises(tls.TlsError, match="passphrase_env"):
            tls.load_signing_key(path, passphrase)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A node signs with P-256 only."""
    other: list[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65_537, 2_048),
    ]
    for number, key in enumerate(other):
        path = tmp_path / f"{number}.key"
        tls.write_private(
            path,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        with pytest.raises(tls.TlsError, match="P-256"):
            tls.load_signing_key(path, None)


def test_a_private_file_is_never_overwritten(tmp_path: Path) -> None:
    """A key that is there already stays."""
    path = tmp_path / "node.key"
    tls.write_private(path, b"first")
    with pytest.raises(FileExistsError):
        tls.write_private(path, b"second")
    assert path.read_bytes() == b"first"


def test_tls_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    """A certificate with another one's key is refused with the file names."""
    ca = tls.create_ca("testnet", NOW)
    mixed = tls.Issued(tls.issue(ca, "a", ["a"], NOW).certificate, tls.issue(ca, "b", ["b"], NOW).key)
    files = _files(tmp_path / "s", ca, mixed)
    with pytest.raises(tls.TlsError, match=r"node\.pem.*belong together"):
        tls.peer_server_context(files)
