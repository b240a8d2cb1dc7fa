"""Copies of nodes that reach nobody but each other: addresses, certificates and keys."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ledger.genesis import decode_genesis
from ledger.keys import public_bytes
from node import tls
from node.addresses import AddressBook
from node.config import load_config
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network, load_network
from node.secluded import HOST, NOWHERE, add_secluded, seclude
from node.tls import load_signing_key
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

KNOWN = ("alpha-1", "bravo-1", "charlie-1", "delta-9")
"""The nodes of genesis, and one that came later."""


@pytest.fixture
def network(tmp_path: Path) -> ProvisionedNetwork:
    """Three nodes that others reach at another host than this one."""
    plan = plan_network(nodes=3, host="192.0.2.7")
    return create_network(plan, tmp_path / "net", "passphrase", keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def _secluded(network: ProvisionedNetwork, target: Path) -> ProvisionedNetwork:
    survivors = ("alpha-1", "bravo-1")
    keys = {node: load_signing_key(load_config(network.config(node)).signing_key, None) for node in survivors}
    return seclude(network, target, keys, KNOWN)


def test_no_real_address_is_ever_dialled(network: ProvisionedNetwork, tmp_path: Path) -> None:
    """What genesis and the chain name is overridden: a copy for a copy, and nowhere for all others."""
    copies = _secluded(network, tmp_path / "copies")
    copies, made = add_secluded(copies, "charlie-drill-1", "charlie", KNOWN)
    genesis = decode_genesis(network.genesis.read_bytes())
    assert any("192.0.2.7" in node.address for node in genesis.nodes)
    peers = {place.id: load_config(copies.config(place.id)).peer for place in copies.nodes}
    for place in copies.nodes:
        config = load_config(copies.config(place.id))
        book = AddressBook(genesis.nodes, config.peer_addresses).addresses
        assert {listen.host for listen in (config.peer, config.api, config.admin)} == {HOST}
        assert book["charlie-1"] == book["delta-9"] == NOWHERE
        assert all(book[node] == f"{HOST}:{peers[node].port}" for node in ("alpha-1", "bravo-1"))
        assert set(book.values()) <= {NOWHERE, *(f"{HOST}:{peer.port}" for peer in peers.values())}
    assert made.address == f"{HOST}:{peers['charlie-drill-1'].port}"


def test_certificates_are_of_an_authority_of_their_own(network: ProvisionedNetwork, tmp_path: Path) -> None:
    """None is of the real network's CA, so that neither side takes the other in."""
    copies = _secluded(network, tmp_path / "copies")
    real = x509.load_pem_x509_certificate(network.ca.read_bytes())
    config = load_config(copies.config("alpha-1"))
    for path in (config.certificate, config.api_certificate, copies.operator_files("alpha").certificate):
        with pytest.raises(InvalidSignature):
            tls.read_certificate(path).verify_directly_issued_by(real)
        tls.read_certificate(path).verify_directly_issued_by(tls.read_certificate(copies.ca))
    assert isinstance(tls.peer_client_context(copies.operator_files("alpha")), ssl.SSLContext)


def test_copies_sign_as_the_nodes_that_they_are_of(network: ProvisionedNetwork, tmp_path: Path) -> None:
    """The chain knows their keys; a node that is added has a new one, and the folder can be loaded."""
    copies = _secluded(network, tmp_path / "copies")
    for node in ("alpha-1", "bravo-1"):
        own, real = (load_config(of.config(node)).signing_key for of in (copies, network))
        assert own.read_bytes() != b""
        assert public_bytes(load_signing_key(own, None)) == public_bytes(load_signing_key(real, None))
        assert own.stat().st_mode & 0o077 == 0
    copies, made = add_secluded(copies, "charlie-drill-1", "charlie", KNOWN)
    own = load_config(copies.config("charlie-drill-1")).signing_key
    assert public_bytes(load_signing_key(own, None)) == made.key
    assert [place.id for place in load_network(copies.directory).nodes] == [
        "alpha-1",
        "bravo-1",
        "charlie-drill-1",
    ]
