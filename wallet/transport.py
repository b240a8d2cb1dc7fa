"""One HTTP exchange with one node: bounded in time and in size, and honest about what may have been
delivered.

It must not know payments, retries or which node comes next.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import aiohttp
import msgspec

from wallet.connections import Connections
from wallet.endpoints import parse_retry_after

MOST_CONNECTIONS = 64
CONNECT_TIMEOUT_S = 5.0
_READ_BYTES = 64 * 1024


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of any node. `most_bytes` bounds the body of the answer."""

    method: str
    path: str
    accept: str = "application/json"
    query: Mapping[str, str] = {}
    body: bytes | None = None
    media_type: str | None = None
    most_bytes: int = 64 * 1024 * 1024


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a node answered."""

    url: str
    status: int
    media_type: str
    body: bytes
    retry_after_s: float | None


class NotSent(Exception):
    """No connection came about: the node can't have received anything."""


class Lost(Exception):
    """The exchange broke off after the request may have been delivered."""


class Transport:
    """A pool of connections; an asynchronous context manager."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Transport:
        connector = Connections(MOST_CONNECTIONS, self._tls or True)
        # The caller's deadline bounds the whole; this leaves time for other nodes when one swallows packets.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        jar = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, url: str, request: Request, timeout_s: float) -> Reply:
        """Send `request` to the node at `url`. Raises NotSent, Lost (also when the time is over)."""
        if self._session is None:
            raise RuntimeError("The client is not open: use it as `async with Client(...) as client`.")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(self._session, url, request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotSent(f"{url} can't be reached: {error}") from error
        except TimeoutError as error:
            raise Lost(f"{url} didn't answer within {timeout_s:.1f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Lost(f"{url} broke off: {type(error).__name__} {error}") from error

    async def _exchange(self, session: aiohttp.ClientSession, url: str, request: Request) -> Reply:
        # Compressed answers are not asked for: their size is only known once they are unpacked.
        headers = {"Accept": request.accept, "Accept-Encoding": "identity"}
        if request.media_type is not None:
            headers["Content-Type"] = request.media_type
        async with session.request(
            request.method,
            url + request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            allow_redirects=False,
        ) as response:
            return Reply(
                url=url,
                status=response.status,
                media_type=response.content_type,
                body=await _read(response, request.most_bytes),
                retry_after_s=parse_retry_after(response.headers.get("Retry-After")),
            )


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    pieces = bytearray()
    async for piece in response.content.iter_chunked(_READ_BYTES):
        pieces += piece
        if len(pieces) > most_bytes:
            raise ValueError(f"its answer has more than {most_bytes:,} bytes")
    return bytes(pieces)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that trusts the CAs of `ca_file` (PEM) alone, or those of the machine. Raises OSError."""
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
