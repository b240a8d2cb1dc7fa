"""Which network's folder a command works with, and the names in the wallet folder that `nostro dev` adds.

It must not know what the files hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

# Where `nostro dev` puts its network, and where every other command looks when it is told nothing else.
DEFAULT_FOLDER = Path("nostro-network")
WALLET_FOLDER = "wallet"
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


def default_keystore(folder: Path | None) -> Path:
    """The keystore of the network's own wallet where `nostro dev` made one, else the person's."""
    if folder is not None:
        of_network = folder / WALLET_FOLDER / KEYSTORE_NAME
        if of_network.exists():
            return of_network
    return Path(click.get_app_dir("nostro")) / KEYSTORE_NAME
