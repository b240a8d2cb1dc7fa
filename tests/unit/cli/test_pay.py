"""Tests of `nostro pay`: what is paid, every refusal, and what is kept while the outcome isn't certain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.exits import Exit
from ledger.keys import address, reference_hash
from ledger.outcome import Outcome
from tests.unit.cli.conftest import Nostro, document
from tests.unit.cli.world import FIRST_BALANCE, World
from tests.unit.ledger import sample


def test_payment_is_executed(nostro: Nostro, world: World) -> None:
    """Names stand for accounts, the amount moves, the outcome is told, and no file is left."""
    result = nostro("pay", "bob", "12.50", "--from", "alice")
    assert result.exit_code == 0, result.stderr
    assert "outcome  executed" in result.stdout
    assert "The transaction was executed." in result.stderr
    assert (world.balance("alice"), world.balance("bob")) == (FIRST_BALANCE - 1250, FIRST_BALANCE + 1250)
    assert world.saved == []


def test_payment_to_an_address_as_json(nostro: Nostro, world: World) -> None:
    """One document with stable keys, and nothing else on stdout."""
    result = nostro("pay", world.address("bob"), "1", "--from", "alice", "--wait", "certified", "--json")
    answer = document(result)
    assert answer["status"] == "certified"
    assert answer["outcome"]["name"] == "executed"
    assert answer["author"] == world.address("alice")


def test_refused_by_the_chain(nostro: Nostro, world: World) -> None:
    """A refusal by the ledger ends with 3 and says why, and moves nothing."""
    result = nostro("pay", "bob", "1000.01", "--from", "alice")
    assert result.exit_code == Exit.REFUSED
    assert "insufficient_funds" in result.stdout
    assert result.stderr.startswith("refused: ")
    assert world.balance("alice") == FIRST_BALANCE
    assert world.saved == []


def test_whole_balance_can_be_paid(nostro: Nostro, world: World) -> None:
    """The boundary of the refusal above."""
    assert nostro("pay", "bob", "1000.00", "--from", "alice").exit_code == 0
    assert world.balance("alice") == 0


def test_refused_by_the_node(nostro: Nostro, world: World) -> None:
    """A node's refusal ends with 3 too, and says that nothing is on the chain."""
    result = nostro("pay", "bob", "1", "--from", "alice", "--account", "bob")
    assert result.exit_code == Exit.REFUSED
    assert "nothing is on the chain" in result.stderr


def test_unknown_keeps_the_bytes(nostro: Nostro, world: World) -> None:
    """When the time runs out the code is 6, and the file that is named pays once, however often."""
    world.host.quorum = False
    result = nostro("pay", "bob", "12.50", "--from", "alice", "--timeout", "1", "--json")
    assert result.exit_code == Exit.UNKNOWN
    answer = document(result)
    assert answer["status"] == "unknown"
    assert f"nostro payment submit {answer['saved']}" in result.stderr
    world.host.quorum = True
    for _ in range(2):
        again = nostro("payment", "submit", answer["saved"], "--json")
        assert again.exit_code == 0, again.stderr
        assert document(again)["tx_id"] == answer["tx_id"]
    assert world.balance("alice") == FIRST_BALANCE - 1250


def test_unreachable(nostro: Nostro, world: World, unused_url: str) -> None:
    """Where no node can be reached to begin with, the code is 5."""
    result = nostro("pay", "bob", "1", "--from", "alice", "--url", unused_url, "--timeout", "1")
    assert result.exit_code == Exit.UNREACHABLE


def test_no_wait(nostro: Nostro, world: World) -> None:
    """Without waiting a node's receipt is enough: done, with how to ask later, and the bytes kept."""
    world.host.holding = True
    result = nostro("pay", "bob", "1", "--from", "alice", "--no-wait", "--json")
    assert result.exit_code == 0, result.stderr
    answer = document(result)
    assert answer["status"] == "pending"
    assert f"nostro payment show {answer['tx_id']}" in result.stderr
    assert world.saved == [f"{answer['tx_id']}.json"]


def test_dry_run(nostro: Nostro, world: World) -> None:
    """The outcome is foretold, and nothing happens."""
    height = world.host.position().height
    good = nostro("pay", "bob", "1", "--from", "alice", "--dry-run")
    assert (good.exit_code, "It would be executed." in good.stderr) == (0, True)
    bad = nostro("pay", "bob", "5000", "--from", "alice", "--dry-run", "--json")
    assert bad.exit_code == Exit.REFUSED
    assert document(bad)["outcome"]["name"] == "insufficient_funds"
    assert world.host.position().height == height


def test_reference_stays_off_the_chain(nostro: Nostro, world: World) -> None:
    """The chain has the salted hash; text and salt are kept and prove it."""
    result = nostro("pay", "bob", "1", "--from", "alice", "--reference", "invoice 7", "--json")
    kept = json.loads(Path(document(result)["reference"]).read_text())
    height = document(result)["height"]
    assert reference_hash(bytes.fromhex(kept["salt"]), b"invoice 7").hex() == kept["hash"]
    block = world.host.blocks[height].raw
    assert bytes.fromhex(kept["hash"]) in block
    assert b"invoice" not in block


@pytest.mark.parametrize(("size", "code"), [(0, Exit.USAGE), (1, 0), (4096, 0), (4097, Exit.USAGE)])
def test_length_of_a_reference(nostro: Nostro, world: World, size: int, code: int) -> None:
    """1 to 4,096 bytes."""
    assert nostro("pay", "bob", "1", "--from", "alice", "--reference", "x" * size).exit_code == code


def test_dry_run_keeps_no_reference(nostro: Nostro, world: World) -> None:
    """What isn't paid needs no salt."""
    assert nostro("pay", "bob", "1", "--from", "alice", "--reference", "x", "--dry-run").exit_code == 0
    assert world.saved == []


@pytest.mark.parametrize("amount", ["1.001", "1,50", "x", "-1", "1e3", ""])
def test_what_is_not_an_amount(nostro: Nostro, world: World, amount: str) -> None:
    """An amount has at most the asset's decimals, and no sign or exponent."""
    result = nostro("pay", "--from", "alice", "--", "bob", amount)
    assert result.exit_code == Exit.USAGE
    assert "12.50" in result.stderr


def test_nothing_can_not_be_paid(nostro: Nostro, world: World) -> None:
    """An amount of zero is no payment."""
    result = nostro("pay", "bob", "0", "--from", "alice")
    assert result.exit_code == Exit.USAGE
    assert "nothing to pay" in result.stderr


def test_wrong_asset(nostro: Nostro, world: World) -> None:
    """An asset that the network doesn't have is not found, before anything is signed."""
    result = nostro("pay", "bob", "1", "--from", "alice", "--asset", "USD")
    assert result.exit_code == Exit.NOT_FOUND
    assert "it has: EUR" in result.stderr


def test_unknown_names(nostro: Nostro, world: World) -> None:
    """Key, payee and account are each named when they aren't there."""
    for arguments, word in (
        (("pay", "bob", "1", "--from", "zoe"), "'zoe'"),
        (("pay", "zoe", "1", "--from", "alice"), "'zoe'"),
        (("pay", "bob", "1", "--from", "alice", "--account", "zoe"), "'zoe'"),
        (("pay", "bob", "1", "--from", "teller"), "no account for the key"),
    ):
        result = nostro(*arguments)
        assert result.exit_code == Exit.NOT_FOUND, result.stderr
        assert word in result.stderr


def test_address_of_another_network(nostro: Nostro, world: World) -> None:
    """An address begins with its network's name: another's is refused before anything is signed."""
    other = address("othernet", world.accounts["bob"])
    result = nostro("pay", other, "1", "--from", "alice")
    assert result.exit_code == Exit.ERROR
    assert "nostrotest" in result.stderr


def test_mistyped_address(nostro: Nostro, world: World) -> None:
    """The checksum finds a wrong letter."""
    right = world.address("bob")
    wrong = right[:-1] + ("q" if right[-1] != "q" else "p")
    result = nostro("pay", wrong, "1", "--from", "alice")
    assert result.exit_code == Exit.ERROR
    assert result.stderr.endswith("its checksum is wrong.\n  Copy it again, whole and unaltered.\n")


def test_address_that_was_never_opened(nostro: Nostro, world: World) -> None:
    """The ledger refuses what is paid to nobody."""
    nobody = address(sample.NETWORK_NAME, sample.CUSTOMER_ACCOUNT)
    result = nostro("pay", nobody, "1", "--from", "alice", "--json")
    assert result.exit_code == Exit.REFUSED
    assert document(result)["outcome"]["number"] == Outcome.UNKNOWN_ACCOUNT


def test_wrong_passphrase_pays_nothing(nostro: Nostro, world: World) -> None:
    """Without the passphrase nothing is signed."""
    result = nostro("pay", "bob", "1", "--from", "alice", NOSTRO_PASSPHRASE="wrong")
    assert result.exit_code == Exit.ERROR
    assert world.balance("alice") == FIRST_BALANCE


def test_out_writes_a_file_instead(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """--out leaves an unsigned file for the signers, and pays nothing."""
    result = nostro("pay", "bob", "1", "--from", "alice", "--out", tmp_path / "p.json", "--json")
    assert document(result)["missing_signers"] != []
    assert world.balance("alice") == FIRST_BALANCE
    assert nostro("payment", "sign", tmp_path / "p.json", "--signer", "alice", "--yes").exit_code == 0
    assert nostro("payment", "submit", tmp_path / "p.json").exit_code == 0
    assert world.balance("alice") == FIRST_BALANCE - 100
