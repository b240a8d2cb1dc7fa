"""Certificates and what is remembered of the other nodes, on their way to the disk.

It must not know how certificates form. What is lost of it in a crash is asked of the peers again.
"""

from collections.abc import Callable

from node.ports import Worker
from node.store import Store


class Marks:
    """Coalesces writes that need no sync: while one is under way the next gathers."""

    def __init__(
        self,
        store: Store,
        worker: Worker,
        certified: Callable[[int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`certified` is told the highest height whose certificate is in the store."""
        self._store = store
        self._worker = worker
        self._certified = certified
        self._failed = failed
        self._certificates: dict[int, bytes] = {}
        self._led: dict[str, int] = {}
        self._sealed: dict[str, int] = {}
        self._known_led: dict[str, int] = {}
        self._known_sealed: dict[str, int] = {}
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether all of it is written."""
        return not (self._busy or self._certificates or self._led or self._sealed)

    def certificate(self, height: int, raw: bytes) -> None:
        """A certificate has formed."""
        self._certificates[height] = raw
        self.flush()

    def led(self, node: str, term: int) -> None:
        """`node` has led `term`."""
        if term > self.led_term(node):
            self._led[node] = self._known_led[node] = term

    def sealed(self, node: str, height: int) -> None:
        """`node` has sealed `height`."""
        if height > self.sealed_height(node):
            self._sealed[node] = self._known_sealed[node] = height

    def led_term(self, node: str) -> int:
        """The highest term that `node` is known to have led."""
        if node not in self._known_led:
            self._known_led[node] = self._store.led_term(node)
        return self._known_led[node]

    def sealed_height(self, node: str) -> int:
        """The highest height that `node` is known to have sealed."""
        if node not in self._known_sealed:
            self._known_sealed[node] = self._store.sealed_height(node)
        return self._known_sealed[node]

    def flush(self) -> None:
        """Write what has gathered, unless a write is under way."""
        if self._busy or self.idle:
            return
        self._busy = True
        certificates, led, sealed = self._certificates, self._led, self._sealed
        self._certificates, self._led, self._sealed = {}, {}, {}
        self._worker.submit(
            lambda: self._store.write_marks(certificates, led, sealed),
            lambda _: self._finished(max(certificates, default=0)),
            self._failed,
        )

    def _finished(self, height: int) -> None:
        self._busy = False
        if height:
            self._certified(height)
        if self._certificates:
            self.flush()
