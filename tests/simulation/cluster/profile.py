"""What a seed may do to simulated nodes: sizes, durations, and the faults it draws its own rates from.

It must not know how faults are made. Times are virtual milliseconds.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Profile:
    """Upper bounds; each seed draws its own rates below them and switches some faults off altogether."""

    name: str
    cluster_sizes: tuple[int, ...] = (3, 3, 3, 5)
    setup_limit_ms: int = 20_000
    chaos_ms: int = 6_000
    healing_limit_ms: int = 60_000
    tick_ms: int = 50
    submit_every_ms: int = 80
    drop: float = 0.12
    duplicate: float = 0.08
    delay_ms: int = 40
    sync_ms: int = 20
    crash_at_point: float = 0.006
    partition_every_ms: int = 700
    clock_offset_ms: int = 1_400
    clock_drift: float = 0.02


@dataclass(frozen=True, slots=True)
class Rates:
    """What one seed does; `None` is never."""

    drop: float
    duplicate: float
    delay_ms: int
    sync_ms: int
    crash_at_point: float
    partition_every_ms: int | None
    clock_offset_ms: int
    clock_drift: float


HARSH = Profile("harsh")
CALM = Profile(
    "calm", drop=0.0, duplicate=0.0, crash_at_point=0.0, partition_every_ms=10**9, clock_offset_ms=0
)
PROFILES = {profile.name: profile for profile in (HARSH, CALM)}


def draw_rates(profile: Profile, random: Random) -> Rates:
    """One seed's own mixture: each fault is off in a third of the seeds."""

    def sometimes(value: float) -> float:
        return value * random.random() if random.random() < 0.67 else 0.0

    every = profile.partition_every_ms
    return Rates(
        drop=sometimes(profile.drop),
        duplicate=sometimes(profile.duplicate),
        delay_ms=random.randint(1, profile.delay_ms),
        sync_ms=random.randint(1, profile.sync_ms),
        crash_at_point=sometimes(profile.crash_at_point),
        partition_every_ms=random.randint(every // 2, every * 2) if random.random() < 0.67 else None,
        clock_offset_ms=int(sometimes(profile.clock_offset_ms)),
        clock_drift=sometimes(profile.clock_drift),
    )
