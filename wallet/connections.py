"""Connections to nodes of which none outlives the pool that made it.

It must not know what is asked over them.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import weakref

import aiohttp
from aiohttp.client_proto import ResponseHandler

MOST_CONNECTIONS = 100
"""At once, where its user names no other limit; 0 is no limit."""


class _Connection(ResponseHandler):
    """One that ends at once: a TLS farewell waits up to 30 s for that of a node which may be paused or gone,
    and aiohttp forgets the connection meanwhile.
    """

    def close(self) -> None:
        """Cut it: whoever closes it has read the answer, or wants none any more."""
        self.abort()


class Connections(aiohttp.TCPConnector):
    """A pool of connections for one session, which closes it; on the running loop."""

    def __init__(self, limit: int = MOST_CONNECTIONS, tls: ssl.SSLContext | bool = True) -> None:
        """`tls` is for requests that name no context; True trusts the machine's CAs."""
        super().__init__(limit=limit, ssl=tls)
        self._made: weakref.WeakSet[_Connection] = weakref.WeakSet()
        # aiohttp has no public way to say what a connection is made by.
        self._factory = functools.partial(self._make, asyncio.get_running_loop())

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Cut every connection, those too that the pool doesn't know: a request that is cancelled just when
        the handshake is complete leaves one. Their sockets are closed by the loop's next turn.
        """
        for connection in self._made:
            connection.abort()
        await super().close(abort_ssl=abort_ssl)

    def _make(self, loop: asyncio.AbstractEventLoop) -> ResponseHandler:
        connection = _Connection(loop)
        self._made.add(connection)
        return connection
