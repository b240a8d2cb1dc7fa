"""What a seed may do to simulated nodes: sizes, durations, and the faults it draws its own rates from.

It must not know how faults are made (network.py, database.py, node.py, nemeses.py). Times are virtual
milliseconds. A new kind of fault is a nemesis, a profile that has it alone, and its place in HARSH.
"""

from dataclasses import dataclass, replace
from random import Random

from ledger.parameters import BYZANTINE_LEAST_CERTIFIERS, CertificateRule
from node.config import Timing

TIMINGS = (Timing(tick_ms=50, election_ticks=10, heartbeat_ticks=1), Timing())
"""Each seed has one: heartbeats with every tick, or a node's defaults; the same election timeout in both."""


@dataclass(frozen=True, slots=True)
class Nemesis:
    """What strikes (by its name in nemeses.py), and about how often in a profile."""

    name: str
    every_ms: int


PARTITION = Nemesis("partition", 700)
CUT_OFF_LEADER = Nemesis("cut off a leader", 900)
CLOCK_JUMP = Nemesis("clock jump", 900)
PAUSE = Nemesis("pause", 900)
RESTART = Nemesis("restart", 1_800)
CHURN = Nemesis("membership churn", 350)
BIT_FLIP = Nemesis("bit flip", 700)
LOST_QUORUM = Nemesis("lost quorum", 2_000)
ABSENCE = Nemesis("long absence", 1_500)
PRUNING = Nemesis("leave one behind and prune", 900)


@dataclass(frozen=True, slots=True)
class Profile:
    """Upper bounds, below which each seed draws its own rates; a `mixed` one switches some faults off.

    `must_happen` names the counts that a few dozen seeds of the profile must have raised above zero: a
    profile that never did its thing shows nothing.
    """

    name: str
    must_happen: tuple[str, ...]
    mixed: bool = False
    nemeses: tuple[Nemesis, ...] = ()
    cluster_sizes: tuple[int, ...] = (3, 3, 4, 5)
    setup_limit_ms: int = 20_000
    chaos_ms: int = 6_000
    healing_limit_ms: int = 60_000
    submit_every_ms: int = 80
    read_every_ms: int = 300
    drop: float = 0.0
    duplicate: float = 0.0
    delay_ms: int = 40
    sync_ms: int = 20
    stall: float = 0.0
    stall_ms: int = 1_500
    crash_at_point: float = 0.0
    crash_in_sync: float = 0.0
    keeps_any_write: bool = False
    clock_offset_ms: int = 0
    clock_drift: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What one seed does. Probabilities, bounds in milliseconds, and the intervals of its nemeses."""

    timing: Timing
    drop: float
    duplicate: float
    delay_ms: int
    sync_ms: int
    stall: float
    stall_ms: int
    crash_at_point: float
    crash_in_sync: float
    keeps_any_write: bool
    clock_offset_ms: int
    clock_drift: float
    nemeses: tuple[Nemesis, ...]


ALWAYS = (
    "audited transactions",
    "certificates verified",
    "elections",
    "executed executed",
    "first answer given again",
    "reads answered",
    "refused expired",
    "refused for good",
    "refused id_used_with_other_content",
    "refused insufficient_funds",
    "submitted twice at once",
)
"""What clients do and hear under every profile."""

BYZANTINE = "seeds under the byzantine rule"

NETWORK = ("messages lost", "messages duplicated")
PARTITIONED = (
    "partitions both ways",
    "partitions one way",
    "partitions around a leader",
    "refused no_quorum",
)
CRASHED = (
    "crashes after a job",
    "crashes after a write",
    "crashes before a message leaves",
    "crashes before a write",
    "crashes during a sync",
    "orderly restarts",
    "submitted to a node that was down",
)
LOSSY = ("crashes during a sync", "unsynced writes lost")
CLOCKS = ("clock jumps back", "clock jumps ahead", "log block_ahead_of_clock")
PAUSED = ("pauses", "pauses of a leader")
CHURNED = (
    "decisions to add a node",
    "decisions to remove a node",
    "decisions to replace a node",
    "decisions while one is pending",
    "leaders let go",
    "memberships: joint",
    "memberships: learner taken in",
    "memberships: node dropped",
)
READS = ("reads at a deposed leader", "reads at a follower", "reads refused", "partitions around a leader")

CALM = Profile("calm", ALWAYS)
PARTITIONS = replace(
    CALM,
    name="partitions",
    must_happen=(*ALWAYS, *NETWORK, *PARTITIONED, BYZANTINE),
    drop=0.12,
    duplicate=0.08,
    nemeses=(PARTITION,),
)
CRASHES = replace(
    CALM,
    name="crashes",
    must_happen=(*ALWAYS, *CRASHED, BYZANTINE),
    crash_at_point=0.006,
    nemeses=(RESTART,),
)
SLOW_DISKS = replace(
    CALM,
    name="slow-disks",
    must_happen=(*ALWAYS, "disk stalls"),
    sync_ms=200,
    stall=0.04,
)
LOSSY_DISKS = replace(
    CALM,
    name="lossy-disks",
    must_happen=(*ALWAYS, *LOSSY, "writes kept though an earlier one was lost"),
    crash_at_point=0.002,
    crash_in_sync=0.06,
    sync_ms=60,
    keeps_any_write=True,
)
CLOCK_JUMPS = replace(
    CALM,
    name="clocks",
    must_happen=(*ALWAYS, *CLOCKS),
    clock_offset_ms=1_400,
    clock_drift=0.02,
    nemeses=(CLOCK_JUMP,),
)
PAUSES = replace(
    CALM,
    name="pauses",
    must_happen=(*ALWAYS, *PAUSED),
    nemeses=(PAUSE,),
)
STRONG_READS = replace(
    CALM,
    name="reads",
    must_happen=(*ALWAYS, *READS),
    read_every_ms=60,
    drop=0.05,
    nemeses=(CUT_OFF_LEADER, PAUSE),
)
MEMBERSHIP = replace(
    CALM,
    name="membership",
    must_happen=(*ALWAYS, *CHURNED, "messages lost", "crashes"),
    cluster_sizes=(1, 2, 3, 3),
    chaos_ms=9_000,
    drop=0.05,
    crash_at_point=0.001,
    nemeses=(CHURN,),
)
JOINING = replace(
    MEMBERSHIP,
    name="joining",
    must_happen=(
        *ALWAYS,
        "long absences",
        "memberships: joint",
        "strangers introduced",
        "strangers refused",
        "voters that began with a snapshot",
    ),
    cluster_sizes=(3,),
    chaos_ms=14_000,
    submit_every_ms=60,
    drop=0.01,
    nemeses=(CHURN, replace(PRUNING, every_ms=2_500), ABSENCE),
)
RECOVERY = replace(
    CALM,
    name="recovery",
    must_happen=(
        *ALWAYS,
        *NETWORK,
        "answers lost with a quorum",
        "crashes",
        "recoveries",
        "recoveries by several",
        BYZANTINE,
    ),
    cluster_sizes=(3, 5, 5),
    drop=0.12,
    duplicate=0.08,
    crash_at_point=0.001,
    nemeses=(PARTITION, LOST_QUORUM),
)
SNAPSHOTS = replace(
    CALM,
    name="snapshots",
    must_happen=(*ALWAYS, "crashes", "snapshots begun", "snapshots installed", "stores pruned"),
    drop=0.05,
    crash_at_point=0.002,
    nemeses=(PRUNING,),
)
BIT_FLIPS = replace(
    CALM,
    name="bit-flips",
    must_happen=(
        *ALWAYS,
        "crashes",
        "bits flipped",
        "log record_repaired",
        "log log_repaired",
        "repairs put off",
    ),
    drop=0.05,
    crash_at_point=0.002,
    nemeses=(BIT_FLIP, PARTITION),
)
HARSH = replace(
    CALM,
    name="harsh",
    must_happen=(
        *ALWAYS,
        *NETWORK,
        *PARTITIONED,
        *CLOCKS,
        *PAUSED,
        *READS,
        "crashes",
        "disk stalls",
        "orderly restarts",
        "unsynced writes lost",
        "memberships: joint",
        "snapshots installed",
        "long absences",
        "bits flipped",
        BYZANTINE,
    ),
    mixed=True,
    drop=0.12,
    duplicate=0.08,
    crash_at_point=0.006,
    crash_in_sync=0.01,
    keeps_any_write=True,
    stall=0.02,
    clock_offset_ms=1_400,
    clock_drift=0.02,
    read_every_ms=150,
    nemeses=(
        PARTITION,
        CUT_OFF_LEADER,
        CLOCK_JUMP,
        PAUSE,
        RESTART,
        CHURN,
        PRUNING,
        ABSENCE,
        BIT_FLIP,
    ),
)

SINGLE = (
    PARTITIONS,
    CRASHES,
    SLOW_DISKS,
    LOSSY_DISKS,
    CLOCK_JUMPS,
    PAUSES,
    STRONG_READS,
    MEMBERSHIP,
    JOINING,
    RECOVERY,
    SNAPSHOTS,
    BIT_FLIPS,
)
"""One kind of fault each. HARSH has them all together but for LOST_QUORUM: its survivors are chosen among the
nodes of genesis, not among whoever votes by then.
"""
PROFILES = {profile.name: profile for profile in (*SINGLE, HARSH, CALM)}
CAMPAIGN = tuple(profile.name for profile in (*SINGLE, HARSH))
"""The profiles that a campaign takes in turn."""


def draw_rates(profile: Profile, random: Random) -> Rates:
    """One seed's own mixture: under a mixed profile each fault is off in a third of the seeds."""

    def happens() -> bool:
        return not profile.mixed or random.random() < 0.67

    def sometimes(value: float) -> float:
        return value * random.random() if happens() else 0.0

    return Rates(
        timing=random.choice(TIMINGS),
        drop=sometimes(profile.drop),
        duplicate=sometimes(profile.duplicate),
        delay_ms=random.randint(1, profile.delay_ms),
        sync_ms=random.randint(1, profile.sync_ms),
        stall=sometimes(profile.stall),
        stall_ms=profile.stall_ms,
        crash_at_point=sometimes(profile.crash_at_point),
        crash_in_sync=sometimes(profile.crash_in_sync),
        keeps_any_write=profile.keeps_any_write and happens(),
        clock_offset_ms=int(sometimes(profile.clock_offset_ms)),
        clock_drift=sometimes(profile.clock_drift),
        nemeses=tuple(
            Nemesis(nemesis.name, random.randint(nemesis.every_ms // 2, nemesis.every_ms * 2))
            for nemesis in profile.nemeses
            if happens()
        ),
    )


def draw_rule(size: int, random: Random) -> CertificateRule:
    """One seed's certificate rule: the byzantine one in half of the seeds that are large enough for it."""
    if size >= BYZANTINE_LEAST_CERTIFIERS and random.random() < 0.5:
        return CertificateRule.BYZANTINE
    return CertificateRule.MAJORITY
