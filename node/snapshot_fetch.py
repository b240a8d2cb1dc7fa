"""Getting a snapshot from the other nodes, chunk by chunk; what has come stays whatever is interrupted.

Each chunk is checked against the manifest as it comes, and the manifest against genesis; what the chunks hold
is proved by whoever installs them. It must not know stores.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import aiohttp
from msgspec import Meta

from ledger.handovers import Handover
from ledger.parameters import PARAMETER_RANGES
from ledger.snapshot import CHUNK_BYTES, MANIFEST_BYTES, Manifest, decode_manifest, is_chunk
from ledger.snapshot_proof import certified_seal
from node.peer_session import peer_session
from node.ports import Log
from node.snapshot_folder import chunks_of, has_chunk, remove_others
from node.snapshot_server import HEIGHT_PATH, MANIFEST_PATH
from node.tls import node_name
from wallet.atomic_file import write_private
from wallet.connections import Connections

ASK_TIMEOUT_S = 1.0
"""A node that doesn't say its height in this time isn't waited for: a start must not take longer."""
ANSWER_TIMEOUT_S = 30.0
"""For one answer; a chunk has 4 MiB."""
MANIFEST_PATIENCE_S = 600.0
"""How long one node may take to make a snapshot before another is asked, where nothing waits for it."""
STORE_PER_SNAPSHOT = 4
"""A snapshot may take one part in so many of the free disk: a store is made of it beside its chunks."""
BLOCK_BYTES = PARAMETER_RANGES["block_bytes"][1] + 1024 * 1024
"""The longest block that any network allows, with its header and what frames its envelopes."""
MAX_HANDOVERS = 10_000
"""An answer with more hand-overs from genesis isn't read: a change of the voters makes two."""
_LONGEST_ANSWER = max(CHUNK_BYTES, MANIFEST_BYTES, BLOCK_BYTES)

Handovers = Annotated[tuple[Handover, ...], Meta(max_length=MAX_HANDOVERS)]
"""Those of an answer, as many as are read."""
Sleep = Callable[[float], Awaitable[None]]


class PeerFailed(Exception):
    """A node didn't give what it was asked for; the text says which, what and why."""


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What a node answered: the HTTP status, and the body."""

    status: int
    body: bytes


Ask = Callable[[str, str], Awaitable[PeerAnswer]]
"""Asks a node (by id) for a path; raises PeerFailed."""


class PeerClient:
    """Asks over the peers' ports, under this node's certificate. Use it as an asynchronous context."""

    def __init__(
        self, context: ssl.SSLContext, network: str, addresses: Callable[[], Mapping[str, str]]
    ) -> None:
        """`addresses` gives those of the nodes by id."""
        self._context = context
        self._network = network
        self._addresses = addresses

    async def __aenter__(self) -> PeerClient:
        """Open a session."""
        self._session = peer_session(Connections(), ANSWER_TIMEOUT_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._session.close()

    async def ask(self, peer: str, path: str) -> PeerAnswer:
        """What a node answers; raises PeerFailed where it doesn't, or too much, or was let go meanwhile."""
        address = self._addresses().get(peer)
        if address is None:
            raise PeerFailed(f"{peer} isn't asked for {path}: it is no node of the chain now")
        try:
            async with self._session.get(
                f"https://{address}{path}",
                ssl=self._context,
                server_hostname=node_name(peer, self._network),
            ) as response:
                body = await response.content.read(_LONGEST_ANSWER + 1)
                while len(body) <= _LONGEST_ANSWER and (more := await response.content.read(_LONGEST_ANSWER)):
                    body += more
                if len(body) > _LONGEST_ANSWER:
                    raise PeerFailed(f"{peer} answers {path} with more than {_LONGEST_ANSWER} bytes")
                return PeerAnswer(response.status, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PeerFailed(f"{peer} doesn't answer {path}: {str(error) or type(error).__name__}") from error


async def ask_heights(ask: Ask, peers: Iterable[str]) -> dict[str, int]:
    """The executed heights of those nodes that say theirs soon, highest first."""

    async def height_of(peer: str) -> tuple[str, int]:
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                answer = await ask(peer, HEIGHT_PATH)
        except (PeerFailed, TimeoutError):
            return peer, 0
        said = answer.body.decode("ascii", "replace")
        return peer, int(said) if answer.status == 200 and said.isdigit() and len(said) < 19 else 0

    found = await asyncio.gather(*(height_of(peer) for peer in peers))
    return {peer: height for peer, height in sorted(found, key=lambda pair: -pair[1]) if height}


async def fetch(
    ask: Ask,
    peer: str,
    genesis_raw: bytes,
    folder: Path,
    above: int,
    log: Log,
    sleep: Sleep = asyncio.sleep,
    patience_s: float = MANIFEST_PATIENCE_S,
) -> Manifest:
    """Get a node's snapshot, of a height above `above`, into the folder; what is there already is kept.

    The node may take `patience_s` to make it.
    Raises PeerFailed, or SnapshotInvalid for a manifest that proves nothing.
    """
    manifest = await _manifest(ask, peer, sleep, patience_s)
    if manifest.height <= above:
        raise PeerFailed(f"{peer} has a snapshot of height {manifest.height} only")
    if len(manifest.handovers) > MAX_HANDOVERS:
        raise PeerFailed(
            f"{peer} gives {len(manifest.handovers)} hand-overs, at most {MAX_HANDOVERS} are read"
        )
    # Off the loop, as it may take long: a running node's leader must be heard meanwhile.
    await asyncio.to_thread(certified_seal, genesis_raw, manifest)
    await asyncio.to_thread(remove_others, folder, manifest)
    _check_room(folder, manifest)
    log.info("snapshot_fetching", peer=peer, height=manifest.height, bytes=manifest.size_bytes)
    for chunk in chunks_of(manifest):
        if await asyncio.to_thread(has_chunk, folder, chunk):
            continue
        answer = await ask(peer, f"{MANIFEST_PATH}/{manifest.height}/{chunk.name}")
        if answer.status != 200:
            raise PeerFailed(f"{peer} answers {answer.status} for {chunk.name} of height {manifest.height}")
        if not is_chunk(answer.body, chunk.ref):
            raise PeerFailed(f"{peer} sent other bytes for {chunk.name} than its manifest names")
        await asyncio.to_thread(write_private, folder / chunk.name, answer.body)
    return manifest


def _check_room(folder: Path, manifest: Manifest) -> None:
    """A certificate doesn't bind a manifest's chunks: a liar's may name more than any disk holds."""
    free_bytes = shutil.disk_usage(folder).free
    missing_bytes = manifest.size_bytes - sum(file.stat().st_size for file in folder.iterdir())
    if missing_bytes > free_bytes // STORE_PER_SNAPSHOT:
        raise PeerFailed(
            f"the snapshot lacks {missing_bytes} bytes, and {folder} has {free_bytes} free: too few, as a "
            "store is made of it too. Make room on the disk."
        )


async def _manifest(ask: Ask, peer: str, sleep: Sleep, patience_s: float) -> Manifest:
    """The node's manifest; waits while it makes one."""
    waited_s = 0.0
    while True:
        answer = await ask(peer, MANIFEST_PATH)
        if answer.status == 200:
            return await asyncio.to_thread(decode_manifest, answer.body)
        if answer.status != 202 or waited_s >= patience_s:
            raise PeerFailed(f"{peer} gives no snapshot: it answers {answer.status}")
        await sleep(1.0)
        waited_s += 1.0
