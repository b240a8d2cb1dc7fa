"""What a command must know of a network to build a transaction for it: id, name, assets and their decimals.

It comes from a node or from the genesis document. It must not know what is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.json_form import Names
    from wallet.client import Client


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """A network's id and name, and by asset its decimals and its issuer."""

    network_id: bytes
    name: str
    scales: Mapping[str, int]
    issuers: Mapping[str, str]

    @property
    def names(self) -> Names:
        """The same as the ledger's JSON form takes it."""
        return names_of(self.name, self.scales)

    def scale(self, asset: str) -> int:
        """An asset's decimals; CommandError where the network doesn't have it."""
        if asset not in self.scales:
            raise CommandError(
                f"The network {self.name} has no asset {asset!r} (it has: {', '.join(self.scales)}).",
                "Take one of those; `nostro assets` lists them.",
                Exit.NOT_FOUND,
            )
        return self.scales[asset]


def names_of(network_name: str, scales: Mapping[str, int]) -> Names:
    """Names for the ledger's JSON form."""
    from ledger.json_form import Names

    return Names(network_name, scales.get)


def from_genesis(raw: bytes) -> NetworkNames:
    """What a checked genesis document says; assets created later are not in it."""
    from ledger.genesis import decode_genesis, network_id

    genesis = decode_genesis(raw)
    return NetworkNames(
        network_id(raw),
        genesis.name,
        {asset.code: asset.scale for asset in genesis.assets},
        {asset.code: asset.issuer for asset in genesis.assets},
    )


async def from_node(client: Client) -> NetworkNames:
    """What a node says, which the CA vouches for."""
    import asyncio

    from cli.network_id import parse_network_id

    network, assets = await asyncio.gather(client.network(), client.assets())
    return NetworkNames(
        parse_network_id(network.network_id),
        network.name,
        {asset.code: asset.scale for asset in assets},
        {asset.code: asset.issuer for asset in assets},
    )
