"""A node's configuration: one TOML file, read once at the start and never changed.

Paths in the file are relative to the file itself, so that a node's folder can be handed over and
moved as a whole. It knows nothing of what the values are used for, and it opens none of the files
that it names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from node.mempool import MEMBER_TRANSACTIONS, POOL_BYTES, POOL_TRANSACTIONS

CONFIG_FILE_BYTES = 65_536
"""A longer configuration file is refused: it is something else."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
NodeIdText = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]
MemberIdText = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,16}$")]
HostAndPort = Annotated[str, msgspec.Meta(pattern=r"^[^\s/]+:[0-9]{1,5}$")]


class ConfigError(ValueError):
    """The configuration file is missing or wrong; the text says which file, which key, and what to do."""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a server listens: a host name or address, and a TCP port (0 lets the system choose one)."""

    host: str
    port: Port


class NodeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who this node is, and where its files are."""

    id: NodeIdText
    member: MemberIdText
    genesis: str
    data: str
    signing_key: str
    passphrase_env: str | None = None
    """The environment variable with the passphrase of `signing_key`; absent where it isn't encrypted."""


class TlsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files: the network's CA, this node's certificate for peers and operators, and the API's own."""

    ca: str
    certificate: str
    key: str
    api_certificate: str
    api_key: str


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raft's clockwork. An election starts after one to two times `election_ticks` without a leader."""

    tick_ms: Annotated[int, msgspec.Meta(ge=5, le=10_000)] = 25
    election_ticks: Annotated[int, msgspec.Meta(ge=3, le=1_000)] = 20
    heartbeat_ticks: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    stop_timeout_ms: Annotated[int, msgspec.Meta(ge=100, le=600_000)] = 10_000
    """How long a stopping node may take to hand over and to finish its answers."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this node is willing to hold at once."""

    mempool_transactions: Positive = POOL_TRANSACTIONS
    mempool_bytes: Positive = POOL_BYTES
    member_transactions: Positive = MEMBER_TRANSACTIONS
    """What one member may have waiting."""
    peer_queue_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 64 * 1024 * 1024
    """What may wait for one slow peer; beyond it the oldest messages are dropped (Raft sends again)."""
    peer_message_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 64 * 1024 * 1024
    """The longest message accepted from a peer."""


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which blocks a node keeps: all that it gets (`archive`), all from genesis on, so that a new one begins
    without a snapshot (`complete`), or the newest `keep_blocks` (`pruned`).
    """

    retention: Literal["archive", "complete", "pruned"] = "archive"
    keep_blocks: Annotated[int, msgspec.Meta(ge=1_024)] = 100_000


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the node writes its log to stderr."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    node: NodeSection
    peer: Listen
    api: Listen
    admin: Listen
    tls: TlsSection
    api_urls: dict[str, str] = {}
    peer_addresses: dict[NodeIdText, HostAndPort] = {}
    timing: Timing = Timing()
    limits: Limits = Limits()
    log: LogSection = LogSection()
    store: StoreSection = StoreSection()


class NodeConfig(msgspec.Struct, frozen=True):
    """Everything a node is told at its start; every path is absolute."""

    node: str
    member: str
    genesis: Path
    data: Path
    signing_key: Path
    passphrase_env: str | None
    peer: Listen
    api: Listen
    admin: Listen
    ca: Path
    certificate: Path
    key: Path
    api_certificate: Path
    api_key: Path
    api_urls: dict[str, str]
    """Where clients reach each node's API, by node id: given as a hint to the leader."""
    peer_addresses: dict[str, str]
    """Where this node dials another in place of the address on the chain, or before it knows one, by node
    id.
    """
    timing: Timing
    limits: Limits
    log: LogSection
    store: StoreSection = StoreSection()


def load_config(path: Path) -> NodeConfig:
    """Read and check a node's configuration file; raises ConfigError naming the file and the key."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}. `nostro network new` writes one a node."
        ) from error
    if len(raw) > CONFIG_FILE_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes; a configuration has at most {CONFIG_FILE_BYTES}.")
    try:
        file = msgspec.toml.decode(raw, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a node's configuration: {error}") from error
    return _resolve(file, path.parent.absolute())


def _resolve(file: _File, folder: Path) -> NodeConfig:
    """Make paths absolute. `normpath` keeps symbolic links: a data folder may be one."""

    def at(name: str) -> Path:
        return Path(os.path.normpath(folder / name))

    return NodeConfig(
        node=file.node.id,
        member=file.node.member,
        genesis=at(file.node.genesis),
        data=at(file.node.data),
        signing_key=at(file.node.signing_key),
        passphrase_env=file.node.passphrase_env,
        peer=file.peer,
        api=file.api,
        admin=file.admin,
        ca=at(file.tls.ca),
        certificate=at(file.tls.certificate),
        key=at(file.tls.key),
        api_certificate=at(file.tls.api_certificate),
        api_key=at(file.tls.api_key),
        api_urls=file.api_urls,
        peer_addresses=file.peer_addresses,
        timing=file.timing,
        limits=file.limits,
        log=file.log,
        store=file.store,
    )


def render_config(
    *,
    node: str,
    member: str,
    peer: Listen,
    api: Listen,
    admin: Listen,
    api_urls: dict[str, str],
    peer_addresses: dict[str, str] | None = None,
    timing: Timing | None = None,
    log: LogSection | None = None,
) -> str:
    """The TOML text of a provisioned node's configuration, with the file names that provisioning uses."""
    lines = [
        "# One node of a Nostro network. Paths are relative to this file. See docs/operating.md.",
        *_table(
            "node",
            {
                "id": node,
                "member": member,
                "genesis": "genesis.bin",
                "data": "data",
                "signing_key": "signing.key",
            },
        ),
        *_table("peer", msgspec.to_builtins(peer)),
        *_table("api", msgspec.to_builtins(api)),
        *_table("admin", msgspec.to_builtins(admin)),
        *_table(
            "tls",
            {
                "ca": "ca.pem",
                "certificate": "node.pem",
                "key": "node.key",
                "api_certificate": "api.pem",
                "api_key": "api.key",
            },
        ),
        *_table("api_urls", dict(api_urls)),
        *(_table("peer_addresses", dict(peer_addresses)) if peer_addresses else ()),
        *_table("timing", msgspec.to_builtins(timing or Timing())),
        *_table("log", msgspec.to_builtins(log or LogSection())),
    ]
    return "\n".join(lines) + "\n"


def _table(name: str, values: dict[str, str | int]) -> list[str]:
    # A JSON string is a TOML basic string for the printable text that is written here.
    rows = [f"{_key(key)} = {msgspec.json.encode(value).decode()}" for key, value in values.items()]
    return ["", f"[{name}]", *rows]


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"'
