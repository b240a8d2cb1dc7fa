"""Examines what a node finds on its own disk: configuration, keys, certificates, free space, and the store.

It must not know the network; a running node's store is left alone.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ledger.genesis import Genesis
from ledger.keys import public_bytes
from ledger.records import LEARNER, REGISTERED, RETIRED, VOTING, NodeRecord
from ledger.state import State
from ledger.view import StateCorrupted
from node import certificates, tls
from node.config import NodeConfig
from node.disk import LevelDatabase, StoreError, StoreInUse
from node.findings import FAILED, OK, WARNING, Finding, failed
from node.records import CorruptRecord
from node.store import Store, WrongStore

SHORTEST_ELECTION_MS = 300
"""A shorter election timeout is within the pauses of a busy machine: leaders would change for nothing."""
HEARTBEATS_AN_ELECTION = 3
"""With fewer a single late heartbeat looks like a dead leader."""
LEVELDB_CURRENT = "CURRENT"
"""The file that every LevelDB has: it names the newest manifest."""
WARN_FREE_BYTES = 10 * 1024**3
LEAST_FREE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Stored:
    """What a stopped node's store says: the chain's nodes, by their id."""

    nodes: Mapping[str, NodeRecord]


def check_configuration(config: NodeConfig) -> Iterator[Finding]:
    """Values that are allowed, and still no good idea."""
    timing = config.timing
    election_ms = timing.tick_ms * timing.election_ticks
    remedy = "Give all nodes the same [timing]; docs/operating.md says what the values mean."
    found = []
    if election_ms < SHORTEST_ELECTION_MS:
        found.append(f"elections begin after {election_ms} ms already, so that leaders change for nothing")
    if timing.election_ticks < HEARTBEATS_AN_ELECTION * timing.heartbeat_ticks:
        found.append("elections begin after fewer than three missed heartbeats")
    for what in found:
        yield Finding("configuration", WARNING, f"{what}.", remedy)
    if config.node not in config.api_urls:
        yield Finding(
            "configuration",
            WARNING,
            "api_urls doesn't name this node: clients aren't led to it when it leads.",
            f"Add {config.node} to [api_urls] here and at the other nodes.",
        )
        return
    if not found:
        yield Finding("configuration", OK, f"node {config.node} of member {config.member}.")


def check_signing_key(
    config: NodeConfig, genesis: Genesis, stored: Stored | None, *, in_use: bool
) -> Finding:
    """The key opens, is its owner's alone, and is the one that the chain knows, as far as is known here.

    A store that is `in_use` may know more than genesis, which doesn't name who joined later.
    """
    passphrase = os.environ.get(config.passphrase_env or "")
    if config.passphrase_env is not None and passphrase is None:
        return Finding(
            "signing key",
            FAILED,
            f"the variable {config.passphrase_env} with its passphrase is not set.",
            "Set it for the node, and for this command.",
        )
    try:
        key = tls.load_signing_key(config.signing_key, passphrase.encode() if passphrase else None)
    except tls.TlsError as error:
        return failed("signing key", error)
    known = {node.id: node.key for node in genesis.nodes}
    if stored is not None:
        known = {node.id: node.key for node in stored.nodes.values()}
    if config.node not in known:
        if in_use:
            what = "it opens; stop the node to see whether it is the one that the chain knows."
            return Finding("signing key", OK, what)
        return Finding(
            "signing key",
            WARNING,
            f"the chain, as far as it is known here, has no node {config.node}.",
            "A new node waits until governance has registered it; else check node.id.",
        )
    if known[config.node] != public_bytes(key):
        return Finding(
            "signing key",
            FAILED,
            f"the chain knows {config.node} under another key.",
            "Check node.id and node.signing_key.",
        )
    return Finding("signing key", OK, "it opens, and is the one that the chain knows.")


def check_membership(node: str, stored: Stored | None) -> Iterator[Finding]:
    """What part the node has in the cluster, as the chain has it that its store has executed."""
    record = None if stored is None else stored.nodes.get(node)
    if record is not None:
        yield _PARTS[record.status]


_PARTS: Mapping[int, Finding] = {
    REGISTERED: Finding(
        "membership",
        WARNING,
        "the node is registered, and not in the cluster yet.",
        "It waits until the members have added it: `nostro members` shows what is decided.",
    ),
    LEARNER: Finding("membership", OK, "the node receives the log, and doesn't vote."),
    VOTING: Finding("membership", OK, "the node votes."),
    RETIRED: Finding(
        "membership",
        FAILED,
        "the members let this node go: no other listens to it, and its id never comes back.",
        "Keep its folder for inquiry, and don't start it; a bank comes back with a node of another id.",
    ),
}
"""By the node's status in the registry."""


def check_certificates(config: NodeConfig, network: str, now: datetime.datetime) -> Iterator[Finding]:
    """Each certificate: readable, with its key, with the right name, and not about to expire."""
    own = tls.TlsFiles(config.ca, config.certificate, config.key)
    api = tls.TlsFiles(config.ca, config.api_certificate, config.api_key)
    name = tls.node_name(config.node, network)
    yield _check_pair("node", own, now, name)
    yield _check_pair("api", api, now, None)
    try:
        yield _expiry("ca", tls.read_certificate(config.ca), now)
    except tls.TlsError as error:
        yield failed("certificate ca", error)


def _check_pair(name: str, files: tls.TlsFiles, now: datetime.datetime, wanted: str | None) -> Finding:
    check = f"certificate {name}"
    try:
        tls.api_server_context(files)
        certificate, authority = tls.read_certificate(files.certificate), tls.read_certificate(files.ca)
    except tls.TlsError as error:
        return failed(check, error)
    if wanted is not None and wanted not in tls.names_of(certificate):
        return Finding(
            check,
            FAILED,
            f"it isn't for {wanted}: no peer lets this node in.",
            "Have the CA issue one that is.",
        )
    if wanted is not None and not _is_issued_by(certificate, authority):
        return Finding(
            check,
            FAILED,
            "it is of another CA than the network's: no peer lets this node in.",
            "Have the network's CA issue one.",
        )
    if files.key.stat().st_mode & 0o077:
        return Finding(
            check, WARNING, f"others than its owner can read {files.key}.", f"Run `chmod 600 {files.key}`."
        )
    return _expiry(name, certificate, now)


def _expiry(name: str, certificate: x509.Certificate, now: datetime.datetime) -> Finding:
    days, check = tls.days_left(certificate, now), f"certificate {name}"
    if days < 0:
        what = f"it expired {-days:.0f} days ago."
        return Finding(check, FAILED, what, certificates.remedy(name, expired=True))
    if days < certificates.EXPIRY_WARNING_DAYS:
        what = f"it expires in {days:.0f} days."
        return Finding(check, WARNING, what, certificates.remedy(name, expired=False))
    return Finding(check, OK, f"{days:.0f} days left.")


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def check_disk(data: Path) -> Finding:
    """Free space where the store is, or will be."""
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    return judge_space(shutil.disk_usage(place).free, place)


def judge_space(free_bytes: int, place: Path) -> Finding:
    """Whether that much free space is enough; `place` is where it is."""
    what = f"{free_bytes / 1024**3:.1f} GiB free at {place}."
    if free_bytes >= WARN_FREE_BYTES:
        return Finding("disk", OK, what)
    remedy = "Free space, or move the data folder to a larger disk while the node is stopped."
    return Finding("disk", WARNING if free_bytes >= LEAST_FREE_BYTES else FAILED, f"only {what}", remedy)


def check_store(config: NodeConfig, genesis_raw: bytes) -> tuple[Finding, Stored | None]:
    """Open a stopped node's store as its start would, and check what a start checks."""
    if not (config.data / LEVELDB_CURRENT).exists():
        # Opening it would make its folder, also without making a store.
        return _no_store(config.data), None
    try:
        with contextlib.closing(LevelDatabase(config.data, create=False)) as database:
            store = Store.open(database, genesis_raw, config.node)
            state = State.open(store)
            what = (
                f"stored to block {store.log_end:,}, executed to {state.progress.height:,}, certified to "
                f"{store.last_certified():,}; checksums and roots hold."
            )
            return Finding("store", OK, what), Stored(state.registry.nodes)
    except StoreInUse:
        return Finding("store", OK, "a process has it open, so it was not looked into."), None
    except (StoreError, WrongStore, CorruptRecord, StateCorrupted) as error:
        return failed("store", error), None


def _no_store(data: Path) -> Finding:
    return Finding(
        "store",
        WARNING,
        f"there is none at {data} yet.",
        "Right for a node that never ran: its first start makes one. A node that did run must not start "
        "without its store.",
    )
