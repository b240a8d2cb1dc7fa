"""The address book: names for accounts, and which key signs for those that are one's own.

One JSON file beside the keystore. It holds nothing secret and nothing that the ledger relies upon: an address
has its own checksum. It must not know keys or the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A larger file is some other file.
BOOK_BYTES = 16 * 1024 * 1024
NAME_LENGTH = 64


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account by name. `key` is the alias that signs for it, for one's own accounts."""

    address: str
    asset: str | None = None
    member: str | None = None
    key: str | None = None


class _Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    accounts: dict[str, Entry]


def read(path: Path) -> dict[str, Entry]:
    """The entries by name; a book that doesn't exist yet is empty."""
    try:
        with path.open("rb") as file:
            data = file.read(BOOK_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(data) > BOOK_BYTES:
        raise _malformed(path, f"it has over {BOOK_BYTES:,} bytes")
    try:
        return msgspec.json.decode(data, type=_Book).accounts
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(path, str(error)) from error


def add(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write the entries into the book, which is made where it doesn't exist; a name taken is an error."""
    from wallet.atomic_file import locked, write_private

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path):
        known = read(path)
        for name in entries:
            check_free(path, known, name)
        book = _Book(1, {**known, **entries})
        write_private(path, msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n")


def check_free(path: Path, known: Mapping[str, Entry], name: str) -> None:
    """Raise CommandError where the book can't take the name."""
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable() or " " in name:
        raise CommandError(
            f"{name!r} can't name an account.",
            f"Use 1 to {NAME_LENGTH} characters without spaces.",
            Exit.USAGE,
        )
    if name in known:
        raise CommandError(f"{path} has an account {name!r} already.", "Choose another name with --name.")


def resolve(path: Path, text: str) -> str:
    """An address as it was written, or the address of a name in the book."""
    if looks_like_address(text):
        return text
    entry = read(path).get(text)
    if entry is None:
        raise CommandError(
            f"{text!r} is neither an address nor a name in {path}.",
            "Give the account's address (such as nostrodev1...), or one of `nostro account list`.",
            Exit.NOT_FOUND,
        )
    return entry.address


def looks_like_address(text: str) -> bool:
    """True for text with bech32m's shape: letters, then 1, then at least 39 characters with the checksum."""
    prefix, separator, rest = text.lower().rpartition("1")
    return bool(separator) and prefix.isalpha() and len(rest) >= 39 and rest.isalnum()


def account_of_key(path: Path, alias: str) -> tuple[str, Entry]:
    """The one account that a key signs for; where it has none or several, the error says what to give."""
    own = [(name, entry) for name, entry in read(path).items() if entry.key == alias]
    if len(own) == 1:
        return own[0]
    if not own:
        raise CommandError(
            f"The address book {path} has no account for the key {alias!r}.",
            "Name the account to pay from with --account ADDRESS, or open one with `nostro account open`.",
            Exit.NOT_FOUND,
        )
    names = ", ".join(name for name, _ in own[:8])
    raise CommandError(
        f"The key {alias!r} signs for {len(own)} accounts ({names}).", "Name one with --account.", Exit.USAGE
    )


def _malformed(path: Path, fault: str) -> CommandError:
    return CommandError(
        f"{path} is not an address book: {fault}.", "Restore it from a backup, or move it away to begin anew."
    )
