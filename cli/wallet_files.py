"""The files on a person's side (keystore, address book, saved payments), and the passphrase.

A passphrase comes from the environment or a file, and is asked for only on a terminal; it is never an
argument, which other users of the machine could read. It must not know any command nor how keys are kept.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import network_folder
from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

    from node.provision import ProvisionedNetwork
    from wallet.keystore import Keystore

# A longer passphrase file is some other file.
PASSPHRASE_FILE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class WalletFiles:
    """Where the keystore is, and beside it the address book and the payments that were saved."""

    keystore: Path
    passphrase_file: Path | None = None

    @property
    def address_book(self) -> Path:
        """The addresses that go by a name."""
        return self.keystore.parent / network_folder.ADDRESS_BOOK_NAME

    @property
    def payments(self) -> Path:
        """The folder of signed payments whose outcome is not certain yet, or that have a reference."""
        return self.keystore.parent / network_folder.PAYMENTS_FOLDER

    def passphrase(self, confirm: bool = False) -> str:
        """The keystore's passphrase; with `confirm` a person types it twice."""
        source = self.passphrase_file or _beside(self.keystore)
        if source is not None:
            return read_passphrase(source)
        text = os.environ.get("NOSTRO_PASSPHRASE")
        if text is not None:
            return text
        return ask_passphrase(f"Passphrase of {self.keystore}", confirm)

    def open(self) -> Keystore:
        """Open the keystore, at the cost of one scrypt (a quarter of a second)."""
        from wallet.keystore import open_keystore, read_public_keys

        # A missing keystore is told of before anybody types a passphrase for it.
        read_public_keys(self.keystore)
        return open_keystore(self.keystore, self.passphrase())

    def private_key(self, alias: str) -> ec.EllipticCurvePrivateKey:
        """One key; an alias that isn't there is told of before the passphrase is asked."""
        self.public_key(alias)
        return self.open().private_key(alias)

    def aliases(self) -> frozenset[str]:
        """The aliases of the keystore's keys; none where there is no keystore."""
        from wallet.keystore import read_public_keys

        return frozenset(read_public_keys(self.keystore)) if self.keystore.exists() else frozenset()

    def public_key(self, alias: str) -> bytes:
        """The 65-byte public key of an alias, without the passphrase."""
        from wallet.keystore import read_public_keys

        keys = read_public_keys(self.keystore)
        if alias not in keys:
            known = ", ".join(list(keys)[:8]) or "none"
            raise CommandError(
                f"{self.keystore} has no key {alias!r} (it has: {known}{', ...' if len(keys) > 8 else ''}).",
                "Take one of those, or make it with `nostro key new`.",
                Exit.NOT_FOUND,
            )
        return keys[alias]


def _beside(keystore: Path) -> Path | None:
    """The passphrase beside the keystore, which only a network for development has."""
    if "NOSTRO_PASSPHRASE" in os.environ:
        return None
    path = keystore.parent / network_folder.PASSPHRASE_NAME
    return path if path.exists() else None


def members_passphrase(network: ProvisionedNetwork, given: Path | None) -> str:
    """What opens the members' keystores in a network's folder: one for development carries its passphrase."""
    beside = network.directory / network_folder.WALLET_FOLDER / network_folder.PASSPHRASE_NAME
    if given is None and network.development and beside.is_file():
        given = beside
    return WalletFiles(network.keystore(network.members[0].id), given).passphrase()


def read_passphrase(path: Path) -> str:
    """The first line of a file, without its end of line."""
    with path.open("rb") as file:
        data = file.read(PASSPHRASE_FILE_BYTES + 1)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line or len(data) > PASSPHRASE_FILE_BYTES:
        raise CommandError(
            f"{path} does not hold a passphrase in its first line.",
            f"Write the passphrase to it as UTF-8 text of at most {PASSPHRASE_FILE_BYTES} bytes.",
        )
    return line


def ask_passphrase(prompt: str, confirm: bool) -> str:
    """Ask a person for a passphrase, on a terminal only."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"{prompt}: none was given, and there is no terminal to ask on.",
            "Name a file with --passphrase-file, or set NOSTRO_PASSPHRASE_FILE or NOSTRO_PASSPHRASE.",
            Exit.USAGE,
        )
    text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def wallet_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--keystore` and `--passphrase-file`, and the argument `wallet: WalletFiles`."""

    @click.option(
        "--keystore",
        type=click.Path(path_type=Path),
        envvar="NOSTRO_KEYSTORE",
        help="The file with your keys.",
    )
    @click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        envvar="NOSTRO_PASSPHRASE_FILE",
        help="A file whose first line is the keystore's passphrase.",
    )
    @functools.wraps(function)
    def wrapper(*args: Any, keystore: Path | None, passphrase_file: Path | None, **kwargs: Any) -> Any:
        given = os.environ.get("NOSTRO_NETWORK")
        connection = kwargs.get("connection")
        folder = (
            connection.folder if connection else network_folder.find_folder(Path(given) if given else None)
        )
        path = keystore or network_folder.default_keystore(folder)
        return function(*args, wallet=WalletFiles(path, passphrase_file), **kwargs)

    return wrapper
