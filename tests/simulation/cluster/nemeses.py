"""What goes wrong again and again while faults last: a nemesis strikes the machines or the links at
intervals.

It must not know what must hold in spite of it (oracle.py), nor which seeds it strikes (profile.py). What
lasts is undone by whoever heals the cluster: links are joined, clocks set right, processes go on.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from consensus.raft import Role
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import SimulatedNode
from tests.simulation.cluster.profile import (
    ABSENCE,
    BIT_FLIP,
    CHURN,
    CLOCK_JUMP,
    CUT_OFF_LEADER,
    LOST_QUORUM,
    PARTITION,
    PAUSE,
    PRUNING,
    RESTART,
)
from tests.simulation.cluster.world import World

MAX_JUMP_MS = 12_000
"""How far a clock jumps from the truth: beyond the 10 s over which a leader isn't listened to."""
MAX_PAUSE_MS = 1_500
"""How long a process stands still: three election timeouts."""

MAX_ABSENCE_MS = 7_000
"""How long a machine stays off: others join and come to lead meanwhile."""
LONG_MS = 1_500
"""Within this time after a machine fails the others forget blocks."""
KEPT_BLOCKS = 5
"""So many blocks below the certified one are kept at most."""
LEAST_VOTERS = 3
"""Of fewer, those whose logs aren't damaged are no majority."""


class Victims(Protocol):
    """What a nemesis may lay hands on."""

    world: World
    network: Network
    nodes: dict[str, SimulatedNode]

    def greet(self) -> None:
        """Let all links come up again."""
        ...

    def settled_voters(self) -> tuple[str, ...]:
        """The nodes that vote; nobody while that is to change."""
        ...

    def seals_needed(self) -> int:
        """How many of those who vote must seal a height, once anything is executed."""
        ...

    def govern(self) -> None:
        """Let the members decide on who makes up the cluster."""
        ...

    def lose_quorum(self) -> None:
        """Lose most machines for good, and let the others go on."""
        ...


def believes_to_lead(node: SimulatedNode) -> bool:
    """Whether this node takes itself for the leader."""
    return node.driver is not None and node.driver.status().role == Role.LEADER.value


def _some_leader(victims: Victims) -> str | None:
    leaders = [id_ for id_, node in victims.nodes.items() if believes_to_lead(node)]
    return victims.world.random.choice(leaders) if leaders else None


def _partition(victims: Victims) -> None:
    """Part some nodes from the others, in one direction or both; or join all again."""
    random, nodes = victims.world.random, list(victims.nodes)
    victims.network.join()
    if random.random() < 0.6:
        side = random.sample(nodes, random.randint(1, max(1, len(nodes) // 2)))
        _part(victims, side)
    else:
        victims.greet()


def _cut_off_leader(victims: Victims) -> None:
    """Part a leader from the others, so that it is deposed without hearing of it; or join all again."""
    victims.network.join()
    leader = _some_leader(victims)
    if leader is not None and victims.world.random.random() < 0.7:
        _part(victims, [leader])
    else:
        victims.greet()


def _part(victims: Victims, side: list[str]) -> None:
    random = victims.world.random
    both_ways, out = random.random() < 0.6, random.random() < 0.5
    victims.network.part(side, list(victims.nodes), out=both_ways or out, into=both_ways or not out)
    victims.world.counts["partitions both ways" if both_ways else "partitions one way"] += 1
    if any(believes_to_lead(victims.nodes[id_]) for id_ in side):
        victims.world.counts["partitions around a leader"] += 1


def _jump_clock(victims: Victims) -> None:
    """Set a machine's clock wrong, or right again."""
    random = victims.world.random
    node = victims.nodes[random.choice(list(victims.nodes))]
    if random.random() < 0.3:
        node.set_clock_right()
        return
    jump_ms = random.randint(-MAX_JUMP_MS, MAX_JUMP_MS)
    victims.world.counts[
        "clock jumps ahead" if node.set_clock_wrong(jump_ms) > 0 else "clock jumps back"
    ] += 1


def _pause(victims: Victims) -> None:
    """Let a process stand still, as SIGSTOP or a moved virtual machine does."""
    random = victims.world.random
    leader = _some_leader(victims)
    id_ = leader if leader is not None and random.random() < 0.5 else random.choice(list(victims.nodes))
    victims.world.counts["pauses"] += 1
    if id_ == leader:
        victims.world.counts["pauses of a leader"] += 1
    victims.nodes[id_].pause(random.uniform(10, MAX_PAUSE_MS))


def _restart(victims: Victims) -> None:
    """Ask a process to stop in good order, and start it again."""
    victims.nodes[victims.world.random.choice(list(victims.nodes))].restart()


def _leave_behind(victims: Victims) -> None:
    """Switch a machine off for long, and let the others forget the blocks that it then lacks."""
    random = victims.world.random
    left = victims.nodes[random.choice(list(victims.nodes))]
    if left.driver is not None:
        left.crash()
    for node in victims.nodes.values():
        kept = random.randint(0, KEPT_BLOCKS)
        victims.world.schedule(random.uniform(0, LONG_MS), partial(_prune, victims, node, kept))


def _prune(victims: Victims, node: SimulatedNode, kept: int) -> None:
    """Let a node forget blocks, unless another may need one of the newest to put its log right: nodes keep a
    thousand and more, not as few as here.
    """
    if not any(other.is_damaged for other in victims.nodes.values()):
        node.prune(kept)


def _stay_away(victims: Victims) -> None:
    """Switch a machine off for very long, unless another is off: then there might be no quorum."""
    random, nodes = victims.world.random, victims.nodes
    if all(node.driver is not None for node in nodes.values()):
        victims.world.counts["long absences"] += 1
        nodes[random.choice(list(nodes))].leave(random.uniform(MAX_ABSENCE_MS / 2, MAX_ABSENCE_MS))


def _flip_bit(victims: Victims) -> None:
    """Damage a voter's log, where the others are undamaged and have all that it may ask for: what it hasn't
    executed, and the block that is hit.

    As many as certify must need no snapshot either: as long as the newest block isn't certified, for which
    the damaged voter's seal may be missing, none can be given.
    """
    nodes, voters = victims.nodes, victims.settled_voters()
    if len(voters) < LEAST_VOTERS or any(node.is_damaged for node in nodes.values()):
        return
    chosen = nodes[victims.world.random.choice(voters)]
    others = [nodes[id_] for id_ in voters if id_ != chosen.id]
    pruned = max(node.pruned for node in others)
    enough = sum(node.holds(pruned) for node in others) >= victims.seals_needed()
    if enough and chosen.driver is not None and pruned <= chosen.driver.executed_height:
        chosen.damage(pruned)


STRIKES: Mapping[str, Callable[[Victims], None]] = {
    PARTITION.name: _partition,
    CUT_OFF_LEADER.name: _cut_off_leader,
    CLOCK_JUMP.name: _jump_clock,
    PAUSE.name: _pause,
    RESTART.name: _restart,
    BIT_FLIP.name: _flip_bit,
    PRUNING.name: _leave_behind,
    ABSENCE.name: _stay_away,
    CHURN.name: lambda victims: victims.govern(),
    LOST_QUORUM.name: lambda victims: victims.lose_quorum(),
}
"""What each nemesis does when it strikes."""
