"""Who a node is, how it paces itself, and the ports it is given: what a Driver is made from.

It must not know what the driver does with any of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.rules import RULES
from ledger.rules.base import RuleSet
from node.mempool import MempoolLimits
from node.ports import Clock, Log, Peers, Random, Timers, Worker


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """Who this node is and how it paces itself. `boot` is 16 random bytes for this process start.

    `rules` are the versions that this program has.
    A tick lasts `tick_ms`; an election timeout is between `election_ticks` and twice that many ticks.
    """

    node_id: str
    boot: bytes
    key: ec.EllipticCurvePrivateKey
    tick_ms: int
    election_ticks: int
    heartbeat_ticks: int
    mempool: MempoolLimits = field(default_factory=MempoolLimits)
    rules: Mapping[int, RuleSet] = field(default_factory=lambda: RULES)


def _no_snapshot() -> None:
    """For a node that nobody gives snapshots to: it waits until a leader has what it lacks."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside. Three workers: verify (signatures), disk (the log), execute (the rules).

    `need_snapshot` is called when a leader doesn't hold any more what this node lacks.
    """

    clock: Clock
    timers: Timers
    peers: Peers
    verify: Worker
    disk: Worker
    execute: Worker
    random: Random
    log: Log
    need_snapshot: Callable[[], None] = _no_snapshot
