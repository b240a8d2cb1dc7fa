"""What the node's core needs of the world around it: clocks, timers, disk, threads, peers, chance and a log.

It must not know any implementation: production gives LevelDB, threads and sockets, the simulator gives all
of it from one queue under one seed. Every callback that a port calls runs on the loop, one at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from node.messages import NodeMessage

T = TypeVar("T")


class Clock(Protocol):
    """Two clocks: the wall's, which people set, and one that only moves forward."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment; never goes back."""
        ...


class TimerHandle(Protocol):
    """A call that was asked for and can still be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has already run."""
        ...


class Timers(Protocol):
    """Calls on the loop at a later time."""

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` once, no sooner than `delay_ms` from now."""
        ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, after what is already queued on the loop."""
        ...


class Database(Protocol):
    """An ordered map from keys to values on the disk. Reads and writes may come from several threads."""

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`."""
        ...

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The rows with start <= key < stop in key order, or from the last to the first."""
        ...

    def write(self, puts: Mapping[bytes, bytes], deletes: Iterable[bytes], sync: bool) -> None:
        """All of it or nothing. With `sync` it has reached the disk on return, with every write before it."""
        ...

    def close(self) -> None:
        """Nothing may be read or written any more."""
        ...


class Worker(Protocol):
    """A thread beside the loop. The jobs of one worker run one at a time, in the order of their
    submission.
    """

    def submit(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run `job` on the worker, then `done` with its result, or `failed` with what it raised, on the
        loop.
        """
        ...


class Peers(Protocol):
    """The other nodes of the network, reached over links that may lose anything."""

    def send(self, to: str, message: NodeMessage) -> None:
        """Send to one node, or lose it: nobody is told."""
        ...

    def connected(self) -> frozenset[str]:
        """The nodes that a link stands to."""
        ...


class Random(Protocol):
    """A source of chance, seeded by whoever makes it; random.Random serves through a small wrapper."""

    def randrange(self, stop: int, /) -> int:
        """A number of 0 <= number < stop."""
        ...

    def bytes(self, count: int, /) -> bytes:
        """`count` random bytes."""
        ...


class Log(Protocol):
    """The structured log: an event's name and its fields; structlog's loggers are such."""

    def info(self, event: str, **fields: Any) -> Any:
        """What happens in the normal course."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """What someone should look at."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """What someone must look at."""
        ...
