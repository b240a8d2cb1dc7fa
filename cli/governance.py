"""What the members decide together: one transaction that a majority of them signs.

With the folder of a network on this machine their admin keys are in it and sign at once; else the signers are
named, and `--out` writes a file that goes from bank to bank. It must not know what is decided.
"""

from __future__ import annotations

import asyncio
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from cli import output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.transact import Ending, Make, Signing, carry_out, show, transact
from cli.transact_options import Options, transact_options
from cli.wallet_files import WalletFiles, members_passphrase, wallet_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from node.provision import ProvisionedNetwork
    from wallet.client import Client


def deciding(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every decision takes: in whose name, who signs, where to, how far."""
    signer = click.option(
        "--signer",
        "signers",
        multiple=True,
        metavar="KEY",
        help="An admin key that signs; repeat it. [default: those of a majority, from the network's folder]",
    )
    by = click.option("--by", metavar="MEMBER", help="The member that asks.  [default: the first of all]")
    return by(signer(connection_options(wallet_options(transact_options(output.json_option(function))))))


def decide(
    connection: Connection,
    wallet: WalletFiles,
    options: Options,
    signers: Sequence[str],
    make: Make,
) -> None:
    """Carry out what `make` wishes with the signatures of these keys, or of the folder's members."""
    if signers:
        transact(connection, wallet, options, signers, make)
        return
    network, passphrase = _folder(connection, wallet)

    async def run() -> Ending:
        async with connection.client() as client:
            keys = admin_keys(network, passphrase, [member.id for member in await client.members()])
            return await carry_out(client, wallet, options, make, _signing(keys))

    show(asyncio.run(run()), options)


def from_height_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a decision the height from which it holds."""
    words = "At least 64 blocks after the decision."
    return click.option("--from-height", type=click.IntRange(1), required=True, help=words)(function)


async def author_of(client: Client, by: str | None) -> bytes:
    """The member in whose name a decision is asked for: the first of all, where nobody says in whose."""
    return ((await client.members())[0].id if by is None else by).encode()


def _folder(connection: Connection, wallet: WalletFiles) -> tuple[ProvisionedNetwork, str]:
    """The network's folder and what opens its keystores."""
    from node.provision import load_network

    if connection.folder is None:
        raise CommandError(
            "Nobody signs: no key was named, and there is no folder of the network with its members' keys.",
            "Name the admin keys of more than half of the members with --signer; --out writes a file.",
            Exit.USAGE,
        )
    network = load_network(connection.folder)
    return network, members_passphrase(network, wallet.passphrase_file)


def _signing(keys: Sequence[ec.EllipticCurvePrivateKey]) -> Signing:
    """How these keys sign, one after the other."""
    from ledger.keys import public_bytes
    from wallet.payment import sign_draft

    return Signing([public_bytes(key) for key in keys], lambda draft: reduce(sign_draft, keys, draft))


def admin_keys(
    network: ProvisionedNetwork, passphrase: str, members: Sequence[str]
) -> list[ec.EllipticCurvePrivateKey]:
    """The admin keys of more than half of the members, as far as the folder has them."""
    from node.provision import ADMIN
    from wallet.keystore import open_keystore

    needed = len(members) // 2 + 1
    held = [member for member in sorted(members) if network.keystore(member).is_file()]
    if len(held) < needed:
        raise CommandError(
            f"{needed} of {len(members)} members must sign, and the folder has the keys of {len(held)}.",
            "Name the keys with --signer and write a file with --out, which the other members sign.",
        )
    return [
        open_keystore(network.keystore(member), passphrase).private_key(ADMIN) for member in held[:needed]
    ]
