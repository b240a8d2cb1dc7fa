"""The network id that an offline check trusts: given in hex, or as the hash of a genesis file.

It must not know what is checked against it.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import network_folder
from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

# A larger file is no genesis document.
GENESIS_FILE_BYTES = 16 * 1024 * 1024


def parse_network_id(text: str) -> bytes:
    """The 32 bytes of a network id in hex."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise CommandError(
            f"{text[:80]!r} is not a network id.", "Give its 64 hexadecimal digits.", Exit.USAGE
        )
    return bytes.fromhex(text)


def read_genesis(path: Path) -> bytes:
    """The bytes of a genesis document, which must be one."""
    from ledger.codec import Malformed
    from ledger.genesis import decode_genesis

    with path.open("rb") as file:
        raw = file.read(GENESIS_FILE_BYTES + 1)
    try:
        decode_genesis(raw)
    except Malformed as error:
        raise CommandError(
            f"{path} is not a genesis document: {error}.", "Take genesis.bin from the network's folder."
        ) from error
    return raw


def trusted_id(network_id: str | None, genesis: Path | None, folder: Path | None) -> bytes:
    """The id from the first of the three that was given; the folder's genesis.bin comes last."""
    from ledger.genesis import network_id as hash_of

    if network_id is not None:
        return parse_network_id(network_id)
    found = network_folder.find_genesis(genesis, folder)
    if found is None:
        raise CommandError(
            "Nothing says which network to trust.",
            "Give --network-id HEX, or --genesis FILE, as your bank has it on record.",
            Exit.USAGE,
        )
    return hash_of(read_genesis(found))


def trust_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--network-id`, `--genesis` and `--network`, and the argument `trusted: bytes`."""

    @click.option("--network-id", metavar="HEX", help="The network's id: the root of all trust.")
    @click.option(
        "--genesis", type=click.Path(path_type=Path), help="The genesis document, whose hash is the id."
    )
    @network_folder.network_option(network_folder.GENESIS_FOLDER)
    @functools.wraps(function)
    def wrapper(
        *args: Any, network_id: str | None, genesis: Path | None, folder: Path | None, **kwargs: Any
    ) -> Any:
        trusted = trusted_id(network_id, genesis, folder)
        return function(*args, trusted=trusted, **kwargs)

    return wrapper
