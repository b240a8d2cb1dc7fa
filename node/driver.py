"""The one loop of a node: whatever happens comes in here as a call, whatever is done goes out through a port.

It must not know asyncio, threads, sockets or files: it is synchronous, and the same under the simulator's seed as in
production. It never waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from node.messages import NodeMessage
from node.ports import Clock, Log, Peers, Random, Timers, Worker
from node.results import DriverStatus, StopReason, SubmitResult
from node.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the node's core; what they bound is said where they are used."""

    mempool_transactions: int = 50_000
    mempool_bytes: int = 64 * 1024 * 1024
    member_transactions: int = 20_000


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """Who this node is and how it paces itself. `boot` is 16 random bytes for this process start; ticks are in ms.

    An election timeout is between `election_ticks` and twice that many ticks.
    """

    node_id: str
    boot: bytes
    key: ec.EllipticCurvePrivateKey
    tick_ms: int = 100
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside. Three workers: verify (signatures), disk (the log), execute (the rules)."""

    clock: Clock
    timers: Timers
    peers: Peers
    verify: Worker
    disk: Worker
    execute: Worker
    random: Random
    log: Log


class Driver:
    """One node. All methods are called on the loop; callbacks run on it too, and may call back in."""

    def __init__(
        self, config: DriverConfig, store: Store, ports: Ports, on_stop: Callable[[StopReason], None]
    ) -> None:
        """A node that goes on from what `store` holds. `on_stop` is called once if the node must stop itself."""
        raise NotImplementedError

    def tick(self) -> None:
        """To be called every `tick_ms`."""
        raise NotImplementedError

    def on_connected(self, peer: str) -> None:
        """A link to `peer` stands: this node says Hello on it."""
        raise NotImplementedError

    def on_disconnected(self, peer: str) -> None:
        """The link to `peer` is gone."""
        raise NotImplementedError

    def on_message(self, sender: str, message: NodeMessage) -> None:
        """A message from the node that the link is authenticated for."""
        raise NotImplementedError

    def submit(self, raw: bytes, report: Callable[[SubmitResult], None]) -> None:
        """Take an envelope; `report` hears of each stage (see SubmitResult), perhaps at once."""
        raise NotImplementedError

    def simulate(self, raw: bytes, report: Callable[[SubmitResult], None]) -> None:
        """What the envelope would come to now: PENDING with the outcome it would have, or REFUSED; nothing is kept."""
        raise NotImplementedError

    def read_barrier(self, done: Callable[[bool], None]) -> None:
        """Call `done(True)` once reads from the store are linearizable (thesis 6.4), `done(False)` without a quorum."""
        raise NotImplementedError

    def when_executed(self, height: int, done: Callable[[], None]) -> None:
        """Call `done` once `height` is executed here (at once if it is)."""
        raise NotImplementedError

    def on_block(self, listener: Callable[[int], None]) -> None:
        """From now on call `listener` with the height of every block executed here."""
        raise NotImplementedError

    def stop(self, done: Callable[[], None]) -> None:
        """Admit nothing more, hand leadership over, finish the writes under way, then call `done`."""
        raise NotImplementedError

    @property
    def executed_height(self) -> int:
        """The newest block executed and stored here."""
        raise NotImplementedError

    @property
    def certified_height(self) -> int:
        """The newest block that this node holds a certificate for."""
        raise NotImplementedError

    def status(self) -> DriverStatus:
        """Where the node stands."""
        raise NotImplementedError
