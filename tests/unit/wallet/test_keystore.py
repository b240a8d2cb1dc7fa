"""The keystore: real files, real scrypt (its real cost in one test, the least cost in the others)."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.keys import public_bytes
from wallet import keystore_file
from wallet.derive import derive_key
from wallet.errors import (
    AliasMalformed,
    AliasTaken,
    AliasUnknown,
    KeystoreChanged,
    KeystoreExists,
    KeystoreFull,
    KeystoreMalformed,
    KeystoreMissing,
    PassphraseUnfit,
    WrongPassphrase,
)
from wallet.keystore import Keystore, create_keystore, open_keystore, read_public_keys
from wallet.keystore_file import LEAST_SCRYPT_N, MOST_KEYS, ScryptCost

QUICK = ScryptCost(n=LEAST_SCRYPT_N)
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(8, ec.SECP256R1())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def quick_keystore(path: Path, **keys: ec.EllipticCurvePrivateKey) -> Keystore:
    keystore = create_keystore(path, "passphrase", QUICK)
    keystore.add_all(keys)
    return keystore


def edit(path: Path, *place: str | int, to: object) -> None:
    """Change one field of the file, as somebody with an editor would."""
    document = json.loads(path.read_bytes())
    parent = document
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = to
    path.write_text(json.dumps(document))


def test_real_cost(path: Path) -> None:
    """At the default cost (n = 2**17) a key that was added is there when the file is opened again."""
    create_keystore(path, "correct horse").add("teller", KEY)
    assert json.loads(path.read_bytes())["header"]["cost"] == {"n": 131_072, "r": 8, "p": 1}
    opened = open_keystore(path, "correct horse")
    assert opened.private_key("teller").private_numbers() == KEY.private_numbers()


ALIASES = st.from_regex(keystore_file.ALIAS, fullmatch=True)
PASSPHRASES = st.text(min_size=1, max_size=40)


@settings(max_examples=10, deadline=None)
@given(PASSPHRASES, st.dictionaries(ALIASES, st.integers(1, 2**256 - 2**225), max_size=4))
def test_round_trip(passphrase: str, scalars: dict[str, int]) -> None:
    """Whatever the passphrase and the keys, what was kept is what is opened."""
    keys = {alias: ec.derive_private_key(scalar, ec.SECP256R1()) for alias, scalar in scalars.items()}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "keys.json"
        create_keystore(path, passphrase, QUICK).add_all(keys)
        opened = open_keystore(path, passphrase)
        assert opened.public_keys() == {alias: public_bytes(key) for alias, key in keys.items()}
        assert list(opened.public_keys()) == sorted(keys)
        for alias, key in keys.items():
            assert opened.private_key(alias).private_numbers() == key.private_numbers()


def test_wrong_passphrase(path: Path) -> None:
    """Another passphrase is refused, by name of the file and with what to do."""
    quick_keystore(path, a=KEY)
    with pytest.raises(WrongPassphrase, match=r"keys\.json.*Check the passphrase"):
        open_keystore(path, "Passphrase")


def test_passphrase_in_either_unicode_form(path: Path) -> None:
    """A letter typed as one code point or as two opens the same keystore."""
    create_keystore(path, "caf\u00e9", QUICK)
    assert open_keystore(path, "cafe\u0301").public_keys() == {}


@pytest.mark.parametrize("passphrase", ["", "x" * 1_025, "\u00e9" * 513])
def test_unfit_passphrase(path: Path, passphrase: str) -> None:
    """An empty passphrase, or one over 1,024 bytes, makes no keystore."""
    with pytest.raises(PassphraseUnfit):
        create_keystore(path, passphrase, QUICK)
    assert not path.exists()


def test_longest_passphrase(path: Path) -> None:
    """1,024 bytes are allowed."""
    create_keystore(path, "x" * 1_024, QUICK)
    assert open_keystore(path, "x" * 1_024).public_keys() == {}


def test_file_is_private(path: Path) -> None:
    """Only the owner may read the file, whatever the umask, and no temporary file is left."""
    before = os.umask(0)
    try:
        quick_keystore(path, a=KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".keys.json.lock", "keys.json"]


def test_private_keys_are_not_in_the_file(path: Path) -> None:
    """The scalar stands in the file in no form; the alias and the public key do."""
    scalar = KEY.private_numbers().private_value
    quick_keystore(path, a=KEY)
    text = path.read_text()
    assert f"{scalar:064x}" not in text
    assert read_public_keys(path) == {"a": public_bytes(KEY)}


def test_create_never_overwrites(path: Path) -> None:
    """A second create leaves the first keystore as it is."""
    quick_keystore(path, a=KEY)
    before = path.read_bytes()
    with pytest.raises(KeystoreExists):
        create_keystore(path, "passphrase", QUICK)
    assert path.read_bytes() == before


def test_missing(path: Path) -> None:
    """A path without a file is said to be missing, opened or read."""
    with pytest.raises(KeystoreMissing):
        open_keystore(path, "passphrase")
    with pytest.raises(KeystoreMissing):
        read_public_keys(path)


def test_rename_and_remove(path: Path) -> None:
    """A key keeps its value through a rename, and is gone after a remove."""
    keystore = quick_keystore(path, a=KEY, b=OTHER_KEY)
    keystore.rename("a", "c")
    keystore.remove("b")
    opened = open_keystore(path, "passphrase")
    assert opened.public_keys() == keystore.public_keys() == {"c": public_bytes(KEY)}


def test_alias_errors(path: Path) -> None:
    """Taken, unknown and malformed aliases are refused, and the file stays as it was."""
    keystore = quick_keystore(path, a=KEY, b=OTHER_KEY)
    before = path.read_bytes()
    with pytest.raises(AliasTaken):
        keystore.add("a", OTHER_KEY)
    with pytest.raises(AliasTaken):
        keystore.rename("a", "b")
    with pytest.raises(AliasUnknown):
        keystore.rename("z", "y")
    with pytest.raises(AliasUnknown):
        keystore.remove("z")
    with pytest.raises(AliasUnknown):
        keystore.private_key("z")
    with pytest.raises(AliasMalformed):
        keystore.rename("a", "A")
    with pytest.raises(AliasTaken):
        keystore.add_all({"new": KEY, "b": KEY})
    assert path.read_bytes() == before


@pytest.mark.parametrize("alias", ["a", "0", "a" * 64, "a.b_c-d"])
def test_alias_taken_in(alias: str) -> None:
    """One to 64 characters, the first a letter or a digit."""
    keystore_file.check_alias(alias)


@pytest.mark.parametrize("alias", ["", "a" * 65, "A", ".a", "a b", "é", "a\n"])
def test_alias_refused(alias: str) -> None:
    """Anything else is no alias."""
    with pytest.raises(AliasMalformed):
        keystore_file.check_alias(alias)


def test_most_keys(path: Path) -> None:
    """10,000 keys open with one scrypt; one more is refused."""
    keystore = create_keystore(path, "passphrase", QUICK)
    keystore.add_all({f"k{n}".ljust(64, "x"): derive_key(KEY, str(n)) for n in range(MOST_KEYS)})
    opened = open_keystore(path, "passphrase")
    assert len(opened.public_keys()) == MOST_KEYS
    with pytest.raises(KeystoreFull):
        opened.add("one-more", OTHER_KEY)


def test_two_programs(path: Path) -> None:
    """A change by another program is not overwritten, so the key that it added isn't lost."""
    first = quick_keystore(path, a=KEY)
    open_keystore(path, "passphrase").add("b", OTHER_KEY)
    with pytest.raises(KeystoreChanged):
        first.add("c", OTHER_KEY)
    assert set(read_public_keys(path)) == {"a", "b"}
    assert set(first.public_keys()) == {"a"}


def test_every_write_has_its_own_nonce(path: Path) -> None:
    """A nonce used twice with one key would give the keys away."""
    keystore = create_keystore(path, "passphrase", QUICK)
    nonces = {json.loads(path.read_bytes())["header"]["nonce"]}
    for n in range(5):
        keystore.add(f"k{n}", KEY)
        nonces.add(json.loads(path.read_bytes())["header"]["nonce"])
    assert len(nonces) == 6


def test_change_passphrase(path: Path) -> None:
    """The new passphrase opens, the old doesn't, and the open keystore can still write."""
    keystore = quick_keystore(path, a=KEY)
    keystore.change_passphrase("another", QUICK)
    keystore.add("b", OTHER_KEY)
    with pytest.raises(WrongPassphrase):
        open_keystore(path, "passphrase")
    assert set(open_keystore(path, "another").public_keys()) == {"a", "b"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("header", "keys", 0, "alias"), "aa"),
        (("header", "keys", 0, "public_key"), public_bytes(OTHER_KEY).hex()),
        (("header", "cost", "n"), LEAST_SCRYPT_N * 2),
        (("header", "nonce"), "AAAAAAAAAAAAAAAA"),
        (("ciphertext",), "A" * 64),
    ],
)
def test_tampering_is_found(path: Path, place: tuple[str | int, ...], value: object) -> None:
    """A changed alias, public key, cost, nonce or ciphertext: the file no longer opens."""
    quick_keystore(path, a=KEY)
    edit(path, *place, to=value)
    with pytest.raises(WrongPassphrase):
        open_keystore(path, "passphrase")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("header", "cost", "n"), 2**21),
        (("header", "cost", "n"), 2**9),
        (("header", "cost", "n"), 2**17 + 2),
        (("header", "cost", "n"), 0),
        (("header", "cost", "r"), 9),
        (("header", "cost", "p"), 5),
        (("header", "cost", "p"), 0),
        (("header", "salt"), "AAAA"),
        (("header", "nonce"), "AAAA"),
        (("header", "version"), 2),
        (("header", "format"), "other"),
        (("header", "kdf"), "argon2"),
        (("header", "unknown"), 1),
        (("header", "keys", 0, "alias"), "A"),
        (("header", "keys", 0, "alias"), "b"),
        (("header", "keys", 0, "alias"), "z"),
        (("header", "keys", 0, "public_key"), "04"),
        (("header", "keys"), []),
        (("ciphertext",), ""),
    ],
)
def test_out_of_bounds(path: Path, place: tuple[str | int, ...], value: object) -> None:
    """Fields out of bounds are refused before any work is done with them (a huge n would take the memory)."""
    quick_keystore(path, a=KEY, b=OTHER_KEY)
    edit(path, *place, to=value)
    with pytest.raises(KeystoreMalformed, match=r"keys\.json"):
        open_keystore(path, "passphrase")


@pytest.mark.parametrize("cost", [ScryptCost(n=2**10), ScryptCost(n=2**20), ScryptCost(p=4)])
def test_cost_bounds_are_allowed(cost: ScryptCost) -> None:
    """The least and the most are within bounds (and not tried here: the most takes 1 GiB)."""
    keystore_file.check_cost(cost)


def test_not_a_keystore(path: Path) -> None:
    """Other files, empty, half or too long, are refused as what they are."""
    quick_keystore(path, a=KEY)
    whole = path.read_bytes()
    for data in (
        b"",
        b"{}",
        whole[: len(whole) // 2],
        b"\xff\xfe",
        b" " * (keystore_file.MOST_FILE_BYTES + 1),
    ):
        path.write_bytes(data)
        with pytest.raises(KeystoreMalformed):
            open_keystore(path, "passphrase")


def test_longest_file(path: Path) -> None:
    """A file of exactly the most bytes is read."""
    quick_keystore(path, a=KEY)
    path.write_bytes(path.read_bytes().ljust(keystore_file.MOST_FILE_BYTES))
    assert set(open_keystore(path, "passphrase").public_keys()) == {"a"}


def test_mismatched_pair(path: Path) -> None:
    """A scalar kept with another key's public key (a faulty writer) is not handed out."""
    file_key = keystore_file.derive_file_key("passphrase", bytes(16), QUICK)
    for scalar in (bytes(32), (8).to_bytes(32)):
        file = keystore_file.seal(file_key, bytes(16), bytes(12), QUICK, {"a": (public_bytes(KEY), scalar)})
        path.write_bytes(keystore_file.encode(file))
        with pytest.raises(KeystoreMalformed, match="doesn't belong"):
            open_keystore(path, "passphrase").private_key("a")


def test_crash_before_rename_leaves_the_old_file(path: Path) -> None:
    """Where the directory can't take the new file, the old one stays and memory stays with it."""
    keystore = quick_keystore(path, a=KEY)
    elsewhere = path.parent / "gone"
    path.rename(elsewhere)
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        keystore.add("b", OTHER_KEY)
    assert set(keystore.public_keys()) == set(read_public_keys(elsewhere)) == {"a"}


def test_repr_shows_no_key(path: Path) -> None:
    """A keystore in a log line shows its path and its number of keys."""
    assert repr(quick_keystore(path, a=KEY)) == f"Keystore({str(path)!r}, 1 keys)"
