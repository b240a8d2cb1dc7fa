"""Tests of `nostro key`: every command, every way it can fail."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cli.exits import Exit
from ledger.keys import public_bytes
from tests.unit.cli.conftest import PASSPHRASE, Nostro, document
from wallet.keystore import Keystore, open_keystore
from wallet.pkcs8 import export_private_key, import_private_key


def test_first_key_makes_the_keystore(nostro: Nostro, tmp_path: Path) -> None:
    """`key new` makes folder and keystore, private to their owner, and the key opens again."""
    path = tmp_path / "deep" / "keystore.json"
    result = nostro("key", "new", "alice", "--keystore", path, "--json", NOSTRO_PASSPHRASE=PASSPHRASE)
    assert result.exit_code == 0, result.stderr
    private_key = open_keystore(path, PASSPHRASE).private_key("alice")
    assert document(result)["public_key"] == public_bytes(private_key).hex()
    assert "cannot be recovered" in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_key_joins_the_keystore(nostro: Nostro, keystore: Keystore) -> None:
    """A second key leaves the others as they are."""
    assert nostro("key", "new", "carol").exit_code == 0
    assert list(open_keystore(keystore.path, PASSPHRASE).public_keys()) == ["alice", "bob", "carol"]


def test_new_key_of_a_taken_alias(nostro: Nostro, keystore: Keystore) -> None:
    """A taken alias is refused, and the key stays."""
    before = keystore.path.read_bytes()
    result = nostro("key", "new", "alice")
    assert result.exit_code == Exit.ERROR
    assert "alice" in result.stderr
    assert keystore.path.read_bytes() == before


def test_new_key_of_a_bad_alias_makes_nothing(nostro: Nostro, tmp_path: Path) -> None:
    """A malformed alias is refused before a keystore is made."""
    path = tmp_path / "keystore.json"
    result = nostro("key", "new", "Not An Alias", "--keystore", path, NOSTRO_PASSPHRASE=PASSPHRASE)
    assert result.exit_code == Exit.ERROR
    assert not path.exists()


def test_list_needs_no_passphrase(
    nostro: Nostro, keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public keys are read without opening anything."""
    monkeypatch.delenv("NOSTRO_PASSPHRASE")
    listed = document(nostro("key", "list", "--json"))["keys"]
    assert {key["alias"]: key["public_key"] for key in listed} == {
        alias: public.hex() for alias, public in keystore.public_keys().items()
    }
    assert nostro("key", "list").stdout.splitlines()[1].startswith("alice  04")


def test_list_without_a_keystore(nostro: Nostro, tmp_path: Path) -> None:
    """A keystore that isn't there is `not found`, with its path and the option that names another."""
    result = nostro("key", "list", "--keystore", tmp_path / "none.json")
    assert result.exit_code == Exit.NOT_FOUND
    assert "none.json" in result.stderr
    assert "--keystore FILE" in result.stderr


def test_list_of_another_file(nostro: Nostro, tmp_path: Path) -> None:
    """A file that isn't a keystore is named as such."""
    path = tmp_path / "other.json"
    path.write_text("{}")
    result = nostro("key", "list", "--keystore", path)
    assert result.exit_code == Exit.ERROR
    assert "not a keystore" in result.stderr


def test_show_keeps_the_secret(nostro: Nostro, keystore: Keystore) -> None:
    """Without --reveal no private key appears."""
    result = nostro("key", "show", "alice")
    assert keystore.public_keys()["alice"].hex() in result.stdout
    assert "PRIVATE" not in result.stdout


def test_show_reveals_on_demand(nostro: Nostro, keystore: Keystore) -> None:
    """With --reveal it is the very key."""
    shown = document(nostro("key", "show", "alice", "--reveal", "--json"))
    revealed = import_private_key(shown["private_key_pem"].encode())
    assert public_bytes(revealed) == keystore.public_keys()["alice"]
    assert "BEGIN PRIVATE KEY" in nostro("key", "show", "alice", "--reveal").stdout


def test_show_unknown_alias(nostro: Nostro, keystore: Keystore) -> None:
    """An unknown alias is `not found`, with those that there are."""
    result = nostro("key", "show", "zoe")
    assert result.exit_code == Exit.NOT_FOUND
    assert "alice, bob" in result.stderr


def test_wrong_passphrase(nostro: Nostro, keystore: Keystore) -> None:
    """A wrong passphrase is an error that says so."""
    result = nostro("key", "show", "alice", "--reveal", NOSTRO_PASSPHRASE="wrong")
    assert result.exit_code == Exit.ERROR
    assert "passphrase doesn't open" in result.stderr


def test_no_passphrase_and_no_terminal(
    nostro: Nostro, keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked where nobody sits: the error says how to give it."""
    monkeypatch.delenv("NOSTRO_PASSPHRASE")
    result = nostro("key", "show", "alice", "--reveal")
    assert result.exit_code == Exit.USAGE
    assert "--passphrase-file" in result.stderr


def test_passphrase_from_a_file(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """The file's first line is the passphrase, and goes before the environment's."""
    file = tmp_path / "passphrase.txt"
    file.write_text(PASSPHRASE + "\r\nanother line\n")
    arguments = ("key", "show", "alice", "--reveal", "--passphrase-file", file)
    assert nostro(*arguments, NOSTRO_PASSPHRASE="wrong").exit_code == 0


@pytest.mark.parametrize(
    "content", [b"", b"\nsecond\n", b"\xff\xfe", b"x" * 4097], ids=["empty", "blank", "binary", "long"]
)
def test_passphrase_file_without_one(
    nostro: Nostro, keystore: Keystore, tmp_path: Path, content: bytes
) -> None:
    """A file without a passphrase in its first line is refused by name."""
    file = tmp_path / "passphrase.txt"
    file.write_bytes(content)
    result = nostro("key", "show", "alice", "--reveal", "--passphrase-file", file)
    assert result.exit_code == Exit.ERROR
    assert "passphrase.txt" in result.stderr


def test_passphrase_file_of_the_greatest_length(nostro: Nostro, tmp_path: Path) -> None:
    """4,096 bytes are read whole (the keystore then has its own, shorter limit)."""
    file = tmp_path / "passphrase.txt"
    file.write_bytes(b"x" * 4096)
    result = nostro("key", "new", "a", "--keystore", tmp_path / "k.json", "--passphrase-file", file)
    assert "4,096" in result.stderr
    assert "1,024" in result.stderr


@pytest.mark.parametrize("encoding", ["pem", "der"])
def test_import(nostro: Nostro, keystore: Keystore, tmp_path: Path, encoding: str) -> None:
    """PKCS#8 comes in as PEM and as DER."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.p8"
    file.write_bytes(export_private_key(private_key, "pem" if encoding == "pem" else "der"))
    assert nostro("key", "import", "carol", file).exit_code == 0
    kept = open_keystore(keystore.path, PASSPHRASE).public_keys()["carol"]
    assert kept == public_bytes(private_key)


def test_import_encrypted(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """An encrypted file opens with its own passphrase, and not without."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    file, secret = tmp_path / "key.pem", tmp_path / "secret"
    file.write_bytes(export_private_key(private_key, "pem", "for transport"))
    secret.write_text("for transport")
    refused = nostro("key", "import", "carol", file)
    assert refused.exit_code == Exit.ERROR
    assert "password" in refused.stderr.lower()
    assert nostro("key", "import", "carol", file, "--file-passphrase-file", secret).exit_code == 0


@pytest.mark.parametrize("content", [b"", b"not a key", b"x" * 20_000], ids=["empty", "text", "long"])
def test_import_of_something_else(nostro: Nostro, keystore: Keystore, tmp_path: Path, content: bytes) -> None:
    """What is not a private key is refused."""
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    result = nostro("key", "import", "carol", file)
    assert result.exit_code == Exit.ERROR
    assert "private key" in result.stderr


def test_import_of_a_missing_file(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """A file that isn't there is named."""
    result = nostro("key", "import", "carol", tmp_path / "none.pem")
    assert result.exit_code == Exit.ERROR
    assert "none.pem: no such file" in result.stderr


def test_export(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """The file holds the key, its owner alone may read it, and the person is warned."""
    file = tmp_path / "alice.pem"
    result = nostro("key", "export", "alice", "--out", file, "--json")
    assert document(result) == {"alias": "alice", "file": str(file), "encrypted": False}
    assert public_bytes(import_private_key(file.read_bytes())) == keystore.public_keys()["alice"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "unencrypted" in result.stderr


def test_export_encrypted(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """With a passphrase the file opens with it alone."""
    file, secret = tmp_path / "alice.pem", tmp_path / "secret"
    secret.write_text("for transport\n")
    result = nostro("key", "export", "alice", "--out", file, "--out-passphrase-file", secret)
    assert result.exit_code == 0
    assert "unencrypted" not in result.stderr
    private_key = import_private_key(file.read_bytes(), "for transport")
    assert public_bytes(private_key) == keystore.public_keys()["alice"]


def test_export_never_overwrites(nostro: Nostro, keystore: Keystore, tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    file = tmp_path / "alice.pem"
    file.write_text("precious")
    result = nostro("key", "export", "alice", "--out", file)
    assert result.exit_code == Exit.ERROR
    assert file.read_text() == "precious"
