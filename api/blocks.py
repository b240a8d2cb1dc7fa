"""Reads of blocks and certificates. A block never changes once executed, so its answers may be kept for ever.

Must not know what the transactions in a block mean.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.documented import documented
from api.ports import BlockView, Host
from api.problems import BLOCK_PRUNED, NOT_FOUND, RequestProblem
from api.reading import (
    IMMUTABLE,
    JSON,
    MSGPACK,
    REVALIDATE,
    BlocksQuery,
    ReadQuery,
    answer,
    negotiate,
    ready,
    send,
)
from api.render import block_shape, certificate_shape, stored_header
from api.shapes import BlockShape, BlocksShape, CertificateShape
from api.text import parse_block

router = APIRouter(prefix="/v1/blocks", tags=["blocks"])


async def _found(request: Request, block: str, query: ReadQuery) -> tuple[BlockView, str]:
    """The block that the path names, and how long the answer may be kept."""
    named = parse_block(block)
    host = await ready(request, query)
    if named is None:
        return await host.block(request.state.position.height), REVALIDATE
    height = await host.height_of_block(named) if isinstance(named, bytes) else named
    return await host.block(height), IMMUTABLE


@router.get("", **documented("listBlocks", BlocksShape, BLOCK_PRUNED))
async def list_blocks(request: Request, query: Annotated[BlocksQuery, Query()]) -> Response:
    """Blocks, newest first."""
    host = await ready(request, query)
    tip = request.state.position.height
    newest = tip if query.before is None else min(tip, query.before - 1)
    oldest = max(1, newest - query.limit + 1)
    blocks = tuple([await _header(host, height) for height in range(newest, oldest - 1, -1)])
    return answer(request, BlocksShape(blocks, oldest if oldest > 1 else None))


async def _header(host: Host, height: int) -> BlockShape:
    return block_shape(stored_header((await host.block(height)).raw))


@router.get("/{block}", **documented("getBlock", BlockShape, NOT_FOUND, BLOCK_PRUNED, cached=True))
async def get_block(request: Request, block: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """A block's header, by height, by hash, or the `latest`."""
    view, cache = await _found(request, block, query)
    found = stored_header(view.raw)
    return answer(request, block_shape(found), tag=found.hash.hex(), cache=cache)


@router.get("/{block}/raw", **documented("getBlockBytes", None, NOT_FOUND, BLOCK_PRUNED, cached=True))
async def get_block_raw(request: Request, block: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """A block whole, in canonical bytes."""
    media = negotiate(request, (MSGPACK,))
    view, cache = await _found(request, block, query)
    return send(request, view.raw, media, tag=stored_header(view.raw).hash.hex(), cache=cache)


@router.get("/{block}/header", **documented("getHeaderBytes", None, NOT_FOUND, BLOCK_PRUNED, cached=True))
async def get_block_header(request: Request, block: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """A block's header in canonical bytes: what the block's hash is of, and what its proposer signed."""
    media = negotiate(request, (MSGPACK,))
    view, cache = await _found(request, block, query)
    found = stored_header(view.raw)
    return send(request, found.raw, media, tag=found.hash.hex(), cache=cache)


@router.get(
    "/{block}/certificate",
    **documented("getCertificate", CertificateShape, NOT_FOUND, BLOCK_PRUNED, also_msgpack=True, cached=True),
)
async def get_certificate(request: Request, block: str, query: Annotated[ReadQuery, Query()]) -> Response:
    """The certificate of a height. Another node's may hold other signatures of the same seal."""
    media = negotiate(request, (MSGPACK, JSON))
    view, _ = await _found(request, block, query)
    if view.certificate is None:
        raise RequestProblem(
            NOT_FOUND, f"Height {view.height} is executed; this node has no certificate of it yet."
        )
    tag = sha256(view.certificate).hexdigest()
    if media == JSON:
        return answer(request, certificate_shape(view, view.certificate), tag=tag)
    return send(request, view.certificate, MSGPACK, tag=tag)
