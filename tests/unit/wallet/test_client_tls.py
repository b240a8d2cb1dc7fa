"""The client over TLS: it talks to nodes whose certificate its CA file vouches for, and to no others."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.wallet.played_nodes import envelope, play, says, submitted
from wallet.answers import Answer
from wallet.client import Client


def self_signed(directory: Path, name: str, host: str = "127.0.0.1") -> Path:
    """A PEM file with a key and a certificate for `host`, signed by that key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def submit(node_pem: Path, ca_file: Path | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Answer:
    """Submit to a node with this certificate, trusting that CA file."""

    async def scenario() -> Answer:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(node_pem)
        tls.maximum_version = newest
        node_playing = play(says(submitted()), tls=tls)
        async with node_playing as node, Client([node.url], ca_file=ca_file, timeout_ms=1_000) as client:
            return await client.submit(envelope())

    return asyncio.run(scenario())


def test_trusted(tmp_path: Path) -> None:
    """A node of the CA file is talked to."""
    pem = self_signed(tmp_path, "node")
    assert submit(pem, pem).status == "executed"


@pytest.mark.parametrize("with_file", [True, False])
def test_not_trusted(tmp_path: Path, with_file: bool) -> None:
    """A node of another CA gets no byte of the payment, by a given CA file or the machine's own."""
    other = self_signed(tmp_path, "other")
    answer = submit(self_signed(tmp_path, "node"), other if with_file else None)
    assert (answer.status, answer.reached) == ("unknown", False)


def test_another_host(tmp_path: Path) -> None:
    """A good certificate for another host is not this node's."""
    pem = self_signed(tmp_path, "node", "127.0.0.2")
    answer = submit(pem, pem)
    assert (answer.status, answer.reached) == ("unknown", False)


def test_old_tls(tmp_path: Path) -> None:
    """A node that speaks nothing newer than TLS 1.2 is not talked to."""
    pem = self_signed(tmp_path, "node")
    answer = submit(pem, pem, ssl.TLSVersion.TLSv1_2)
    assert (answer.status, answer.reached) == ("unknown", False)
