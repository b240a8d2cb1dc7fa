"""The network's certificate authority, the certificates under it, and the TLS contexts made of them.

Identity on a peer link is the certificate's: a DNS name `<node id>.nodes.<network>.nostro` in its
subject alternative names, under the network's own CA. Operators, who may use a node's admin port,
have `<member>.operators.<network>.nostro`. It knows nothing of the chain: whether a name belongs to
a node that may take part is the caller's question.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3_650
LEAF_DAYS = 825
"""The longest life of a server certificate that common clients accept."""
CLOCK_SLACK = datetime.timedelta(hours=1)
"""Certificates are valid from a little before now: the clocks of two banks differ."""


class TlsError(ValueError):
    """A certificate or key that can't be used; the text names the file and what to do."""


class Issued(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class TlsFiles(NamedTuple):
    """The three files that a TLS endpoint needs."""

    ca: Path
    certificate: Path
    key: Path


def node_name(node: str, network: str) -> str:
    """The DNS name that stands for a node in its certificate."""
    return f"{node}.nodes.{network}.nostro"


def operator_name(member: str, network: str) -> str:
    """The DNS name that stands for a member's operators in their certificate."""
    return f"{member}.operators.{network}.nostro"


def create_ca(network: str, now: datetime.datetime) -> Issued:
    """A new P-256 certificate authority for one network; `now` is in UTC."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Nostro network {network} CA")
    builder = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _issued(builder.sign(key, hashes.SHA256()), key)


def issue(
    ca: Issued, common_name: str, names: Sequence[str], now: datetime.datetime, *, client: bool = True
) -> Issued:
    """A certificate under `ca` for these DNS names and IP addresses; with `client` it can also dial out."""
    authority = x509.load_pem_x509_certificate(ca.certificate)
    authority_key = _authority_key(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
    builder = (
        _builder(_name(common_name), authority.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    return _issued(builder.sign(authority_key, hashes.SHA256()), key)


def renewed(
    ca: Issued, old: x509.Certificate, now: datetime.datetime, key: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """A certificate (PEM) that says what `old` says, with a new serial number and a new life from `now` on.

    It is for the same key as `old`, unless another one is given. Raises TlsError where `old` isn't of `ca`.
    """
    authority = x509.load_pem_x509_certificate(ca.certificate)
    try:
        old.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise TlsError(
            f"the certificate of {old.subject.rfc4514_string()} was not issued by this CA. Renew it where it "
            "came from."
        ) from error
    public_key = old.public_key() if key is None else key.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise TlsError("the certificate is for no elliptic-curve key. Have a new key made with --new-key.")
    builder = _builder(old.subject, authority.subject, public_key, now, LEAF_DAYS)
    for extension in old.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = builder.add_extension(value, extension.critical)
    signed = builder.sign(_authority_key(ca), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def read_ca(folder: Path) -> Issued:
    """The CA from the folder with `ca.pem` and `ca.key` that its keeper has; raises TlsError."""
    try:
        ca = Issued((folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes())
        x509.load_pem_x509_certificate(ca.certificate)
        _authority_key(ca)
    except OSError as error:
        raise TlsError(
            f"cannot read the network's CA from {folder}: {error.strerror} ({error.filename}). Only its "
            "keeper has its key: name the folder with --ca, or send the certificates to the keeper."
        ) from error
    except ValueError as error:
        raise TlsError(f"{folder} holds no CA: {error}. Name the folder with ca.pem and ca.key.") from error
    return ca


def peer_server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.3 only, and whoever connects must show a certificate of the network's CA."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def report_refusals(context: ssl.SSLContext, report: Callable[[str], None]) -> None:
    """Have `report` hear why handshakes under `context` fail: event loops drop these without a word."""

    class Reporting(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                report(error.reason or str(error))
                raise

    context.sslobject_class = Reporting


def peer_client_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.3 only, with this node's certificate; the server's name is checked against its certificate."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def api_server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 with the API's certificate; clients prove themselves by what they sign, not by TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return _loaded(context, files)


def trusting_context(ca: Path) -> ssl.SSLContext:
    """What a client of the API uses: it trusts the network's CA and shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot read the network's CA from {ca}: {error}") from error
    return context


def dns_names(peer_certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The DNS names in what `SSLObject.getpeercert()` gave; empty where there was no certificate."""
    alternatives = (peer_certificate or {}).get("subjectAltName", ())
    return frozenset(value for kind, value in alternatives if kind == "DNS")


def peer_node(names: frozenset[str], network: str) -> str | None:
    """The node id that a peer's certificate speaks for, or None where it speaks for none."""
    suffix = f".nodes.{network}.nostro"
    found = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return found[0] if len(found) == 1 else None


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file; raises TlsError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsError(
            f"cannot read the certificate {path}: {error}. Put the right file there, or have it renewed with "
            "`nostro node renew`."
        ) from error


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The DNS names that a certificate stands for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(found.value.get_values_for_type(x509.DNSName))


def days_left(certificate: x509.Certificate, now: datetime.datetime) -> float:
    """Days until a certificate expires; negative once it has."""
    return (certificate.not_valid_after_utc - now).total_seconds() / 86_400


def load_signing_key(path: Path, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    """Read a node's P-256 signing key from PKCS#8 PEM; an unencrypted file must be its owner's alone."""
    try:
        raw = path.read_bytes()
        if passphrase is None and path.stat().st_mode & 0o077:
            raise TlsError(
                f"{path} can be read by others than its owner: run `chmod 600 {path}`, or encrypt it."
            )
        key = serialization.load_pem_private_key(raw, passphrase)
    except OSError as error:
        raise TlsError(f"cannot read the signing key {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise TlsError(
            f"cannot open the signing key {path}: {error}. If it is encrypted, name the variable with its "
            "passphrase as node.passphrase_env in the configuration."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TlsError(f"{path} holds no P-256 key; a node signs with P-256 only.")
    return key


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read; raises FileExistsError rather than replace one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """An unencrypted PKCS#8 PEM: protected by the file's mode, as a node must start unattended."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return _loaded(context, files)


def reload(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Have a context's coming handshakes show the pair that is in the files now; raises TlsError.

    The pair is tried elsewhere first: a context that was given a key of another certificate is of no use
    any more. Connections that stand keep the certificate that they were made with.
    """
    _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
    _loaded(context, files)


def _loaded(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"cannot use the TLS files {files.certificate}, {files.key} and {files.ca}: {error}. "
            "Check that they exist and that key and certificate belong together."
        ) from error
    return context


def _authority_key(ca: Issued) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TlsError("the CA's key is not an elliptic-curve key; create the network's CA anew.")
    return key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(certificate.public_bytes(serialization.Encoding.PEM), private_pem(key))
