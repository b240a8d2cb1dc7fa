"""A bounded cache of two generations: cheap to read, and never larger than its size.

Must not know what it holds. What was used since the younger generation began survives when the older is
dropped; it costs less than keeping exact order of use, and nothing depends on what is still there.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class GenerationCache(Generic[K, V]):
    """At most `size` entries, those used last among them."""

    def __init__(self, size: int) -> None:
        """A cache of at most `size` entries (2 or more)."""
        if size < 2:
            raise ValueError(f"A cache of two generations holds 2 entries or more, not {size}.")
        self._half = size // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        """How many entries are held; one that stands in both generations counts twice."""
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """The value, which thereby counts as used, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of the one held under that key."""
        if len(self._young) >= self._half and key not in self._young:
            self._old = self._young
            self._young = {}
        self._young[key] = value
