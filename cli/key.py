"""`nostro key`: make, list, show, import and export the keys of a keystore.

It must not know what the keys sign, nor how the keystore is encrypted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output
from cli.errors import CommandError
from cli.lazy import LazyCommand, LazyGroup
from cli.wallet_files import WalletFiles, ask_passphrase, read_passphrase, wallet_options

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

KEY_COMMANDS = {
    "new": LazyCommand("cli.key:new", "Make a key; the first one makes the keystore."),
    "list": LazyCommand("cli.key:list_keys", "List the keys; needs no passphrase."),
    "show": LazyCommand("cli.key:show", "Show one key; the secret only with --reveal."),
    "import": LazyCommand("cli.key:import_key", "Keep a private key from a PKCS#8 file (PEM or DER)."),
    "export": LazyCommand("cli.key:export_key", "Write a private key to a PKCS#8 file (PEM)."),
}


@click.command(cls=LazyGroup, lazy=KEY_COMMANDS, name="key")
def key() -> None:
    """Make and keep the keys that sign payments."""


@click.command(name="new")
@click.argument("alias")
@wallet_options
@output.json_option
def new(alias: str, wallet: WalletFiles) -> None:
    """Make a key; the first one makes the keystore."""
    from cryptography.hazmat.primitives.asymmetric import ec

    _keep(wallet, alias, ec.generate_private_key(ec.SECP256R1()))


@click.command(name="list")
@wallet_options
@output.json_option
def list_keys(wallet: WalletFiles) -> None:
    """List the keys; needs no passphrase."""
    from wallet.keystore import read_public_keys

    out = output.current()
    keys = read_public_keys(wallet.keystore)
    rows = [(alias, public.hex()) for alias, public in keys.items()]
    document = {
        "keystore": str(wallet.keystore),
        "keys": [{"alias": alias, "public_key": public} for alias, public in rows],
    }
    out.result(document, lambda: out.table(("ALIAS", "PUBLIC KEY"), rows))


@click.command()
@click.argument("alias")
@click.option("--reveal", is_flag=True, help="Print the private key too (PEM). Whoever sees it can pay.")
@wallet_options
@output.json_option
def show(alias: str, reveal: bool, wallet: WalletFiles) -> None:
    """Show one key; the secret only with --reveal."""
    from wallet.pkcs8 import export_private_key

    out = output.current()
    document = {
        "alias": alias,
        "public_key": wallet.public_key(alias).hex(),
        "keystore": str(wallet.keystore),
    }
    if reveal:
        document["private_key_pem"] = export_private_key(wallet.private_key(alias)).decode()

    def human() -> None:
        out.fields((("alias", alias), ("public key", document["public_key"]), ("keystore", wallet.keystore)))
        if reveal:
            out.data(document["private_key_pem"].rstrip())

    out.result(document, human)


@click.command(name="import")
@click.argument("alias")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--file-passphrase-file", type=click.Path(path_type=Path), help="Where FILE is encrypted: its passphrase."
)
@wallet_options
@output.json_option
def import_key(alias: str, file: Path, file_passphrase_file: Path | None, wallet: WalletFiles) -> None:
    """Keep a private key from a PKCS#8 file (PEM or DER)."""
    from wallet.pkcs8 import MOST_PKCS8_BYTES, import_private_key

    with file.open("rb") as opened:
        data = opened.read(MOST_PKCS8_BYTES + 1)
    passphrase = read_passphrase(file_passphrase_file) if file_passphrase_file else None
    if passphrase is None and b"ENCRYPTED" in data and sys.stdin.isatty():
        passphrase = ask_passphrase(f"Passphrase of {file}", confirm=False)
    _keep(wallet, alias, import_private_key(data, passphrase))


@click.command(name="export")
@click.argument("alias")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The file to write; it must not exist."
)
@click.option(
    "--out-passphrase-file",
    type=click.Path(path_type=Path),
    help="Encrypt under this file's first line. PKCS#8 resists guessing badly: for transport only.",
)
@wallet_options
@output.json_option
def export_key(alias: str, out: Path, out_passphrase_file: Path | None, wallet: WalletFiles) -> None:
    """Write a private key to a PKCS#8 file (PEM)."""
    from wallet.pkcs8 import export_private_key

    shown = output.current()
    if out.exists():
        raise CommandError(
            f"{out} is there already.", "Name a file that does not exist; nothing is overwritten."
        )
    passphrase = read_passphrase(out_passphrase_file) if out_passphrase_file else None
    _write_secret(out, export_private_key(wallet.private_key(alias), "pem", passphrase))
    if passphrase is None:
        shown.warn(f"{out} holds the private key unencrypted. Keep it where only you can read it.")
    document = {"alias": alias, "file": str(out), "encrypted": passphrase is not None}
    shown.result(document, lambda: shown.data(str(out)))


def _keep(wallet: WalletFiles, alias: str, private_key: ec.EllipticCurvePrivateKey) -> None:
    """Add a key to the keystore, made where it doesn't exist yet, and say so."""
    from ledger.keys import public_bytes
    from wallet.keystore import create_keystore, read_public_keys
    from wallet.keystore_file import check_alias

    out = output.current()
    check_alias(alias)
    if wallet.keystore.exists():
        if alias in read_public_keys(wallet.keystore):
            raise CommandError(f"{wallet.keystore} has a key {alias!r} already.", "Choose another alias.")
        keystore = wallet.open()
    else:
        passphrase = wallet.passphrase(confirm=True)
        wallet.keystore.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keystore = create_keystore(wallet.keystore, passphrase)
        out.say(
            f"Made the keystore {wallet.keystore}. Its passphrase cannot be recovered: keep it, and a copy."
        )
    keystore.add(alias, private_key)
    public = public_bytes(private_key).hex()
    document = {"alias": alias, "public_key": public, "keystore": str(wallet.keystore)}
    out.result(document, lambda: out.fields((("alias", alias), ("public key", public))))


def _write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on, and that did not exist."""
    import os

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
