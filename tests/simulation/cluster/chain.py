"""A node's store as the ledger's audit reads a chain, and which blocks a disk holds.

It must not know what the audit checks.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ledger.state import load_progress
from node.records import block_key, header_key
from node.store import Store

NOTHING: Mapping[int, bytes] = MappingProxyType({})


class StoredChain:
    """The ChainReader of one store."""

    def __init__(self, store: Store, forgotten: Mapping[int, bytes] = NOTHING) -> None:
        """Of this store, which nobody writes to meanwhile, and the blocks that it may have forgotten."""
        self._store = store
        self._forgotten = forgotten

    def genesis(self) -> bytes:
        """The genesis document."""
        return self._store.genesis_raw

    def tip(self) -> int:
        """The executed height."""
        return load_progress(self._store).height

    def block(self, height: int) -> bytes | None:
        """The block of a height."""
        entry = self._store.entry(height)
        return self._forgotten.get(height) if entry is None else entry.data

    def certificate(self, height: int) -> bytes | None:
        """The certificate kept for a height."""
        return self._store.certificate(height)

    def own_seal(self, height: int) -> tuple[bytes, bytes] | None:
        """The node's own seal and its signature."""
        return self._store.own_seal(height)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """State rows."""
        return self._store.scan(prefix)


def holds_block(durable: Mapping[bytes, bytes], height: int) -> bool:
    """Whether a block is on a disk, or its header, which stays when the body is forgotten."""
    return block_key(height) in durable or header_key(height) in durable
