"""Tests of `nostro payment`: build, sign, submit and show, and every way each can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.exits import Exit
from cli.names import from_genesis
from cli.transact import Wish, new_id
from cli.transact import build as build_draft
from ledger.bodies import Kind, Recover
from tests.unit.cli.conftest import Nostro, document
from tests.unit.cli.world import FIRST_BALANCE, ISSUANCE, World
from tests.unit.ledger import sample
from wallet.keystore import Keystore
from wallet.payment_file import write_draft


@pytest.fixture
def genesis(world: World, tmp_path: Path) -> Path:
    """The network's genesis document."""
    path = tmp_path / "genesis.bin"
    path.write_bytes(sample.genesis_raw())
    return path


@pytest.fixture
def built(nostro: Nostro, world: World, genesis: Path, tmp_path: Path) -> Path:
    """An unsigned payment of 12.50 EUR from alice to bob."""
    path = tmp_path / "payment.json"
    result = nostro(*build(genesis, path))
    assert result.exit_code == 0, result.stderr
    return path


def build(genesis: Path, out: Path, *more: str) -> tuple[str | Path, ...]:
    """The command that builds it."""
    wanted = ("--account", "alice", "--asset", "EUR", "--signer", "alice")
    return ("payment", "build", "bob", "12.50", *wanted, "--genesis", genesis, "--out", out, *more)


def test_steps_apart(nostro: Nostro, world: World, built: Path) -> None:
    """Built, signed and submitted, each by itself; the first two with no node to ask."""
    signed = nostro("payment", "sign", built, "--signer", "alice", "--yes", NOSTRO_URL="")
    assert signed.exit_code == 0, signed.stderr
    assert "Pay 12.50 EUR from" in signed.stderr
    assert f"nostro payment submit {built}" in signed.stderr
    submitted = nostro("payment", "submit", built)
    assert submitted.exit_code == 0, submitted.stderr
    assert world.balance("bob") == FIRST_BALANCE + 1250


def test_a_decision_to_recover_is_carried_out_and_not_submitted(
    nostro: Nostro, world: World, keystore: Keystore, tmp_path: Path
) -> None:
    """Once all have signed, the next step is on the survivors' stores: no node runs that could take it."""
    path = tmp_path / "decision.json"
    body = Recover(1, 5, bytes(32), 9, sample.certifiers_of(["node-alpha"]), 4, rehearsal=False)
    names, keys = from_genesis(sample.genesis_raw()), [keystore.public_keys()["admin"]]
    write_draft(path, build_draft(names, new_id(), Wish(b"beta", Kind.RECOVER, body), keys, 60))
    signed = nostro("payment", "sign", path, "--signer", "admin", "--yes")
    assert signed.exit_code == 0, signed.stderr
    assert f"nostro node recover CONFIG --apply {path}" in signed.stderr
    assert "payment submit" not in signed.stderr


def test_submitted_twice_pays_once(nostro: Nostro, world: World, built: Path) -> None:
    """The second time gives the first outcome, at the first place."""
    nostro("payment", "sign", built, "--signer", "alice", "--yes")
    first, second = (document(nostro("payment", "submit", built, "--json")) for _ in range(2))
    assert (first["height"], first["index"]) == (second["height"], second["index"])
    assert world.balance("bob") == FIRST_BALANCE + 1250


def test_two_signers(nostro: Nostro, world: World, genesis: Path, tmp_path: Path) -> None:
    """With two signers the file goes from one to the other, and is submitted only when both have signed."""
    path = tmp_path / "payment.json"
    result = nostro(*build(genesis, path, "--signer", "bob"), "--json")
    assert len(document(result)["missing_signers"]) == 2
    half = nostro("payment", "sign", path, "--signer", "bob", "--yes", "--json")
    assert len(document(half)["missing_signers"]) == 1
    early = nostro("payment", "submit", path)
    assert early.exit_code == Exit.ERROR
    assert "1 of its signers" in early.stderr
    assert nostro("payment", "sign", path, "--signer", "alice", "--yes").exit_code == 0
    assert nostro("payment", "submit", path).exit_code == 0


def test_nobody_signs_unasked(nostro: Nostro, built: Path) -> None:
    """Where nobody can be asked, --yes is needed, and the file stays unsigned."""
    before = built.read_bytes()
    result = nostro("payment", "sign", built, "--signer", "alice")
    assert result.exit_code == Exit.USAGE
    assert "--yes" in result.stderr
    assert built.read_bytes() == before


def test_sign_with_a_stranger(nostro: Nostro, built: Path) -> None:
    """A key that isn't among the signers is refused."""
    result = nostro("payment", "sign", built, "--signer", "bob", "--yes")
    assert result.exit_code == Exit.ERROR
    assert "not one of the signers" in result.stderr


def test_sign_with_an_unknown_alias(nostro: Nostro, built: Path) -> None:
    """An alias that isn't there is named."""
    assert nostro("payment", "sign", built, "--signer", "zoe", "--yes").exit_code == Exit.NOT_FOUND


def test_sign_checks_the_decimals(nostro: Nostro, built: Path, genesis: Path) -> None:
    """A file that shows an amount with other decimals than the network's is refused, given the genesis."""
    built.write_text(built.read_text().replace('"EUR": 2', '"EUR": 3').replace('"12.50"', '"1.250"'))
    result = nostro("payment", "sign", built, "--signer", "alice", "--yes", "--genesis", genesis)
    assert result.exit_code == Exit.ERROR
    assert "decimals" in result.stderr


def test_changed_after_signing(nostro: Nostro, world: World, built: Path) -> None:
    """A payment that was changed after it was signed is refused before it is sent."""
    nostro("payment", "sign", built, "--signer", "alice", "--yes")
    built.write_text(built.read_text().replace('"12.50"', '"92.50"'))
    result = nostro("payment", "submit", built)
    assert result.exit_code == Exit.ERROR
    assert "not good for this payment" in result.stderr
    assert world.balance("alice") == FIRST_BALANCE


@pytest.mark.parametrize("content", ["", "{}", "x" * 600_000], ids=["empty", "other", "long"])
def test_other_files(nostro: Nostro, world: World, tmp_path: Path, content: str) -> None:
    """A file that isn't a payment is refused, by each step."""
    path = tmp_path / "other.json"
    path.write_text(content)
    for arguments in (("sign", path, "--signer", "alice", "--yes"), ("submit", path), ("show", path)):
        assert nostro("payment", *arguments).exit_code == Exit.ERROR


def test_missing_file(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A file that isn't there is named."""
    result = nostro("payment", "submit", tmp_path / "none.json")
    assert result.exit_code == Exit.ERROR
    assert "none.json: no such file" in result.stderr


def test_build_needs_the_network(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """Without a genesis document nothing says which network the payment is for."""
    arguments = ("--account", "alice", "--asset", "EUR", "--signer", "alice", "--out", tmp_path / "p")
    result = nostro("payment", "build", "bob", "1", *arguments)
    assert result.exit_code == Exit.USAGE
    assert "--genesis" in result.stderr


def test_build_with_another_file_for_genesis(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A file that isn't a genesis document is refused by name."""
    other = tmp_path / "other.bin"
    other.write_bytes(b"\x90")
    result = nostro(*build(other, tmp_path / "p.json"))
    assert result.exit_code == Exit.ERROR
    assert "not a genesis document" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("bob", "1.001", "--asset", "EUR"), Exit.ERROR),
        (("bob", "1", "--asset", "USD"), Exit.NOT_FOUND),
        (("zoe", "1", "--asset", "EUR"), Exit.NOT_FOUND),
        (("bob", "1", "--asset", "EUR", "--valid-minutes", "0"), Exit.USAGE),
        (("bob", "1", "--asset", "EUR", "--valid-minutes", "43201"), Exit.USAGE),
        (("bob", "1", "--asset", "EUR", "--valid-minutes", "43200"), Exit.DONE),
    ],
)
def test_what_can_not_be_built(
    nostro: Nostro, world: World, genesis: Path, tmp_path: Path, arguments: tuple[str, ...], code: Exit
) -> None:
    """Each part is checked when the payment is built, not when somebody has signed it."""
    path = tmp_path / "p.json"
    rest = ("--account", "alice", "--signer", "alice", "--genesis", genesis, "--out", path)
    assert nostro("payment", "build", *arguments, *rest).exit_code == code
    assert path.exists() is (code is Exit.DONE)


def test_build_for_a_key_elsewhere(nostro: Nostro, world: World, genesis: Path, tmp_path: Path) -> None:
    """A signer may be a public key in hex, whose private key is nowhere near."""
    key = sample.public_key(99).hex()
    result = nostro(*build(genesis, tmp_path / "p.json", "--signer", key), "--json")
    assert key in document(result)["missing_signers"]


def test_show_payment(nostro: Nostro, world: World) -> None:
    """A payment is found by its id, for ever, refused ones too."""
    paid = document(nostro("pay", "bob", "5", "--from", "alice", "--json"))
    shown = nostro("payment", "show", paid["tx_id"])
    assert "amount   5.00" in shown.stdout
    refused = document(nostro("pay", "bob", "5000", "--from", "alice", "--json"))
    found = document(nostro("payment", "show", refused["tx_id"], "--json"))
    assert found["outcome"]["name"] == "insufficient_funds"


def test_show_payment_that_waits(nostro: Nostro, world: World) -> None:
    """While the chain hasn't decided there is no outcome to show."""
    world.host.holding = True
    paid = document(nostro("pay", "bob", "5", "--from", "alice", "--no-wait", "--json"))
    shown = nostro("payment", "show", paid["tx_id"])
    assert "status  pending" in shown.stdout
    assert "not decided yet" in shown.stderr


def test_show_by_author(nostro: Nostro, world: World) -> None:
    """The same id by another author is another payment."""
    paid = document(nostro("pay", "bob", "5", "--from", "alice", "--json"))
    mine = nostro("payment", "show", paid["tx_id"], "--author", world.address("alice"))
    assert mine.exit_code == 0
    assert nostro("payment", "show", paid["tx_id"], "--author", ISSUANCE).exit_code == Exit.NOT_FOUND


def test_show_unknown_id(nostro: Nostro, world: World) -> None:
    """An id that nobody used is `not found`."""
    result = nostro("payment", "show", "01890a5d-ac96-774b-bcce-b302099a8057")
    assert result.exit_code == Exit.NOT_FOUND


def test_show_what_is_no_id(nostro: Nostro, world: World) -> None:
    """Text that is neither a file nor an id is an error that says what an id looks like."""
    result = nostro("payment", "show", "12345")
    assert result.exit_code == Exit.ERROR
    assert "UUID" in result.stderr


def test_show_a_file(nostro: Nostro, built: Path) -> None:
    """A file is shown in words, and with --json in its own form."""
    assert "Pay 12.50 EUR from" in nostro("payment", "show", built).stdout
    assert document(nostro("payment", "show", built, "--json"))["payment"]["body"]["amount"] == "12.50"
