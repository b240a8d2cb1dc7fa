"""Tests of what a person is asked at a terminal."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import PASSPHRASE, Nostro
from tests.unit.cli.terminal import at_terminal
from tests.unit.cli.world import World
from tests.unit.ledger import sample
from wallet.keystore import open_keystore


def test_passphrase_is_asked_twice_and_not_shown(tmp_path: Path) -> None:
    """A new keystore's passphrase is typed twice, unseen."""
    path = tmp_path / "k.json"
    answers = (("Passphrase of", PASSPHRASE), ("Repeat", PASSPHRASE))
    code, shown = at_terminal(tmp_path, ["key", "new", "alice", "--keystore", str(path)], answers)
    assert code == 0, shown
    assert PASSPHRASE not in shown
    assert list(open_keystore(path, PASSPHRASE).public_keys()) == ["alice"]


def test_signing_is_asked(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """What would be signed is shown first; a no leaves the file unsigned, a yes signs it."""
    (tmp_path / "genesis.bin").write_bytes(sample.genesis_raw())
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    built = nostro(
        *("payment", "build", "bob", "5", "--account", "alice", "--asset", "EUR", "--signer", "alice"),
        *("--genesis", "genesis.bin", "--out", "payment.json"),
    )
    assert built.exit_code == 0, built.stderr
    before = (tmp_path / "payment.json").read_bytes()
    arguments = ["payment", "sign", "payment.json", "--signer", "alice", "--keystore", "keystore.json"]
    code, shown = at_terminal(tmp_path, arguments, (("Sign this?", "n"),))
    assert code == 1
    assert "Pay 5.00 EUR from" in shown
    assert (tmp_path / "payment.json").read_bytes() == before
    assert at_terminal(tmp_path, arguments, (("Sign this?", "y"),))[0] == 0
    assert (tmp_path / "payment.json").read_bytes() != before
