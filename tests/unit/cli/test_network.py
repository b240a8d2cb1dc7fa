"""Tests of `nostro network new`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.connection import Connection
from cli.errors import CommandError
from cli.exits import Exit
from cli.network import make_plan, parse_asset
from ledger.genesis import decode_genesis
from node.plan import DEFAULT_ASSET_LIMIT
from tests.unit.cli.conftest import PASSPHRASE, Nostro, Told, document
from wallet.keystore import open_keystore


def test_new_network_is_ready_to_hand_out(nostro: Nostro, tmp_path: Path) -> None:
    """Genesis, a configuration a node, a keystore a member; the passphrase opens them."""
    folder = tmp_path / "net"
    result = nostro(
        *("network", "new", folder, "--name", "testnet", "--members", "ab,cd", "--nodes", "1"),
        *("--issuer", "cnb", "--asset", "CZK:2:1000.50", "--json"),
        NOSTRO_PASSPHRASE=PASSPHRASE,
    )
    assert result.exit_code == 0, result.stderr
    made = document(result)
    genesis = decode_genesis((folder / "genesis.bin").read_bytes())
    assert [member.id for member in genesis.members] == ["ab", "cd", "cnb"]
    assert [(asset.code, asset.scale, asset.limit) for asset in genesis.assets] == [("CZK", 2, 100050)]
    assert [node["id"] for node in made["nodes"]] == ["ab-1"]
    assert Path(made["nodes"][0]["config"]).is_file()
    assert "issuance" in open_keystore(Path(made["members"][2]["keystore"]), PASSPHRASE).public_keys()


def test_progress_of_a_new_network(nostro: Nostro, tmp_path: Path, told: Told) -> None:
    """Each member's keystore takes its time, and is counted."""
    arguments = ("--members", "ab,cd", "--nodes", "1", "--issuer", "cnb")
    assert nostro("network", "new", tmp_path / "net", *arguments, NOSTRO_PASSPHRASE=PASSPHRASE).exit_code == 0
    assert told == [("keystores written", number, 3) for number in (1, 2, 3)]


def test_existing_folder_is_left_alone(nostro: Nostro, tmp_path: Path) -> None:
    """A folder with something in it is refused."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "precious").write_text("x")
    result = nostro("network", "new", tmp_path / "net", NOSTRO_PASSPHRASE=PASSPHRASE)
    assert result.exit_code == Exit.ERROR
    assert "Choose another folder" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--members", "ab", "--nodes", "2"), "2 nodes"),
        (("--members", "ab,ab", "--nodes", "1"), "'ab' appears twice"),
        (("--name", "No"), "Network name"),
        (("--base-port", "65533"), "65536"),
        (("--asset", "CZK"), "does not describe an asset"),
    ],
)
def test_impossible_plans(nostro: Nostro, tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    """A plan that can't be is a usage error that names what is wrong, and nothing is written."""
    result = nostro("network", "new", tmp_path / "net", *arguments, NOSTRO_PASSPHRASE=PASSPHRASE)
    assert result.exit_code == Exit.USAGE
    assert word in result.stderr
    assert not (tmp_path / "net").exists()


def test_issuer_may_be_one_of_the_banks() -> None:
    """An issuer among the members isn't added a second time, and may run a node."""
    plan = make_plan(
        name="testnet", members="ab,cd", nodes=2, issuer="ab", assets=("EUR:2",), host="::1", base_port=9000
    )
    assert [member.id for member in plan.members] == ["ab", "cd"]
    assert [(node.id, node.peer_port) for _, node in plan.nodes] == [("ab-1", 9000), ("cd-1", 9003)]


def test_banks_at_hosts_of_their_own() -> None:
    """Ports are counted per host, so that each bank's node has the same where it is alone."""
    plan = make_plan(
        name="testnet",
        members="ab@bank-ab.example,cd@bank-cd.example,ef",
        nodes=3,
        issuer="cnb",
        assets=("EUR:2",),
        host="127.0.0.1",
        base_port=9000,
    )
    assert [(node.host, node.peer_port) for _, node in plan.nodes] == [
        ("bank-ab.example", 9000),
        ("bank-cd.example", 9000),
        ("127.0.0.1", 9000),
    ]


@pytest.mark.parametrize("text", ["CZK", "CZK:", "CZK:x", "CZK:19", "CZK:-1", "CZK:²"])
def test_malformed_assets(text: str) -> None:
    """Decimals are a whole number from 0 to 18."""
    with pytest.raises(CommandError, match="does not describe"):
        parse_asset(text, "ab")


@pytest.mark.parametrize(
    ("text", "scale", "limit"), [("A:0", 0, DEFAULT_ASSET_LIMIT), ("A:18:1", 18, 10**18)]
)
def test_assets_at_the_boundary(text: str, scale: int, limit: int) -> None:
    """0 and 18 decimals are taken."""
    asset = parse_asset(text, "ab")
    assert (asset.scale, asset.limit) == (scale, limit)


def test_connection_needs_a_network() -> None:
    """Where no network is named and none lies here, the error says how to name one."""
    with pytest.raises(CommandError) as caught:
        Connection((), None, None).client()
    assert caught.value.explained.exit is Exit.USAGE
    assert "nostro dev" in caught.value.explained.remedy


def test_leadership_needs_a_network_too(nostro: Nostro) -> None:
    """The same words, with the options of that command."""
    result = nostro("leader", "transfer")
    assert result.exit_code == Exit.USAGE
    assert "no folder nostro-network here" in result.stderr
    assert "--config" in result.stderr


def test_folder_without_a_network(nostro: Nostro, tmp_path: Path) -> None:
    """A folder that holds no network is named."""
    result = nostro("members", "--network", tmp_path)
    assert result.exit_code == Exit.ERROR
    assert "holds no network" in result.stderr
