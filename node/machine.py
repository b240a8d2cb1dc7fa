"""What a node takes from its machine before anything of it is made: genesis, its key, its ports, open files.

It must not know what is made of them. Whatever is missing or wrong is said in words for the operator.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.codec import Malformed
from ledger.genesis import Genesis, decode_genesis
from node import tls
from node.config import Listen, NodeConfig

BACKLOG = 512
"""Connections that wait to be accepted, a port."""


class CannotStart(RuntimeError):
    """Why this node can't start, in words for its operator."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was found; `listeners` are bound sockets by the name of their section: peer, api and admin."""

    genesis_raw: bytes
    genesis: Genesis
    key: ec.EllipticCurvePrivateKey
    listeners: Mapping[str, socket.socket]


@contextmanager
def given_to(config: NodeConfig) -> Iterator[Given]:
    """Read and bind what the configuration names; the ports are freed at the end.

    Raises CannotStart, or TlsError where the key can't be read.
    """
    genesis_raw, genesis = _read_genesis(config)
    key = tls.load_signing_key(config.signing_key, _passphrase(config))
    ports = {"peer": config.peer, "api": config.api, "admin": config.admin}
    with ExitStack() as stack:
        listeners = {name: stack.enter_context(_bound(name, listen)) for name, listen in ports.items()}
        yield Given(genesis_raw, genesis, key, listeners)


def node_files(config: NodeConfig) -> tls.TlsFiles:
    """Under which the node meets other nodes and its operator."""
    return tls.TlsFiles(config.ca, config.certificate, config.key)


def api_files(config: NodeConfig) -> tls.TlsFiles:
    """Under which it serves the HTTP API."""
    return tls.TlsFiles(config.ca, config.api_certificate, config.api_key)


def raise_file_limit(wanted: int) -> None:
    """Lift the soft limit of open files to `wanted`, or as near to it as the system lets this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _read_genesis(config: NodeConfig) -> tuple[bytes, Genesis]:
    try:
        raw = config.genesis.read_bytes()
        return raw, decode_genesis(raw)
    except OSError as error:
        raise CannotStart(f"cannot read genesis from {config.genesis}: {error.strerror}.") from error
    except Malformed as error:
        raise CannotStart(f"{config.genesis} is no genesis document: {error}") from error


def _passphrase(config: NodeConfig) -> bytes | None:
    if config.passphrase_env is None:
        return None
    value = os.environ.get(config.passphrase_env)
    if value is None:
        raise CannotStart(
            f"the variable {config.passphrase_env}, which is to hold the passphrase of "
            f"{config.signing_key}, is not set."
        )
    return value.encode()


@contextmanager
def _bound(name: str, listen: Listen) -> Iterator[socket.socket]:
    """A bound and listening socket; its server closes it, and this does where no server came to be."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((listen.host.encode("idna"), listen.port))
            listener.listen(BACKLOG)
        except (socket.gaierror, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise CannotStart(
                f"the host {listen.host} of the {name} port doesn't resolve on this machine: {why}. "
                f"Name an address of this machine under [{name}] in the configuration."
            ) from error
        except OSError as error:
            raise CannotStart(
                f"the {name} port {listen.host}:{listen.port} can't be used: {error.strerror}. "
                f"Stop what uses it, or change [{name}] in the configuration."
            ) from error
        listener.setblocking(False)
        yield listener
