"""References of payments: the text that stays with payer and payee, and the salt of its hash on the chain.

Personal data stays off the chain (docs/formats.md, section 2): whoever is shown text and salt can check them
against the hash. It must not know payments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SALT_BYTES = 32
MOST_REFERENCE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Reference:
    """A text, its 32 bytes of salt, and the hash that stands on the chain."""

    text: str
    salt: bytes
    hash: bytes


def make(text: str, random_bytes: Callable[[int], bytes]) -> Reference:
    """A reference under a new salt; CommandError for a text that is empty or too long."""
    from ledger.keys import reference_hash

    data = text.encode("utf-8", "surrogateescape")
    if not 1 <= len(data) <= MOST_REFERENCE_BYTES:
        raise CommandError(
            f"A reference has 1 to {MOST_REFERENCE_BYTES:,} bytes; this one has {len(data):,}.",
            "Shorten it.",
            Exit.USAGE,
        )
    salt = random_bytes(SALT_BYTES)
    return Reference(text, salt, reference_hash(salt, data))


def keep(folder: Path, tx_id: bytes, reference: Reference) -> dict[str, Any]:
    """Write text and salt to a file of the payment's own, and return what a command shows of it."""
    import msgspec

    from wallet.atomic_file import write_private
    from wallet.ids import format_tx_id

    name = format_tx_id(tx_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.reference.json"
    document = {
        "tx_id": name,
        "text": reference.text,
        "salt": reference.salt.hex(),
        "hash": reference.hash.hex(),
    }
    write_private(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return {"reference": str(path)}
