"""Examines what a node has to do with others: its ports, its peers over mutual TLS, and the clocks.

It must not know the store, nor what is said over the links.
"""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
from cryptography import x509

from node import tls
from node.config import Listen, NodeConfig
from node.findings import FAILED, OK, WARNING, Finding
from node.operators import reason_of
from node.peers import PEER_PATH
from wallet.connections import Connections

TIMEOUT_S = 3.0
CLOCK_WARNING_S, CLOCK_FAILED_S = 2.0, 10.0
"""Blocks over 2 s ahead of a node's clock aren't acknowledged by it, and a leader over 10 s ahead isn't
followed (docs/node.md)."""
ANY_HOSTS = ("0.0.0.0", "::", "")


class Dialled(NamedTuple):
    """What came of dialling a peer, and how far this clock is ahead of the peer's, in seconds, if it said."""

    finding: Finding
    ahead_s: float | None


def check_ports(config: NodeConfig) -> Iterator[Finding]:
    """Each port is free, or held by this very node."""
    for name, listen, certificate in (
        ("peer", config.peer, config.certificate),
        ("api", config.api, config.api_certificate),
        ("admin", config.admin, config.certificate),
    ):
        yield _check_port(name, listen, _own_names(certificate))


def _check_port(name: str, listen: Listen, own: frozenset[str]) -> Finding:
    check, where = f"port {name}", f"{listen.host}:{listen.port}"
    try:
        # The server's own error would be an OSError with the resolver's number.
        socket.getaddrinfo(listen.host, listen.port)
        socket.create_server((listen.host, listen.port)).close()
    except (socket.gaierror, UnicodeError):
        return Finding(
            check,
            FAILED,
            f"the host {listen.host} doesn't resolve on this machine.",
            f"Name an address of this machine under [{name}] in the configuration.",
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE and own and _shown_names(listen) == own:
            return Finding(check, OK, f"{where} is held by this node, which runs.")
        reason = os.strerror(error.errno or 0).lower()
        return Finding(
            check,
            FAILED,
            f"{where} can't be used: {reason}.",
            f"Stop what uses it, or change [{name}] in the configuration.",
        )
    return Finding(check, OK, f"{where} is free.")


def _shown_names(listen: Listen) -> frozenset[str]:
    """The names in the certificate that whoever listens there shows; expired or not, trusted or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = "localhost" if listen.host in ANY_HOSTS else listen.host
    try:
        with (
            socket.create_connection((host, listen.port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            shown = wrapped.getpeercert(binary_form=True)
    except OSError:
        return frozenset()
    return tls.names_of(x509.load_der_x509_certificate(shown)) if shown else frozenset()


def _own_names(path: Path) -> frozenset[str]:
    """The names of this node's own certificate; none where it can't be read, which another check says."""
    try:
        return tls.names_of(tls.read_certificate(path))
    except tls.TlsError:
        return frozenset()


async def check_peers(config: NodeConfig, network: str, addresses: Mapping[str, str]) -> list[Finding]:
    """Dial every other node as this one, and compare the clocks with what they answer."""
    try:
        context = tls.peer_client_context(tls.TlsFiles(config.ca, config.certificate, config.key))
    except tls.TlsError:
        return [
            Finding(
                "peers", WARNING, "none was dialled.", "Mend this node's certificate first, as said above."
            )
        ]
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=Connections(), timeout=timeout) as session:
        dialled = await asyncio.gather(
            *(
                _dial(session, context, peer, tls.node_name(peer, network), address)
                for peer, address in addresses.items()
            )
        )
    aheads = [each.ahead_s for each in dialled if each.ahead_s is not None]
    return [*(each.finding for each in dialled), check_clock(aheads)]


async def _dial(
    session: aiohttp.ClientSession, context: ssl.SSLContext, peer: str, name: str, address: str
) -> Dialled:
    check = f"peer {peer}"
    try:
        async with session.get(
            f"https://{address}{PEER_PATH}", ssl=context, server_hostname=name
        ) as response:
            now = datetime.datetime.now(datetime.UTC)
            ahead_s = clock_ahead_s(response.headers.get("Date"), now)
            status = response.status
    except TimeoutError:
        return _unreachable(check, address, f"no answer within {TIMEOUT_S:g} s")
    except aiohttp.ClientError as error:
        return _unreachable(check, address, reason_of(error))
    if status == 403:
        what = f"{address} answers, but doesn't take this node for one of the chain."
        remedy = (
            "A new node is let in once the chain has registered it, one that was let go never again; else "
            "check node.id and certificate."
        )
        return Dialled(Finding(check, WARNING, what, remedy), ahead_s)
    return Dialled(Finding(check, OK, f"{address} lets this node in."), ahead_s)


def _unreachable(check: str, address: str, reason: str) -> Dialled:
    remedy = "Check that it runs, the way there (firewalls), and both nodes' certificates."
    return Dialled(Finding(check, FAILED, f"{address} can't be reached: {reason}.", remedy), None)


def clock_ahead_s(date: str | None, now: datetime.datetime) -> float | None:
    """How far `now` is ahead of a Date header, which is cut to whole seconds: exact to half a second."""
    try:
        theirs = email.utils.parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return (now - theirs).total_seconds() - 0.5


def check_clock(aheads_s: list[float]) -> Finding:
    """This node's clock against the middle one of its peers'."""
    if not aheads_s:
        return Finding("clock", WARNING, "no peer could be asked for its time.", "Look again when one runs.")
    middle = sorted(aheads_s)[len(aheads_s) // 2]
    off_s = abs(middle)
    if off_s < CLOCK_WARNING_S:
        return Finding("clock", OK, f"within {CLOCK_WARNING_S:g} s of the peers'.")
    direction = "ahead of" if middle > 0 else "behind"
    return Finding(
        "clock",
        WARNING if off_s < CLOCK_FAILED_S else FAILED,
        f"about {off_s:.0f} s {direction} the peers'.",
        "Let this machine's clock be set by NTP: too far off, a node can't take part in new blocks.",
    )
