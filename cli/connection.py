"""Which nodes a command talks to, and the options that say so.

It must not know any command, nor how the client retries.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli import network_folder
from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wallet.client import Client

T = TypeVar("T")

# Longer than an election, shorter than a person's patience.
READ_TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options said: URLs and CA go before the network's folder, which gives both."""

    urls: tuple[str, ...]
    ca: Path | None
    folder: Path | None

    def endpoints(self) -> tuple[tuple[str, ...], Path | None]:
        """The nodes' URLs and the CA to trust. Raises CommandError where no network is named."""
        urls, ca = self.urls, self.ca
        if not urls and self.folder is not None:
            from node.provision import load_network

            network = load_network(self.folder)
            urls, ca = network.api_urls, ca or network.ca
        if not urls:
            raise network_folder.no_network(
                "Start one with `nostro dev`, or name one: --network FOLDER, or --url URL with --ca FILE."
            )
        if ca is not None and not ca.is_file():
            raise CommandError(
                f"There is no CA certificate at {ca}.", "Check --ca: a member's folder has ca.pem."
            )
        return urls, ca

    def client(self, timeout_ms: int = READ_TIMEOUT_MS) -> Client:
        """A client of those nodes, to be used with `async with`; every read ends within the time."""
        import ssl

        from wallet.client import Client

        urls, ca = self.endpoints()
        try:
            return Client(urls, ca_file=ca, timeout_ms=timeout_ms)
        except ssl.SSLError as error:
            raise CommandError(
                f"{ca} holds no CA certificate in PEM.", "Check --ca: a member's folder has ca.pem."
            ) from error
        except ValueError as error:
            raise CommandError(str(error), "Correct --url, or NOSTRO_URL.", Exit.USAGE) from error

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Open a client, put one question (or several in one) to it, close it."""
        import asyncio

        async def run() -> T:
            async with self.client() as client:
                return await question(client)

        return asyncio.run(run())


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--ca` and `--network`, and the argument `connection: Connection`."""

    @click.option(
        "--url", "urls", multiple=True, envvar="NOSTRO_URL", help="A node's API; repeat it for more nodes."
    )
    @click.option(
        "--ca",
        type=click.Path(path_type=Path),
        envvar="NOSTRO_CA",
        help="The CA certificate (PEM) that the nodes' certificates come from.",
    )
    @network_folder.network_option()
    @functools.wraps(function)
    def wrapper(
        *args: Any, urls: tuple[str, ...], ca: Path | None, folder: Path | None, **kwargs: Any
    ) -> Any:
        connection = Connection(urls, ca, network_folder.find_folder(folder))
        return function(*args, connection=connection, **kwargs)

    return wrapper
