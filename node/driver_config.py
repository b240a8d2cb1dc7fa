"""Who a node is, how it paces itself, and the ports it is given: what a Driver is made from.

It must not know what the driver does with any of it.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from node.mempool import MempoolLimits
from node.ports import Clock, Log, Peers, Random, Timers, Worker


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """Who this node is and how it paces itself. `boot` is 16 random bytes for this process start.

    A tick lasts `tick_ms`; an election timeout is between `election_ticks` and twice that many ticks.
    """

    node_id: str
    boot: bytes
    key: ec.EllipticCurvePrivateKey
    tick_ms: int = 100
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    mempool: MempoolLimits = field(default_factory=MempoolLimits)


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
