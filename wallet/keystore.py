"""A person's keys in one encrypted file: opened with a passphrase once, then many keys by alias.

It keeps the file's promises (never half written, never overwritten unseen, private to its owner); the format
is keystore_file's. It must not know the network or what the keys sign.
Python can't erase memory: while a Keystore lives, its private keys are in the process's memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.keys import public_bytes
from wallet import keystore_file
from wallet.atomic_file import locked, read_bounded, write_private
from wallet.errors import (
    AliasTaken,
    AliasUnknown,
    KeystoreChanged,
    KeystoreExists,
    KeystoreFull,
    KeystoreMalformed,
    KeystoreMissing,
)
from wallet.keystore_file import DEFAULT_COST, MOST_FILE_BYTES, MOST_KEYS, NONCE_BYTES, SALT_BYTES, ScryptCost

RandomBytes = Callable[[int], bytes]


def read_public_keys(path: Path) -> dict[str, bytes]:
    """Alias to 65-byte public key, without the passphrase: for showing, and not authentic until opened.

    Raises KeystoreMissing, KeystoreMalformed.
    """
    file = _read(path)
    return {entry.alias: bytes.fromhex(entry.public_key) for entry in file.header.keys}


def create_keystore(
    path: Path, passphrase: str, cost: ScryptCost = DEFAULT_COST, random_bytes: RandomBytes = os.urandom
) -> Keystore:
    """A new keystore without keys, written to `path`. Raises KeystoreExists, PassphraseUnfit."""
    keystore_file.check_cost(cost)
    salt = random_bytes(SALT_BYTES)
    file_key = keystore_file.derive_file_key(passphrase, salt, cost)
    file = keystore_file.seal(file_key, salt, random_bytes(NONCE_BYTES), cost, {})
    with locked(path):
        if path.exists():
            raise KeystoreExists(
                f"{path} is there already.", "Choose another path, or add keys to that keystore."
            )
        write_private(path, keystore_file.encode(file))
    return Keystore(path, file, file_key, {}, random_bytes)


def open_keystore(path: Path, passphrase: str, random_bytes: RandomBytes = os.urandom) -> Keystore:
    """The keystore at `path`, at the cost of one scrypt however many keys it holds.

    Raises KeystoreMissing, KeystoreMalformed, PassphraseUnfit, WrongPassphrase.
    """
    file = _read(path)
    file_key = keystore_file.derive_file_key(passphrase, file.header.salt, file.header.cost)
    keys = keystore_file.unseal(file, file_key, str(path))
    return Keystore(path, file, file_key, keys, random_bytes)


class Keystore:
    """An open keystore. Each change is on disk when its method returns; made by create_ or open_keystore."""

    def __init__(
        self,
        path: Path,
        file: keystore_file.KeystoreFile,
        file_key: bytes,
        keys: Mapping[str, tuple[bytes, bytes]],
        random_bytes: RandomBytes,
    ) -> None:
        self.path = path
        self._file = file
        self._file_key = file_key
        self._keys = dict(keys)
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"Keystore({str(self.path)!r}, {len(self._keys)} keys)"

    def public_keys(self) -> dict[str, bytes]:
        """Alias to 65-byte public key, by alias."""
        return {alias: self._keys[alias][0] for alias in sorted(self._keys)}

    def private_key(self, alias: str) -> ec.EllipticCurvePrivateKey:
        """The key of `alias`. Raises AliasUnknown; KeystoreMalformed where it isn't the public key's."""
        public_key, scalar = self._entry(alias)
        try:
            key = ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1())
        except ValueError as error:
            raise self._mismatch(alias) from error
        if public_bytes(key) != public_key:
            raise self._mismatch(alias)
        return key

    def add(self, alias: str, key: ec.EllipticCurvePrivateKey) -> None:
        """Keep `key` as `alias`. Raises AliasMalformed, AliasTaken, KeystoreFull, KeystoreChanged."""
        self.add_all({alias: key})

    def add_all(self, keys: Mapping[str, ec.EllipticCurvePrivateKey]) -> None:
        """Keep all of `keys`, or none where one can't be, in one write. Raises as `add` does."""
        for alias in keys:
            keystore_file.check_alias(alias)
            self._check_free(alias)
        if len(self._keys) + len(keys) > MOST_KEYS:
            raise KeystoreFull(
                f"{self.path} has {len(self._keys):,} of {MOST_KEYS:,} keys; {len(keys):,} more don't fit.",
                "Use a second keystore, or derive customers' keys from one (wallet/derive.py).",
            )
        self._write({**self._keys, **{alias: _parts(key) for alias, key in keys.items()}})

    def remove(self, alias: str) -> None:
        """Forget a key for ever, unless a backup has it. Raises AliasUnknown, KeystoreChanged."""
        self._entry(alias)
        self._write({other: parts for other, parts in self._keys.items() if other != alias})

    def rename(self, alias: str, new_alias: str) -> None:
        """Raises AliasUnknown, AliasMalformed, AliasTaken, KeystoreChanged."""
        parts = self._entry(alias)
        keystore_file.check_alias(new_alias)
        self._check_free(new_alias)
        kept = {other: its for other, its in self._keys.items() if other != alias}
        self._write({**kept, new_alias: parts})

    def change_passphrase(self, passphrase: str, cost: ScryptCost = DEFAULT_COST) -> None:
        """Encrypt the same keys under another passphrase and salt. Old copies still open with the old one."""
        salt = self._random_bytes(SALT_BYTES)
        file_key = keystore_file.derive_file_key(passphrase, salt, cost)
        self._replace(keystore_file.seal(file_key, salt, self._random_bytes(NONCE_BYTES), cost, self._keys))
        self._file_key = file_key

    def _write(self, keys: Mapping[str, tuple[bytes, bytes]]) -> None:
        header = self._file.header
        nonce = self._random_bytes(NONCE_BYTES)
        self._replace(keystore_file.seal(self._file_key, header.salt, nonce, header.cost, keys))
        self._keys = dict(keys)

    def _replace(self, file: keystore_file.KeystoreFile) -> None:
        with locked(self.path):
            # A blind write would lose for ever the keys that another program added meanwhile.
            if _read(self.path) != self._file:
                raise KeystoreChanged(
                    f"Another program changed {self.path} after it was opened here; nothing was written.",
                    "Open it again and repeat the change.",
                )
            write_private(self.path, keystore_file.encode(file))
        self._file = file

    def _entry(self, alias: str) -> tuple[bytes, bytes]:
        if alias not in self._keys:
            raise AliasUnknown(f"{self.path} has no key {alias!r}.", "List its keys to see their aliases.")
        return self._keys[alias]

    def _check_free(self, alias: str) -> None:
        if alias in self._keys:
            raise AliasTaken(
                f"{self.path} has a key {alias!r} already.", "Choose another alias, or rename that key."
            )

    def _mismatch(self, alias: str) -> KeystoreMalformed:
        return KeystoreMalformed(
            f"The private key of {alias!r} in {self.path} doesn't belong to the public key kept with it.",
            "The program that wrote it was at fault: don't use that key, restore the file from a backup.",
        )


def _parts(key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    scalar = key.private_numbers().private_value.to_bytes(keystore_file.SCALAR_BYTES)
    return public_bytes(key), scalar


def _read(path: Path) -> keystore_file.KeystoreFile:
    try:
        data = read_bounded(path, MOST_FILE_BYTES)
    except FileNotFoundError as error:
        raise KeystoreMissing(
            f"There is no keystore at {path}.", "Check the path, or create one there."
        ) from error
    if data is None:
        raise KeystoreMalformed(
            f"{path} is longer than {MOST_FILE_BYTES:,} bytes, so it is not a keystore.", "Check the path."
        )
    return keystore_file.decode(data, str(path))
