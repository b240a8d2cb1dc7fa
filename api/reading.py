"""What every read does alike: its query, the height it answers from, the form of its answer, and caching.

Must not know what is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api.limits import (
    DEFAULT_PAGE,
    DEFAULT_TIMEOUT_MS,
    MAX_HEIGHT,
    MAX_PAGE,
    MAX_TIMEOUT_MS,
    MIN_PAGE,
    MIN_TIMEOUT_MS,
)
from api.ports import Host, Position
from api.problems import HEIGHT_NOT_REACHED, NOT_ACCEPTABLE, RETIRED, RequestProblem

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
REVALIDATE: Final = "no-cache"

_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


class Consistency(StrEnum):
    """Whether a read answers from what this node has, or first asks a majority whether that is the newest."""

    LOCAL = "local"
    STRONG = "strong"


class ReadQuery(BaseModel):
    """The query that every read takes. Anything else in a query is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_height: int = Field(
        0, ge=0, le=MAX_HEIGHT, description="Wait until the node has executed at least this height."
    )
    consistency: Consistency = Field(
        Consistency.LOCAL, description="`strong` makes the read linearizable; it needs a majority of nodes."
    )
    timeout_ms: int = Field(
        DEFAULT_TIMEOUT_MS,
        ge=MIN_TIMEOUT_MS,
        le=MAX_TIMEOUT_MS,
        description="How long to wait for `min_height`, a majority or a certificate, in milliseconds.",
    )


class PaymentQuery(ReadQuery):
    """A read of a transaction by id."""

    author: str | None = Field(
        None,
        description="The author: an account's address or a member's id. Needed where several used the id.",
    )


class HistoryQuery(ReadQuery):
    """A page of an account's history."""

    cursor: str | None = Field(None, description="`next` of the page before.")
    limit: int = Field(DEFAULT_PAGE, ge=MIN_PAGE, le=MAX_PAGE, description="Entries on the page.")


class BlocksQuery(ReadQuery):
    """A page of blocks."""

    before: int | None = Field(
        None, ge=1, le=MAX_HEIGHT, description="Blocks below this height; `next` of the page before."
    )
    limit: int = Field(DEFAULT_PAGE, ge=MIN_PAGE, le=MAX_PAGE, description="Blocks on the page.")


async def ready(request: Request, query: ReadQuery) -> Host:
    """The host, once it has what the query asks to wait for; notes the position that the answer is as new as.

    Raises NoQuorum from the host, and a RequestProblem where the height doesn't come in time, or where the
    node is retired: it would answer from the day it was let go, and clients stay with a node that answers.
    """
    host: Host = request.app.state.host
    if host.is_retired():
        request.state.position = host.position()
        raise RequestProblem(RETIRED, f"This node hears of no block after {host.position().height}.")
    if query.consistency is Consistency.STRONG:
        await host.read_barrier(query.timeout_ms)
    position = host.position()
    if position.height < query.min_height:
        reached = await host.wait_for_height(query.min_height, query.timeout_ms)
        position = host.position()
        if not reached:
            request.state.position = position
            raise RequestProblem(
                HEIGHT_NOT_REACHED,
                f"Height {query.min_height} was not executed within {query.timeout_ms} ms; "
                f"this node is at {position.height}.",
            )
    request.state.position = position
    return host


def position_headers(position: Position) -> dict[str, str]:
    """The headers that say how new an answer is: the height, and that block's time in ms since 1970."""
    return {"Ledger-Height": str(position.height), "Ledger-Time": str(position.time_ms)}


def answer(request: Request, value: object, *, tag: str = "", cache: str = REVALIDATE) -> Response:
    """The JSON answer of a read, of the position noted by `ready`."""
    negotiate(request, (JSON,))
    return send(request, msgspec.json.encode(value), JSON, tag=tag, cache=cache)


def send(request: Request, body: bytes, media: str, *, tag: str = "", cache: str = REVALIDATE) -> Response:
    """The answer of a read in a given form, or 304 where the client has it by its strong entity tag."""
    headers = {**position_headers(request.state.position), "Cache-Control": cache}
    if not tag:
        return Response(body, 200, headers, media)
    headers["ETag"] = f'"{tag}"'
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(None, 304, headers)
    return Response(body, 200, headers, media)


def _matches(condition: str | None, tag: str) -> bool:
    if condition is None:
        return False
    return condition.strip() == "*" or tag in _ENTITY_TAG.findall(condition)


def negotiate(request: Request, offered: Sequence[str]) -> str:
    """The offered media type that the Accept header likes best; raises 406 where it takes none."""
    accept = request.headers.get("accept", "*/*")
    if accept == "*/*":
        return offered[0]
    ranges = _accept_ranges(accept)
    quality, best = max(((_quality(ranges, media), -place) for place, media in enumerate(offered)))
    if quality <= 0:
        raise RequestProblem(NOT_ACCEPTABLE, f"The answer comes as {' or '.join(offered)}.")
    return offered[-best]


def _accept_ranges(accept: str) -> Mapping[str, float]:
    ranges: dict[str, float] = {}
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = _number(parameter[2:])
        ranges[media] = quality
    return ranges


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 0.0


def _quality(ranges: Mapping[str, float], media: str) -> float:
    for found in (media, media.partition("/")[0] + "/*", "*/*"):
        if found in ranges:
            return ranges[found]
    return 0.0
