"""A running node's certificates: new ones are taken up from the disk, old ones are warned of in time."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from node import tls
from node.certificates import EXPIRY_WARNING_DAYS, Certificates
from tests.unit.node.harness import ManualPorts

NETWORK = "testnet"
NODE = "alpha-1"
ISSUED = datetime.datetime.now(datetime.UTC)
CA = tls.create_ca(NETWORK, ISSUED)


def put(folder: Path, ca: tls.Issued = CA, issued_at: datetime.datetime = ISSUED) -> tls.TlsFiles:
    """Write a new pair for the node, in place of the one that may be there."""
    made = tls.issue(ca, NODE, [tls.node_name(NODE, NETWORK)], issued_at)
    files = tls.TlsFiles(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    for path, data in zip(files, (CA.certificate, made.certificate, made.key), strict=True):
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.rename(path)
    return files


def served(
    folder: Path, days_later: float = 0
) -> tuple[Certificates, tls.TlsFiles, ssl.SSLContext, ManualPorts]:
    """A node's certificates as they are so many days after they were issued, the context, and its log."""
    files, log = put(folder), ManualPorts()
    now = ISSUED + datetime.timedelta(days=days_later)
    certificates = Certificates(files.ca, log, lambda: now)
    context = tls.peer_server_context(files)
    certificates.serve("node", files, [context])
    return certificates, files, context, log


def shown(context: ssl.SSLContext, trusting: Path) -> bytes:
    """The certificate that a new connection is shown, after a whole handshake with another node."""
    other = tls.TlsFiles(trusting, trusting.with_name("other.pem"), trusting.with_name("other.key"))
    issued = tls.issue(CA, "bravo-1", [tls.node_name("bravo-1", NETWORK)], ISSUED)
    other.certificate.write_bytes(issued.certificate)
    other.key.write_bytes(issued.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = tls.peer_client_context(other).wrap_bio(
        to_client, to_server, server_hostname=tls.node_name(NODE, NETWORK)
    )
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found).encode()


def test_a_new_pair_is_taken_up(tmp_path: Path) -> None:
    """A look after the files changed: new connections are shown the new certificate."""
    certificates, files, context, log = served(tmp_path)
    old = files.certificate.read_bytes()
    assert shown(context, files.ca) == old
    put(tmp_path)
    certificates.look()
    new = files.certificate.read_bytes()
    assert shown(context, files.ca) == new != old
    assert [event["certificate"] for event in log.logged("certificate_taken_up")] == ["node"]


def test_unchanged_files_are_left_alone(tmp_path: Path) -> None:
    """A look at the same files does and says nothing."""
    certificates, _, _, log = served(tmp_path)
    certificates.look()
    assert log.events == []


def test_half_a_pair_changes_nothing_until_it_is_whole(tmp_path: Path) -> None:
    """Between the key's and the certificate's writing the old pair goes on to be shown; said once."""
    certificates, files, context, log = served(tmp_path)
    old, old_key = files.certificate.read_bytes(), files.key.read_bytes()
    put(tmp_path)
    new_key = files.key.read_bytes()
    files.key.write_bytes(old_key)
    certificates.look()
    certificates.look()
    assert len(log.logged("certificate_not_taken_up")) == 1
    assert shown(context, files.ca) == old
    files.key.write_bytes(new_key)
    certificates.look()
    assert shown(context, files.ca) == files.certificate.read_bytes() != old


def test_files_that_vanish_change_nothing(tmp_path: Path) -> None:
    """The node goes on under what it has, and says so."""
    certificates, files, context, log = served(tmp_path)
    old = files.certificate.read_bytes()
    files.certificate.unlink()
    certificates.look()
    assert shown(context, files.ca) == old
    assert "node.pem" in log.logged("certificate_not_taken_up")[0]["reason"]
    assert certificates.days_left()["node"] == pytest.approx(tls.LEAF_DAYS, abs=0.01)


@pytest.mark.parametrize(
    ("left", "event"),
    [
        (EXPIRY_WARNING_DAYS + 0.01, None),
        (EXPIRY_WARNING_DAYS - 0.01, "certificate_expires"),
        (0.01, "certificate_expires"),
        (-0.01, "certificate_expired"),
    ],
)
def test_expiry_is_warned_of_in_time(tmp_path: Path, left: float, event: str | None) -> None:
    """From sixty days on, and louder when it is too late; each time with what to do."""
    certificates, files, _, log = served(tmp_path, tls.LEAF_DAYS - left)
    certificates.warn()
    assert [name for name, _ in log.events] == ([event] if event else [])
    for _, fields in log.events:
        assert (fields["certificate"], fields["file"]) == ("node", str(files.certificate))
        assert "nostro node renew" in fields["remedy"]


def test_a_ca_that_expires_is_a_matter_of_the_whole_network(tmp_path: Path) -> None:
    """Renewing one node's certificate doesn't help, so the warning says something else."""
    certificates, _, _, log = served(tmp_path, tls.CA_DAYS - 1)
    certificates.warn()
    remedies = {fields["certificate"]: fields["remedy"] for _, fields in log.events}
    assert "CA must be replaced" in remedies["ca"]
