"""Tells from memory that a transaction's id has no row: nearly all are new, and asking the disk for each cost
4 % of all the processor time of a payment.

It must not know what the keys mean, nor the rows. What it says is exact. It learns gaps, ranges of keys
without a row on the disk, and remembers every key written since: a key inside a gap that isn't among them has
no row. Ids that rise with time (UUIDv7) all fall into the gap above the newest. Keys are forgotten by
generation, and with them the gaps that were learned before.
"""

from collections.abc import Iterable
from typing import NamedTuple

from node.ports import Database

GENERATION_KEYS = 65_536
"""Keys remembered until a new generation begins; the one before it is kept too (about 13 MB in all)."""
MAX_GAPS = 8
"""Gaps kept a generation, those learned last: different senders' ids may lie in different ones."""
LEARN_EVERY = 64
"""One in so many lookups that no gap settles learns one: where ids come in no order it is of little use."""


class Gap(NamedTuple):
    """No row stood strictly between these keys when it was learned."""

    low: bytes
    high: bytes


class _Generation:
    """What was written and learned since one moment, when all that was written before was on the disk."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.gaps: tuple[Gap, ...] = ()


class FreshIds:
    """Keys between two others that have no row. Asked from any thread; `note` is called on one, and for every
    row that is written there while this is in use.
    """

    def __init__(
        self,
        database: Database,
        start: bytes,
        stop: bytes,
        limit: int = GENERATION_KEYS,
        learn_every: int = LEARN_EVERY,
    ) -> None:
        """Nothing known of the keys from `start` to `stop`; a generation ends at `limit` keys or more."""
        self._database = database
        self._start = start
        self._stop = stop
        self._limit = limit
        self._learn_every = learn_every
        self._generations = (_Generation(), _Generation())
        self._unsettled = 0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return sum(len(generation.keys) for generation in self._generations)

    def is_absent(self, key: bytes) -> bool:
        """True only if there is no row at `key`; False says nothing."""
        young, old = self._generations
        if key in young.keys or key in old.keys:
            return False
        for low, high in young.gaps + old.gaps:
            if low < key < high:
                return True
        if self._unsettled % self._learn_every == 0:
            self._learn(key)
        self._unsettled += 1
        return False

    def note(self, keys: Iterable[bytes]) -> None:
        """Rows are about to be written at these keys; those of the call before are on the disk.

        So a generation begins when the disk has all keys of the one before, and no gap that is learned in it
        can hold a key that is forgotten sooner than the gap.
        """
        if len(self._generations[0].keys) >= self._limit:
            self._generations = (_Generation(), self._generations[0])
        self._generations[0].keys.update(keys)

    def _learn(self, key: bytes) -> None:
        """Remember the gap around `key`, if there is no row at it."""
        # The generation first: what is written while the disk is asked is then among its keys.
        generation = self._generations[0]
        above = next(self._database.scan(key, self._stop), (self._stop, b""))[0]
        below = next(self._database.scan(self._start, key, reverse=True), (self._start, b""))[0]
        if above != key:
            generation.gaps = (*generation.gaps, Gap(below, above))[-MAX_GAPS:]
