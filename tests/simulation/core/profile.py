"""What a seed may do to a simulated cluster: sizes, durations and the faults that it draws its own rates
from.

It must not know how faults are made. Times are virtual milliseconds.
"""

from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Profile:
    """The upper bounds; each seed draws its own rates below them, and switches some faults off altogether."""

    name: str
    cluster_sizes: tuple[int, ...] = (3, 3, 4, 5)
    chaos_ms: int = 2_500
    healing_limit_ms: int = 6_000
    tick_ms: int = 10
    election_ticks: int = 6
    heartbeat_ticks: int = 2
    drop: float = 0.2
    duplicate: float = 0.1
    delay_ms: int = 30
    sync_ms: int = 25
    crash_at_point: float = 0.012
    late: float = 0.03
    late_ms: int = 500
    pause_every_ms: int = 400
    pause_ms: int = 250
    partition_every_ms: int = 250
    transfer_every_ms: int = 300
    compact_every_ms: int = 300
    propose_every_ms: int = 18
    read_every_ms: int = 40
    clock_skew: float = 1.8
    skip_opening: float = 0.2
    spare_nodes: int = 0
    """Nodes that run, but aren't in the first membership."""
    churn_every_ms: int | None = None
    fetch_ms: int = 0
    """How long a snapshot may take to fetch; 0: it is there with its offer."""
    fetch_fails: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What one seed does."""

    drop: float
    duplicate: float
    delay_ms: int
    sync_ms: int
    crash_at_point: float
    late: float
    pause_every_ms: int | None
    partition_every_ms: int | None
    transfer_every_ms: int | None
    compact_every_ms: int | None
    clock_skew: float
    max_inflight: int
    max_append_bytes: int
    lease_reads: bool
    churn_every_ms: int | None


HARSH = Profile("harsh")
NEVER_MS = 10**9
CALM = Profile(
    "calm",
    drop=0.0,
    duplicate=0.0,
    late=0.0,
    crash_at_point=0.0,
    pause_every_ms=NEVER_MS,
    partition_every_ms=NEVER_MS,
    transfer_every_ms=NEVER_MS,
)
MEMBERSHIP = replace(
    HARSH,
    name="membership",
    cluster_sizes=(1, 2, 3, 3, 4),
    spare_nodes=3,
    churn_every_ms=50,
    healing_limit_ms=10_000,
)
"""The membership changes all the time, under all faults."""
SNAPSHOT = replace(
    HARSH, name="snapshot", compact_every_ms=50, fetch_ms=150, fetch_fails=0.3, healing_limit_ms=10_000
)
"""Logs are short, and a snapshot takes a while, or doesn't arrive."""
EVERYTHING = replace(MEMBERSHIP, name="everything", compact_every_ms=80, fetch_ms=150, fetch_fails=0.3)
PROFILES = {profile.name: profile for profile in (HARSH, CALM, MEMBERSHIP, SNAPSHOT, EVERYTHING)}


def draw_rates(profile: Profile, random: Random) -> Rates:
    """One seed's own mixture: each fault is off in a third of the seeds, so that the others come into
    their own.
    """

    def sometimes(value: float) -> float:
        return value * random.random() if random.random() < 0.67 else 0.0

    def every(value_ms: int) -> int | None:
        return random.randint(value_ms // 2, value_ms * 2) if random.random() < 0.67 else None

    lease_reads = random.random() < 0.2
    # A process that stands still doesn't tick, and a lease counts ticks: they don't go together.
    pause_every_ms = every(profile.pause_every_ms)
    return Rates(
        drop=sometimes(profile.drop),
        duplicate=sometimes(profile.duplicate),
        delay_ms=random.randint(1, profile.delay_ms),
        sync_ms=random.randint(1, profile.sync_ms),
        crash_at_point=sometimes(profile.crash_at_point),
        late=sometimes(profile.late),
        pause_every_ms=None if lease_reads else pause_every_ms,
        partition_every_ms=every(profile.partition_every_ms),
        transfer_every_ms=every(profile.transfer_every_ms),
        compact_every_ms=every(profile.compact_every_ms),
        clock_skew=1.0 + (profile.clock_skew - 1.0) * random.random(),
        max_inflight=random.choice((1, 2, 64)),
        max_append_bytes=random.choice((1, 200, 1 << 20)),
        lease_reads=lease_reads,
        churn_every_ms=_around(profile.churn_every_ms, random),
    )


def _around(value_ms: int | None, random: Random) -> int | None:
    """Half to twice as much, where it is to happen at all."""
    return None if value_ms is None else random.randint(value_ms // 2, value_ms * 2)
