"""What an audit reads, where it keeps its replay, and what it reports.

Must not know how a chain is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.view import StateReader

Check = tuple[bytes, bytes, bytes]
"""Something signed: public key, digest, signature."""

Verify = Callable[[Sequence[Check]], Sequence[int]]
"""Gives the positions of the checks that fail; the caller may spread the work over processes."""


class ChainReader(Protocol):
    """The chain under audit, as its files or its node give it."""

    def genesis(self) -> bytes:
        """The genesis document's bytes."""

    def tip(self) -> int:
        """The height up to which it claims to have executed."""

    def block(self, height: int) -> bytes | None:
        """The block of a height, or None."""

    def certificate(self, height: int) -> bytes | None:
        """The certificate kept for a height, or None: not every height has one."""

    def own_seal(self, height: int) -> tuple[bytes, bytes] | None:
        """The seal that the chain's own node signed for a height and its signature, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The stored state rows whose keys begin with a prefix, in the order of their keys."""


class Scratch(StateReader, Protocol):
    """Where the replayed state is kept while the audit runs."""

    def write(self, rows: Mapping[bytes, bytes]) -> None:
        """Keep rows in place of those under the same keys."""


class MemoryScratch:
    """The replayed state in memory: about 300 bytes a transaction."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The row at a key, or None."""
        return self._rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows under a prefix in the order of their keys."""
        return iter(sorted((key, row) for key, row in self._rows.items() if key.startswith(prefix)))

    def write(self, rows: Mapping[bytes, bytes]) -> None:
        """Keep rows in place of those under the same keys."""
        self._rows.update(rows)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: a stable code, the block and transaction it is at (or None), and what it is."""

    code: str
    height: int | None
    index: int | None
    what: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked and what was found.

    `replayed` is the last height that could be executed, `certified` the last with a certificate that holds
    (it certifies all below): up to it a quorum of banks answers for the chain, above it only the node whose
    store this is, so a clean chain without certificates may be one bank's invention. `supply` is what is
    held of each asset above zero, and `positions` each member's net receipts from other members by asset,
    issuance and redemption apart in `issued`: all in minor units, of which `scales` says the decimals. Where
    a store doesn't hold the bodies of blocks up to `pruned`, nothing was replayed: its rows were proved
    against the certificate instead.
    """

    findings: tuple[Finding, ...]
    findings_omitted: int
    tip: int
    replayed: int
    certified: int
    blocks: int
    payments: int
    transactions: int
    signatures: int
    certificates: int
    own_seals: int
    rows: int
    supply: Mapping[str, int]
    positions: Mapping[str, Mapping[str, int]]
    issued: Mapping[str, int]
    scales: Mapping[str, int]
    pruned: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
