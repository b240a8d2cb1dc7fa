"""Which network's folder a command works with, what it says where there is none, and where genesis is found.

Also the names in the wallet folder that `nostro dev` adds. It must not know what the files hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Where `nostro dev` puts its network, and where every other command looks when it is told nothing else.
DEFAULT_FOLDER = Path("nostro-network")
WALLET_FOLDER = "wallet"
GENESIS_NAME = "genesis.bin"
KEYSTORE_NAME = "keystore.json"
PASSPHRASE_NAME = "passphrase"
ADDRESS_BOOK_NAME = "accounts.json"
PAYMENTS_FOLDER = "payments"

MADE_FOLDER = "The folder of a network made by `nostro dev` or `nostro network new`."
GENESIS_FOLDER = "A network's folder, for its genesis.bin."


def network_option(use: str = MADE_FOLDER) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--network`, as its argument `folder`, with this help."""
    return click.option(
        "--network", "folder", type=click.Path(path_type=Path), envvar="NOSTRO_NETWORK", help=use
    )


def find_folder(given: Path | None) -> Path | None:
    """The folder that was named, else `nostro-network` in the working folder if it is there, else None."""
    if given is not None:
        return given
    return DEFAULT_FOLDER if DEFAULT_FOLDER.is_dir() else None


def find_genesis(given: Path | None, folder: Path | None, beside: Iterable[Path] = ()) -> Path | None:
    """The genesis document: the one that was named, else one that lies in `beside`, else the folder's.

    None where nothing says which network is meant.
    """
    if given is not None:
        return given
    for place in beside:
        if (place / GENESIS_NAME).is_file():
            return place / GENESIS_NAME
    found = find_folder(folder)
    return None if found is None else found / GENESIS_NAME


def no_network(remedy: str) -> CommandError:
    """What to raise where no option names a network and no folder lies here, with the command's remedy."""
    return CommandError(
        f"No network was named, and there is no folder {DEFAULT_FOLDER} here.", remedy, Exit.USAGE
    )


def default_keystore(folder: Path | None) -> Path:
    """The keystore of the network's own wallet where `nostro dev` made one, else the person's."""
    if folder is not None:
        of_network = folder / WALLET_FOLDER / KEYSTORE_NAME
        if of_network.exists():
            return of_network
    return Path(click.get_app_dir("nostro")) / KEYSTORE_NAME
