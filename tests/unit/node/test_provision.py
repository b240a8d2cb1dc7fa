"""Provisioning: what a new network's folder holds, and which plans are refused."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest

from ledger.genesis import decode_genesis, network_id
from ledger.keys import public_bytes
from ledger.policy import single_key
from node import tls
from node.config import load_config
from node.plan import NetworkPlan, PlanError, PlannedAsset, PlannedMember, check_plan, plan_network
from node.provision import ProvisionError, create_network, load_network
from wallet.keystore import open_keystore
from wallet.keystore_file import LEAST_SCRYPT_N, ScryptCost

COST = ScryptCost(n=LEAST_SCRYPT_N)
PASSPHRASE = "correct horse battery"


def test_a_network_has_a_genesis_that_names_its_keys(tmp_path: Path) -> None:
    """The keys in the keystores and node folders are those that genesis registers."""
    network = create_network(plan_network(nodes=2, banks=3), tmp_path / "net", PASSPHRASE, keystore_cost=COST)
    genesis = decode_genesis(network.genesis.read_bytes())
    assert network.network_id == network_id(network.genesis.read_bytes())
    assert [member.id for member in genesis.members] == ["alpha", "bravo", "central-bank", "charlie"]
    for member in genesis.members:
        keystore = open_keystore(network.keystore(member.id), PASSPHRASE)
        assert member.admin_policy == single_key(public_bytes(keystore.private_key("admin")))
        assert member.teller_policy == single_key(public_bytes(keystore.private_key("teller")))
        assert "customers" in keystore.public_keys()
    issuer = open_keystore(network.keystore("central-bank"), PASSPHRASE)
    assert genesis.assets[0].issuance_policy == single_key(public_bytes(issuer.private_key("issuance")))
    for node in genesis.nodes:
        config = load_config(network.config(node.id))
        assert node.key == public_bytes(tls.load_signing_key(config.signing_key, None))
        assert node.address == f"{config.peer.host}:{config.peer.port}"
        assert config.genesis.read_bytes() == network.genesis.read_bytes()


def test_fourteen_banks_and_an_issuer_fit(tmp_path: Path) -> None:
    """The size of a country's settlement system, five of whose banks run nodes."""
    network = create_network(
        plan_network(nodes=5, banks=14), tmp_path / "net", PASSPHRASE, keystore_cost=COST
    )
    assert (len(network.members), len(network.nodes)) == (15, 5)
    assert load_network(tmp_path / "net") == network


def test_private_files_are_their_owners_alone(tmp_path: Path) -> None:
    """No key file can be read by group or others, and the CA's key stays out of every node's folder."""
    network = create_network(plan_network(nodes=1), tmp_path / "net", PASSPHRASE, keystore_cost=COST)
    keys = [*network.directory.rglob("*.key"), *network.directory.rglob("keystore.json")]
    assert len(keys) >= 7
    assert [path for path in keys if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    assert [path.parent.name for path in network.directory.rglob("ca.key")] == ["ca"]


def test_a_seed_gives_the_same_keys_again_and_others_give_others(tmp_path: Path) -> None:
    """A development network can be made again; without a seed no two are alike."""

    def teller(name: str, seed: bytes | None) -> bytes:
        plan = plan_network(nodes=1, seed=seed)
        network = create_network(plan, tmp_path / name, PASSPHRASE, keystore_cost=COST)
        assert network.development == (seed is not None)
        return open_keystore(network.keystore("alpha"), PASSPHRASE).public_keys()["teller"]

    assert teller("a", b"1") == teller("b", b"1")
    assert len({teller("c", b"1"), teller("d", b"2"), teller("e", None), teller("f", None)}) == 4


def test_a_folder_that_is_in_use_is_refused_and_untouched(tmp_path: Path) -> None:
    """Nothing of anybody's is overwritten."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "letter.txt").write_text("mine")
    with pytest.raises(ProvisionError, match="not empty"):
        create_network(plan_network(nodes=1), tmp_path / "net", PASSPHRASE, keystore_cost=COST)
    assert [path.name for path in tmp_path.rglob("*")] == ["net", "letter.txt"]


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """The error names the path; no half-made network stays behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ProvisionError, match="cannot write"):
        create_network(plan_network(nodes=1), tmp_path / "file" / "net", PASSPHRASE, keystore_cost=COST)


def test_loading_from_a_folder_without_a_network_says_so(tmp_path: Path) -> None:
    """Missing and damaged summaries are told apart."""
    with pytest.raises(ProvisionError, match="holds no network"):
        load_network(tmp_path)
    (tmp_path / "network.json").write_text('{"name": 1}')
    with pytest.raises(ProvisionError, match="not a network's summary"):
        load_network(tmp_path)


def _changed(**changes: object) -> NetworkPlan:
    return dataclasses.replace(plan_network(nodes=2), **changes)  # type: ignore[arg-type]  # each test gives its field's type


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (_changed(name="Net1"), "network name 'Net1'"),
        (_changed(members=()), "at least one member with a node"),
        (_changed(members=plan_network(nodes=1).members * 2), "member id 'central-bank' appears twice"),
        (_changed(assets=(PlannedAsset("EUR", 2, "nobody", 1),)), "issuer 'nobody'"),
        (_changed(assets=(PlannedAsset("eur", 2, "alpha", 1),)), "asset code 'eur'"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_is_wrong(plan: NetworkPlan, said: str) -> None:
    """Names, duplicates and references are checked before any file is written."""
    with pytest.raises(PlanError, match=said):
        check_plan(plan)


def test_what_only_the_genesis_refuses_comes_back_as_a_plan_error(tmp_path: Path) -> None:
    """A scale of 19 is beyond the ledger's range."""
    plan = _changed(assets=(PlannedAsset("EUR", 19, "alpha", 1),))
    with pytest.raises(PlanError, match="no valid genesis"):
        create_network(plan, tmp_path / "net", PASSPHRASE, keystore_cost=COST)
    assert list(tmp_path.iterdir()) == []


def test_ports_are_checked_at_their_bounds() -> None:
    """65,535 is a port, 65,536 isn't; one port can't serve twice; three a node are needed."""
    plan_network(nodes=1, base_port=65_533)
    with pytest.raises(PlanError, match="port 65536"):
        plan_network(nodes=1, base_port=65_534)
    with pytest.raises(PlanError, match="appears twice"):
        plan_network(nodes=1, ports=[7000, 7000, 7001])
    with pytest.raises(PlanError, match="need 6 ports"):
        plan_network(nodes=2, ports=[7000, 7001, 7002])


def test_more_nodes_than_banks_are_refused() -> None:
    """A member runs one node at most."""
    with pytest.raises(PlanError, match="4 nodes need as many banks"):
        plan_network(nodes=4, banks=3)


def test_a_plan_has_at_most_a_thousand_members() -> None:
    """The limit is taken, one more is refused."""
    members = tuple(PlannedMember(f"m{number}", f"Member {number}") for number in range(1_000))
    node = plan_network(nodes=1).members[1].node
    full = (PlannedMember("alpha", "Alpha", node), *members[:999])
    assets = (PlannedAsset("EUR", 2, "alpha", 1),)
    check_plan(_changed(members=full, assets=assets))
    with pytest.raises(PlanError, match="at most 1000"):
        check_plan(_changed(members=(*full, members[999]), assets=assets))
