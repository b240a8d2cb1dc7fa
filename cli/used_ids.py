"""Whether a node's id was ever used, as far as running nodes can tell: a backup may be older than that.

It must not know what is restored, nor from where.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wallet.network_answers import Node

ASK_TIMEOUT_MS = 3_000
_UNUSED = "registered"


def check_unused(node: str, urls: Sequence[str], ca: Path) -> bool:
    """Whether any of the nodes at these URLs answered, and so knows of no part that `node` ever took.

    Raises CommandError where one knows of it, or where a URL is none.
    """
    answers = asyncio.run(_ask(urls, ca))
    for url, nodes in zip(urls, answers, strict=True):
        for known in nodes or ():
            if known.id == node and known.status != _UNUSED:
                raise CommandError(
                    f"The node {node} has taken part in the chain: it is {known.status}, says {url}. What it "
                    "has promised since the backup is not in the backup.",
                    "Let the members register a new node with its own id and key, and restore for that one.",
                )
    return any(nodes is not None for nodes in answers)


async def _ask(urls: Sequence[str], ca: Path) -> list[tuple[Node, ...] | None]:
    return await asyncio.gather(*(_nodes(url, ca) for url in urls))


async def _nodes(url: str, ca: Path) -> tuple[Node, ...] | None:
    """All nodes as one node knows them; None where it doesn't answer, or was let go and won't."""
    from wallet.client import Client
    from wallet.errors import NotReachable, ProtocolError
    from wallet.replies import Refused

    try:
        client = Client([url], ca_file=ca, timeout_ms=ASK_TIMEOUT_MS)
    except ValueError as error:
        raise CommandError(
            str(error), "Correct --url, or api_urls in the configuration.", Exit.USAGE
        ) from error
    async with client:
        try:
            return await client.nodes()
        except (NotReachable, ProtocolError, Refused):
            return None
