"""A further node's files in the folder of a network. Needs no running node."""

from pathlib import Path

import pytest
from cryptography import x509

from ledger.keys import public_bytes
from node.config import load_config
from node.further_node import add_node, free_base_port
from node.plan import PlanError, PlannedNode, plan_network
from node.provision import ProvisionedNetwork, ProvisionError, create_network, load_network
from node.tls import load_signing_key, node_name
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost


@pytest.fixture
def network(tmp_path: Path) -> ProvisionedNetwork:
    """Two banks with a node each, and one without."""
    plan = plan_network(nodes=2, banks=3)
    return create_network(plan, tmp_path / "net", "passphrase", keystore_cost=ScryptCost(n=LEAST_SCRYPT_N))


def test_a_further_node_has_all_that_it_needs(network: ProvisionedNetwork) -> None:
    """Its files load, its certificate names it, it knows the others' addresses, and the folder knows it."""
    base = free_base_port(network)
    made = add_node(network, PlannedNode("charlie-1", "127.0.0.1", base, base + 1, base + 2), "charlie")
    config = load_config(network.config("charlie-1"))
    assert public_bytes(load_signing_key(config.signing_key, None)) == made.key
    assert made.address == f"127.0.0.1:{base}" == f"{config.peer.host}:{config.peer.port}"
    certificate = x509.load_pem_x509_certificate(config.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert node_name("charlie-1", network.name) in names.get_values_for_type(x509.DNSName)
    others = {place.id: load_config(network.config(place.id)).peer for place in network.nodes}
    assert config.peer_addresses == {id_: f"{peer.host}:{peer.port}" for id_, peer in others.items()}
    assert base not in {peer.port for peer in others.values()}
    again = load_network(network.directory)
    assert [place.id for place in again.nodes] == ["alpha-1", "bravo-1", "charlie-1"]
    assert set(config.api_urls) == {"alpha-1", "bravo-1", "charlie-1"}
    assert free_base_port(again) == base + 3


@pytest.mark.parametrize(
    ("node", "member", "reason"),
    [
        ("alpha-1", "alpha", "an id is never used twice"),
        ("delta-1", "delta", "no member delta. Its members: alpha, bravo"),
    ],
)
def test_a_node_that_cannot_be_added(
    network: ProvisionedNetwork, node: str, member: str, reason: str
) -> None:
    """The reason names the node or the member, and nothing is written."""
    with pytest.raises(ProvisionError, match=reason):
        add_node(network, PlannedNode(node, "127.0.0.1", 9_000, 9_001, 9_002), member)
    assert load_network(network.directory) == network


def test_an_id_without_the_form_of_one_is_refused(network: ProvisionedNetwork) -> None:
    """It becomes a folder's name and a DNS name: nothing else than an id may."""
    with pytest.raises(PlanError, match=r"node id '\.\./x'"):
        add_node(network, PlannedNode("../x", "127.0.0.1", 9_000, 9_001, 9_002), "charlie")
