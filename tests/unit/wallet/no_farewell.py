"""A server that answers over real TLS and never says farewell, and what a client left open of its own.

It must not know who asks, nor what.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress

CLOSING = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""A whole answer, after which the client must close the connection."""
LONGEST_REQUEST = 64 * 1024


@contextmanager
def never_farewell(
    tls: ssl.SSLContext, answer: bytes, heard: Callable[[], object] = lambda: None, port: int = 0
) -> Iterator[str]:
    """`host:port` of a server that answers each connection once, and keeps it as it is until the context
    ends. `heard` is called once a request is there, in another thread; a port of 0 is any.
    """
    kept: list[socket.socket] = []

    def serve() -> None:
        # A client may be gone before the handshake is complete; the listener is, when the context ends.
        while (came := _accepted(listener)) is not None:
            kept.append(came)
            with suppress(OSError):
                kept[-1] = tls.wrap_socket(came, server_side=True)
                if kept[-1].recv(LONGEST_REQUEST):
                    heard()
                    kept[-1].sendall(answer)

    with socket.create_server(("127.0.0.1", port)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
            for each in kept:
                each.close()


def _accepted(listener: socket.socket) -> socket.socket | None:
    with suppress(OSError):
        return listener.accept()[0]
    return None


def left_open(scenario: Callable[[], Coroutine[object, object, object]]) -> list[str]:
    """What Python says is unclosed when the scenario's loop has ended."""
    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(scenario())
        gc.collect()
    return [str(each.message) for each in said if "unclosed" in str(each.message)]
