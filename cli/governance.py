"""What the members decide together: one transaction that a majority of them signs.

With the folder of a network on this machine their admin keys are in it and sign at once; else the signers are
named, and `--out` writes a file that goes from bank to bank. It must not know what is decided.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli import network_folder, output
from cli.connection import Connection, connection_options
from cli.errors import CommandError
from cli.exits import Exit
from cli.transact import Ending, build, carry_out, new_id, show, transact
from cli.transact_options import Options, transact_options
from cli.wallet_files import WalletFiles, wallet_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from cli.names import NetworkNames
    from cli.transact import Wish
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
    make: Callable[[Client, NetworkNames, bytes], Awaitable[Wish]],
) -> None:
    """Carry out what `make` wishes with the signatures of these keys, or of the folder's members."""
    if signers:
        transact(connection, wallet, options, signers, make)
        return
    network, passphrase = _folder(connection, wallet)

    async def run() -> Ending:
        from cli.names import from_node
        from ledger.keys import public_bytes
        from wallet.payment import sign_draft

        async with connection.client() as client:
            names, tx_id = await from_node(client), new_id()
            wish = await make(client, names, tx_id)
            keys = _admin_keys(network, passphrase, [member.id for member in await client.members()])
            draft = build(names, tx_id, wish, [public_bytes(key) for key in keys], options.valid_minutes)
            if options.out is not None:
                return Ending(wish, draft)
            for key in keys:
                draft = sign_draft(draft, key)
            return await carry_out(client, wallet, options, wish, draft)

    show(asyncio.run(run()), options)


async def first_member(client: Client) -> bytes:
    """The member in whose name a decision is asked for, where nobody says in whose."""
    members = await client.members()
    return members[0].id.encode()


def _folder(connection: Connection, wallet: WalletFiles) -> tuple[ProvisionedNetwork, str]:
    """The network's folder and what opens its keystores; a network for development carries its passphrase."""
    from node.provision import load_network

    if connection.folder is None:
        raise CommandError(
            "Nobody signs: no key was named, and there is no folder of the network with its members' keys.",
            "Name the admin keys of more than half of the members with --signer; --out writes a file.",
            Exit.USAGE,
        )
    network = load_network(connection.folder)
    beside = connection.folder / network_folder.WALLET_FOLDER / network_folder.PASSPHRASE_NAME
    given = wallet.passphrase_file
    if given is None and network.development and beside.is_file():
        given = beside
    return network, WalletFiles(network.keystore(network.members[0].id), given).passphrase()


def _admin_keys(
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
