"""Tests of the commands that only look: blocks, members, assets, nodes, receipts."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.app import create_app
from cli.exits import Exit
from cli.times import utc
from tests.unit.api.conftest import TEST_LIMITS, serving
from tests.unit.api.instant_host import InstantHost
from tests.unit.cli.conftest import Nostro, document
from tests.unit.cli.world import World
from tests.unit.ledger import sample


def test_members_and_assets(nostro: Nostro, world: World) -> None:
    """The registry of genesis."""
    assert [m["id"] for m in document(nostro("members", "--json"))["members"]] == ["alpha", "beta", "gamma"]
    assert "Bank Beta" in nostro("members").stdout
    asset = document(nostro("assets", "--json"))["assets"][0]
    assert (asset["code"], asset["scale"], asset["issuer"]) == ("EUR", 2, "alpha")
    assert asset["account"] in nostro("assets").stdout


def test_blocks(nostro: Nostro, world: World) -> None:
    """A page, newest first, and the one before it."""
    page = document(nostro("block", "list", "--limit", "2", "--json"))
    heights = [block["height"] for block in page["blocks"]]
    assert heights == [world.host.position().height, world.host.position().height - 1]
    before = document(nostro("block", "list", "--before", str(heights[-1]), "--json"))
    assert before["blocks"][0]["height"] == heights[-1] - 1
    assert page["blocks"][0]["hash"] in nostro("block", "list").stdout


@pytest.mark.parametrize("limit", ["0", "201"])
def test_blocks_at_once(nostro: Nostro, world: World, limit: str) -> None:
    """1 to 200 blocks a page."""
    assert nostro("block", "list", "--limit", limit).exit_code == Exit.USAGE


def test_most_blocks_at_once(nostro: Nostro, world: World) -> None:
    """200 are given."""
    assert nostro("block", "list", "--limit", "200").exit_code == 0


def test_block(nostro: Nostro, world: World) -> None:
    """By height, by hash and the latest, with who certified it."""
    block = world.host.blocks[2]
    for name in ("2", block.hash.hex()):
        shown = document(nostro("block", "show", name, "--json"))
        assert shown["block"]["hash"] == block.hash.hex()
        assert shown["certificate"]["height"] == 2
    assert "certified by" in nostro("block", "show", "latest").stdout


def test_block_without_certificate(nostro: Nostro, world: World) -> None:
    """A block that isn't certified yet is shown as such."""
    world.host.certifying = False
    nostro("pay", "bob", "1", "--from", "alice")
    shown = nostro("block", "show", "latest")
    assert shown.exit_code == 0
    assert "not yet" in shown.stdout


def test_unknown_block(nostro: Nostro, world: World) -> None:
    """A height that isn't there is not found."""
    assert nostro("block", "show", "999").exit_code == Exit.NOT_FOUND


def test_status(nostro: Nostro, world: World) -> None:
    """Each node's word, with its role and heights."""
    (node,) = document(nostro("node", "status", "--json"))["nodes"]
    assert (node["node"], node["role"], node["reachable"]) == ("node-alpha", "leader", True)
    assert "node-alpha" in nostro("node", "status").stdout


def test_status_without_quorum(nostro: Nostro, world: World) -> None:
    """Nodes that answer and can't agree end with 5, and are shown all the same."""
    world.host.quorum = False
    result = nostro("node", "status")
    assert result.exit_code == Exit.UNREACHABLE
    assert "candidate" in result.stdout
    assert "quorum" in result.stderr


def test_status_of_a_node_that_is_gone(
    nostro: Nostro, world: World, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that doesn't answer is listed as such; with another that does, all is well."""
    monkeypatch.setattr("cli.node.STATUS_TIMEOUT_MS", 300)
    result = nostro("node", "status", "--url", unused_url, "--url", world.url)
    assert result.exit_code == 0
    assert "unreachable" in result.stdout
    assert nostro("node", "status", "--url", unused_url).exit_code == Exit.UNREACHABLE


def test_status_of_a_node_that_was_let_go(
    nostro: Nostro, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed as retired; the code is that of the other nodes, which are asked as well."""
    monkeypatch.setattr("cli.node.STATUS_TIMEOUT_MS", 300)
    world.host.retired = True
    with serving(create_app(InstantHost(), TEST_LIMITS), TEST_LIMITS) as other:
        urls = ("--url", world.url, "--url", f"http://127.0.0.1:{other.port}")
        result = nostro("node", "status", *urls)
        assert result.exit_code == 0, result.output
        gone, there = document(nostro("node", "status", *urls, "--json"))["nodes"]
    assert "retired" in result.stdout
    assert gone == {"url": world.url, "reachable": True, "problem": "retired"}
    assert there["role"] == "leader"
    assert nostro("node", "status", "--url", world.url).exit_code == Exit.UNREACHABLE


def test_read_from_nobody(
    nostro: Nostro, world: World, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that no node answers ends with 5."""
    monkeypatch.setattr("cli.connection.Connection.client.__defaults__", (300,))
    result = nostro("members", "--url", unused_url)
    assert result.exit_code == Exit.UNREACHABLE
    assert unused_url in result.stderr


def test_url_that_is_none(nostro: Nostro, world: World) -> None:
    """Text that isn't a URL is a usage error, for reads and for the nodes' status."""
    for command in (("members",), ("node", "status")):
        result = nostro(*command, "--url", "bank.example")
        assert result.exit_code == Exit.USAGE
        assert "bank.example" in result.stderr


def test_ca_that_is_none(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A file without a certificate is named."""
    (tmp_path / "ca.pem").write_text("nothing")
    result = nostro("members", "--url", "https://127.0.0.1:1", "--ca", tmp_path / "ca.pem")
    assert result.exit_code == Exit.ERROR
    assert "ca.pem holds no CA certificate" in result.stderr


def test_missing_ca(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A CA certificate that isn't there is named."""
    result = nostro("members", "--ca", tmp_path / "none.pem")
    assert result.exit_code == Exit.ERROR
    assert "none.pem" in result.stderr


@pytest.fixture
def receipt(nostro: Nostro, world: World, tmp_path: Path) -> Path:
    """The receipt of a payment of 5.00 EUR."""
    paid = document(nostro("pay", "bob", "5", "--from", "alice", "--json"))
    result = nostro("receipt", "get", paid["tx_id"])
    assert result.exit_code == 0, result.stderr
    return tmp_path / result.stdout.strip()


def test_receipt_is_verified_offline(nostro: Nostro, world: World, receipt: Path) -> None:
    """The network's id is all that is trusted; the receipt says what it proves."""
    result = nostro("receipt", "verify", receipt, "--network-id", sample.network().hex(), "--json")
    proved = document(result)
    assert (proved["outcome"], proved["kind"]) == ("executed", "transfer")
    assert proved["author"] == world.address("alice")
    assert "is good" in result.stderr


def test_receipt_by_genesis(nostro: Nostro, receipt: Path, tmp_path: Path) -> None:
    """A genesis document stands for its hash."""
    genesis = tmp_path / "genesis.bin"
    genesis.write_bytes(sample.genesis_raw())
    assert nostro("receipt", "verify", receipt, "--genesis", genesis).exit_code == 0


def test_receipt_of_another_network(nostro: Nostro, receipt: Path) -> None:
    """A receipt proves nothing to who trusts another network."""
    result = nostro("receipt", "verify", receipt, "--network-id", "00" * 32)
    assert result.exit_code == Exit.VIOLATION
    assert "another network" in result.stderr


def test_changed_receipt(nostro: Nostro, receipt: Path) -> None:
    """One changed byte in the middle, and it proves nothing."""
    raw = bytearray(receipt.read_bytes())
    raw[len(raw) // 2] ^= 1
    receipt.write_bytes(raw)
    result = nostro("receipt", "verify", receipt, "--network-id", sample.network().hex())
    assert result.exit_code == Exit.VIOLATION


def test_receipt_without_trust(nostro: Nostro, receipt: Path) -> None:
    """Nothing is proved to who trusts nothing."""
    assert nostro("receipt", "verify", receipt).exit_code == Exit.USAGE
    assert nostro("receipt", "verify", receipt, "--network-id", "xyz").exit_code == Exit.USAGE


def test_receipt_of_nothing(nostro: Nostro, world: World) -> None:
    """An id that nobody used has no receipt."""
    result = nostro("receipt", "get", "01890a5d-ac96-774b-bcce-b302099a8057")
    assert result.exit_code == Exit.NOT_FOUND


def test_utc() -> None:
    """Times are shown in UTC to the millisecond."""
    assert utc(1_700_000_000_007) == "2023-11-14 22:13:20.007Z"
