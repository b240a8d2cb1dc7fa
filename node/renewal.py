"""Renews certificates of the network's CA in place: the same names, the same key unless a new one is wanted.

It must not know whether anything runs under them: a running node takes them up by itself
(node/certificates.py).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from node import tls
from node.config import NodeConfig
from wallet.atomic_file import write_private


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and the file of its key; `key` is None where only the certificate is at hand."""

    certificate: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """A certificate that was renewed: how many days the old one had left, and the new one has."""

    certificate: Path
    days_before: float
    days_left: float


def pairs_of(config: NodeConfig) -> tuple[Pair, Pair]:
    """What a node serves under: its certificate for peers and operators, and its API's."""
    return Pair(config.certificate, config.key), Pair(config.api_certificate, config.api_key)


def renew(pair: Pair, ca: tls.Issued, now: datetime.datetime, *, new_key: bool = False) -> Renewal:
    """Replace a certificate by one with a new life; each file is the old or the new, whatever happens.

    A new key is written before its certificate: between the two, and after a crash there, the pair doesn't
    match, and renewing again mends it. Raises TlsError.
    """
    old = tls.read_certificate(pair.certificate)
    key = ec.generate_private_key(ec.SECP256R1()) if new_key else None
    data = tls.renewed(ca, old, now, key)
    if key is not None and pair.key is None:
        raise tls.TlsError(
            f"there is no key beside {pair.certificate} that a new one could replace. Leave out --new-key."
        )
    try:
        if key is not None and pair.key is not None:
            write_private(pair.key, tls.private_pem(key))
        write_private(pair.certificate, data)
    except OSError as error:
        raise tls.TlsError(
            f"cannot write {error.filename or pair.certificate}: {error.strerror}. Renew it again."
        ) from error
    new = tls.read_certificate(pair.certificate)
    return Renewal(pair.certificate, tls.days_left(old, now), tls.days_left(new, now))
