"""A node's admin port as its operators use it: one question at a time, over mutual TLS.

It must not know what the answers are used for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from node import tls
from node.admin import (
    PRUNE_PATH,
    REPORT_PATH,
    SNAPSHOT_PATH,
    TRANSFER_PATH,
    AdminRefusal,
    HandingOver,
    Pruned,
    SnapshotMade,
)
from node.provision import ProvisionedNetwork
from node.report import NodeReport
from wallet.connections import Connections

TIMEOUT_S = 2.0
SNAPSHOT_TIMEOUT_S = 600.0
PRUNE_TIMEOUT_S = 600.0

T = TypeVar("T")


class AdminUnreachable(Exception):
    """The admin port can't be asked; the text says which and why."""


class AdminRefused(Exception):
    """The node didn't do what was asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class AdminPort:
    """Where a node's admin port is (`https://HOST:PORT`), whose certificate it must show, and ours."""

    url: str
    server_name: str
    files: tls.TlsFiles


def admin_port(network: ProvisionedNetwork, node: str) -> AdminPort:
    """The admin port of a node of a network whose folder is here, operators' certificates included."""
    place = next(place for place in network.nodes if place.id == node)
    return AdminPort(place.admin_url, tls.node_name(node, network.name), network.operator_files(place.member))


async def ask(
    port: AdminPort, path: str, method: str = "GET", timeout_s: float = TIMEOUT_S
) -> tuple[int, str]:
    """Status and text of one request; raises AdminUnreachable."""
    context = tls.peer_client_context(port.files)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(connector=Connections(), timeout=timeout) as session,
            session.request(
                method, port.url + path, ssl=context, server_hostname=port.server_name
            ) as response,
        ):
            return response.status, await response.text()
    except TimeoutError as error:
        raise AdminUnreachable(f"{port.url} gave no answer within {timeout_s} s") from error
    except aiohttp.ClientError as error:
        raise AdminUnreachable(f"{port.url}: {reason_of(error)}") from error


async def report(port: AdminPort) -> NodeReport:
    """Where the node stands; raises AdminUnreachable, AdminRefused."""
    status, text = await ask(port, REPORT_PATH)
    if status != 200:
        raise AdminRefused(text.strip())
    return _read(port, text, NodeReport)


async def all_certified(network: ProvisionedNetwork) -> bool:
    """Whether every node of a network holds the certificate of its newest block, the same for all, without
    which its store proves nothing; raises as `report`.
    """
    reports = await asyncio.gather(*(report(admin_port(network, place.id)) for place in network.nodes))
    heights = {height for said in reports for height in (said.stored_height, said.certified_height)}
    return len(heights) == 1


async def hand_over(port: AdminPort, to: str | None) -> str:
    """Have a leader hand over to a voter, or to the furthest; who it is. Raises as `report`."""
    query = "" if to is None else f"?to={quote(to)}"
    status, text = await ask(port, TRANSFER_PATH + query, "POST")
    if status == 202:
        return _read(port, text, HandingOver).to
    raise AdminRefused(_refusal(port, status, text))


async def make_snapshot(port: AdminPort) -> Path:
    """Have a node make a snapshot of now; its folder on the node's machine. Raises as `report`."""
    status, text = await ask(port, SNAPSHOT_PATH, "POST", SNAPSHOT_TIMEOUT_S)
    if status == 200:
        return Path(_read(port, text, SnapshotMade).folder)
    raise AdminRefused(_refusal(port, status, text))


async def prune(port: AdminPort, keep: int) -> int:
    """Have a node forget the bodies of all but the newest `keep` blocks; up to which. Raises as `report`."""
    status, text = await ask(port, f"{PRUNE_PATH}?keep={keep}", "POST", PRUNE_TIMEOUT_S)
    if status == 200:
        return _read(port, text, Pruned).height
    raise AdminRefused(_refusal(port, status, text))


def _refusal(port: AdminPort, status: int, text: str) -> str:
    return _read(port, text, AdminRefusal).reason if status in (400, 409) else text.strip()


def _read(port: AdminPort, text: str, kind: type[T]) -> T:
    """What a node answered; raises AdminRefused where it is of another version."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise AdminRefused(
            f"{port.url} answers what this program can't read ({error}): "
            "use a program of the version that the node runs"
        ) from error


def reason_of(error: aiohttp.ClientError) -> str:
    """What went wrong with a connection, in words without the address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__
