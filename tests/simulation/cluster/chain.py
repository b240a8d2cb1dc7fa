"""A node's store as the ledger's audit reads a chain.

It must not know what the audit checks.
"""

from collections.abc import Iterator

from ledger.state import load_progress
from node.store import Store


class StoredChain:
    """The ChainReader of one store."""

    def __init__(self, store: Store) -> None:
        """Of this store, which nobody writes to meanwhile."""
        self._store = store

    def genesis(self) -> bytes:
        """The genesis document."""
        return self._store.genesis_raw

    def tip(self) -> int:
        """The executed height."""
        return load_progress(self._store).height

    def block(self, height: int) -> bytes | None:
        """The block of a height."""
        entry = self._store.entry(height)
        return None if entry is None else entry.data

    def certificate(self, height: int) -> bytes | None:
        """The certificate kept for a height."""
        return self._store.certificate(height)

    def own_seal(self, height: int) -> tuple[bytes, bytes] | None:
        """The node's own seal and its signature."""
        return self._store.own_seal(height)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """State rows."""
        return self._store.scan(prefix)
