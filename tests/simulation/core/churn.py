"""What a simulated operator asks of the membership next: mostly legal steps, of any size.

It must not know whether a step is legal or succeeds: the core says so, and the oracle what it led to.
"""

from collections.abc import Sequence
from random import Random

from consensus.messages import Membership, NodeId

NONSENSE = 0.1


def propose_step(random: Random, current: Membership, nodes: Sequence[NodeId]) -> Membership:
    """One step from the membership in force, among all the nodes there are."""
    if random.random() < NONSENSE:
        return Membership(*(_some(random, nodes) for _ in range(3)))
    if current.outgoing:
        return leave(current)
    choices = [_joint(random, current)]
    if outsiders := sorted(set(nodes) - set(current.all_nodes())):
        learners = (*current.learners, random.choice(outsiders))
        choices += [Membership(current.voters, learners=learners)] * 2
    if current.learners:
        retired = random.choice(current.learners)
        choices.append(Membership(current.voters, learners=_without(current.learners, retired)))
    return random.choice(choices)


def leave(joint: Membership) -> Membership:
    """The end of a joint membership."""
    let_go = [node for node in joint.outgoing if node not in joint.voters]
    return Membership(joint.voters, learners=(*joint.learners, *let_go))


def _joint(random: Random, current: Membership) -> Membership:
    """Mostly one voter more or less, or one in place of another; now and then quite other voters."""
    nodes = current.all_nodes()
    voters = set(current.voters)
    if random.random() < 0.2:
        voters = set(_some(random, nodes)) or voters
    else:
        voters ^= {random.choice(nodes)}
        voters ^= {random.choice(nodes)}
    remaining = tuple(sorted(voters or current.voters))
    learners = tuple(node for node in current.learners if node not in remaining)
    return Membership(remaining, current.voters, learners)


def _some(random: Random, nodes: Sequence[NodeId]) -> tuple[NodeId, ...]:
    return tuple(node for node in nodes if random.random() < 0.5)


def _without(nodes: Sequence[NodeId], node: NodeId) -> tuple[NodeId, ...]:
    return tuple(other for other in nodes if other != node)
