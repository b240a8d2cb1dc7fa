"""Tests of the accounts of a development network: the same each time, and good on the ledger."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cli.address_book import Entry
from cli.dev_accounts import FIRST_BALANCE_UNITS, NAMES, MemberKeys, account_name, plan_funding, wallet_keys
from cli.dev_network import (
    COST,
    PASSPHRASE,
    Wanted,
    check_ports,
    find_or_make,
    forget,
    member_keys,
    opened_before,
)
from cli.errors import CommandError
from cli.output import Output
from ledger.envelope import decode_envelope, verify_envelope
from node.plan import plan_network
from node.provision import ProvisionedNetwork, create_network
from tests.unit.ledger import sample


def made(folder: Path, seed: bytes | None) -> ProvisionedNetwork:
    """A network of three banks."""
    return create_network(plan_network(nodes=3, seed=seed), folder, PASSPHRASE, keystore_cost=COST)


def addresses(network: ProvisionedNetwork, count: int = 5) -> list[str]:
    """The addresses of its accounts."""
    funding = plan_funding(network.genesis.read_bytes(), member_keys(network), count)
    return [account.address for account in funding.accounts]


def test_same_seed_same_accounts(tmp_path: Path) -> None:
    """Addresses and keys follow from the seed, on any day."""
    first, second, other = (
        made(tmp_path / name, seed) for name, seed in (("a", b"1"), ("b", b"1"), ("c", b"2"))
    )
    assert addresses(first) == addresses(second)
    keys = [
        plan_funding(network.genesis.read_bytes(), member_keys(network), 1).accounts[0].key.private_numbers()
        for network in (first, second, other)
    ]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_funding_executes(tmp_path: Path) -> None:
    """Every envelope is well-formed and signed by who may; the accounts are spread over the banks."""
    network = made(tmp_path / "net", b"1")
    funding = plan_funding(network.genesis.read_bytes(), member_keys(network), 4)
    assert [account.member for account in funding.accounts] == ["alpha", "bravo", "charlie", "alpha"]
    assert {account.balance for account in funding.accounts} == {FIRST_BALANCE_UNITS * 100}
    for raw in (*funding.openings, *funding.transfers):
        verify_envelope(decode_envelope(raw, sample.LIMITS))


def test_accounts_of_people_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """When the network starts again, accounts that were added to the book since are left out."""
    network = made(tmp_path / "net", b"1")
    funding = plan_funding(network.genesis.read_bytes(), member_keys(network), 3)
    book = {account.name: Entry(account.address) for account in funding.accounts[:1]}
    book |= {"bob": Entry("another address"), "mine": Entry("mine")}
    assert [account.name for account in opened_before(funding, book)] == ["alice"]


def test_wallet_has_every_key(tmp_path: Path) -> None:
    """The accounts' own keys, and the banks' by `member.alias`."""
    network = made(tmp_path / "net", b"1")
    members: dict[str, MemberKeys] = member_keys(network)
    keys = wallet_keys(plan_funding(network.genesis.read_bytes(), members, 2), members)
    assert {"alice", "bob", "alpha.teller", "alpha.admin", "central-bank.issuance"} <= keys.keys()
    assert "alpha.issuance" not in keys


@pytest.mark.parametrize(
    ("index", "name"), [(0, "alice"), (19, NAMES[-1]), (20, "alice-2"), (999, f"{NAMES[-1]}-50")]
)
def test_names_never_run_out(index: int, name: str) -> None:
    """After the last name the first comes again with a number."""
    assert account_name(index) == name


def test_names_are_different() -> None:
    """A thousand accounts have a thousand names."""
    assert len({account_name(index) for index in range(1_000)}) == 1_000


def test_only_development_networks_are_deleted(tmp_path: Path) -> None:
    """--reset deletes what `dev` made, and nothing else."""
    made(tmp_path / "real", None)
    (tmp_path / "other").mkdir()
    for name in ("real", "other"):
        with pytest.raises(CommandError, match="not deleted"):
            forget(tmp_path / name)
        assert (tmp_path / name).exists()
    made(tmp_path / "dev", b"1")
    forget(tmp_path / "dev")
    assert not (tmp_path / "dev").exists()


def test_real_networks_are_not_started(tmp_path: Path) -> None:
    """A folder whose keys aren't for development is refused; one of `dev`'s is taken as it is."""
    wanted = Wanted(nodes=1, accounts=1, seed=b"1", base_port=7_400)
    made(tmp_path / "real", None)
    with pytest.raises(CommandError, match="not made for development"):
        find_or_make(Output(), wanted, tmp_path / "real")
    dev = made(tmp_path / "dev", b"1")
    assert find_or_make(Output(), wanted, tmp_path / "dev").network_id == dev.network_id


def test_ports_in_use_are_told_of_first(tmp_path: Path) -> None:
    """No network is made for ports that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = Wanted(nodes=1, accounts=1, seed=b"1", base_port=port)
        with pytest.raises(CommandError, match=str(port)):
            find_or_make(Output(), wanted, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_ports_end() -> None:
    """65,535 is the last port there is."""
    with pytest.raises(CommandError, match="65536"):
        check_ports(65_536, 1)
