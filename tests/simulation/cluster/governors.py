"""The members as they decide who makes up the cluster: new machines come in, old ones go, keys are rotated.

It must not know how a decision is carried out, nor whether it may be taken: now and then they ask for what
must be refused. A decision is a transaction like any other: submitted, retried and checked as the clients'.
"""

from collections.abc import Callable

from ledger.records import LEARNER, REGISTERED, NodeRecord
from ledger.registry import Registry
from tests.simulation.cluster.bank import ISSUER, Bank
from tests.simulation.cluster.clients import Clients
from tests.simulation.cluster.world import World

SPARE_BANKS = 2
"""Banks that have no node at first."""
MOST_VOTERS = 5
FEWEST_VOTERS = 2


class Governors:
    """All members together."""

    def __init__(
        self, world: World, banks: list[str], bank: Bank, clients: Clients, power_on: Callable[[str], None]
    ) -> None:
        """Of all `banks`, who have decided nothing; `power_on` starts the machine of a new node."""
        self._world = world
        self._banks = banks
        self._bank = bank
        self._clients = clients
        self._power_on = power_on

    def act(self, registry: Registry, height: int, leader: str | None) -> None:
        """Decide something, on what is executed at this height."""
        random = self._world.random
        if registry.membership_pending(height):
            if random.random() < 0.15:
                self._world.counts["decisions while one is pending"] += 1
                self._decide(registry, height, None, random.choice(registry.membership.voters))
            return
        waiting = [node for node in registry.nodes.values() if node.status in (REGISTERED, LEARNER)]
        if waiting and random.random() < 0.8:
            self._bring_in(registry, height, random.choice(waiting))
        elif random.random() < 0.5:
            self._let_go(registry, height, leader)
        else:
            self._register(registry)

    def _register(self, registry: Registry) -> None:
        """Another node of some bank: a spare one's first, or one to take the place of the bank's node."""
        member = self._world.random.choice(self._banks)
        node, tx_id = f"n{len(registry.nodes)}", self._clients.new_id()
        raw = self._bank.set_node(member, node, tx_id, self._clients.validity())
        self._clients.order(raw, member.encode(), tx_id, ())
        self._power_on(node)

    def _bring_in(self, registry: Registry, height: int, node: NodeRecord) -> None:
        voters = registry.membership.voters
        own = [voter for voter in voters if registry.nodes[voter].member == node.member]
        if own:
            self._world.counts["decisions to replace a node"] += 1
            self._decide(registry, height, node.id, own[0])
        elif len(voters) < MOST_VOTERS:
            self._world.counts["decisions to add a node"] += 1
            self._decide(registry, height, node.id, None)

    def _let_go(self, registry: Registry, height: int, leader: str | None) -> None:
        random, voters = self._world.random, registry.membership.voters
        if len(voters) > FEWEST_VOTERS:
            self._world.counts["decisions to remove a node"] += 1
            chosen = leader if leader in voters and random.random() < 0.5 else random.choice(voters)
            self._decide(registry, height, None, chosen)

    def _decide(self, registry: Registry, height: int, add: str | None, remove: str | None) -> None:
        tx_id, random = self._clients.new_id(), self._world.random
        voting = add is not None and (remove is not None or random.random() < 0.85)
        version = registry.membership_decisions.version
        raw = self._bank.set_membership(
            (add, remove), version, tx_id, self._clients.validity(), voting=voting
        )
        self._clients.order(raw, ISSUER.encode(), tx_id, ())
