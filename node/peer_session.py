"""HTTP sessions to the other nodes, which follow no redirects.

A lying peer could else choose what this node asks within its bank's network. It must not know what is asked.
"""

import aiohttp

from wallet.connections import Connections


def peer_session(connections: Connections, timeout_s: float | None = None) -> aiohttp.ClientSession:
    """A session whose requests, those for links too, raise ClientError where the answer is a redirect.

    `timeout_s` is for one whole answer; None for none. It must be closed.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    return aiohttp.ClientSession(connector=connections, timeout=timeout, trace_configs=[trace])


async def _refuse(_: object, __: object, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    redirect.response.close()
    raise aiohttp.ClientError("it redirects elsewhere, and no node goes there")
