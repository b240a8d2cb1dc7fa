"""What a new network is to be: its members, their nodes and where those listen, and its assets.

Only values and their checks; it makes no keys and writes no files (that is node/provision.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from node.config import LogSection, Timing

PORTS_A_NODE = 3
DEFAULT_BASE_PORT = 7_400
DEFAULT_NETWORK = "nostrodev"
DEFAULT_ISSUER = "central-bank"
DEFAULT_ASSET = "EUR"
DEFAULT_ASSET_LIMIT = 10**15
"""What the issuer may issue, in minor units: ten trillion euros."""
MEMBERS = 1_000
"""A plan with more members is refused; a network grows further by governance."""

BANK_NAMES = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett",
    "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
)  # fmt: skip


class PlanError(ValueError):
    """A plan that can't become a network; the text names what is wrong with which member, node or asset."""


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node to be: its id, the host that others dial, and its three TCP ports."""

    id: str
    host: str
    peer_port: int
    api_port: int
    admin_port: int


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """A bank or another member; it may run one node at the start, or none."""

    id: str
    name: str
    node: PlannedNode | None = None


@dataclass(frozen=True, slots=True)
class PlannedAsset:
    """An asset, its issuer, and how much of it the issuer may issue (`limit`, minor units)."""

    code: str
    scale: int
    issuer: str
    limit: int


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A network to be. `seed` makes every key a function of it: for development only, never for money."""

    name: str
    members: tuple[PlannedMember, ...]
    assets: tuple[PlannedAsset, ...]
    timing: Timing = field(default_factory=Timing)
    log: LogSection = field(default_factory=LogSection)
    seed: bytes | None = None

    @property
    def nodes(self) -> tuple[tuple[PlannedMember, PlannedNode], ...]:
        """Every planned node with its member, in order of node id."""
        pairs = [(member, member.node) for member in self.members if member.node is not None]
        return tuple(sorted(pairs, key=lambda pair: pair[1].id))


def plan_network(
    *,
    name: str = DEFAULT_NETWORK,
    nodes: int = 3,
    banks: int | None = None,
    host: str = "127.0.0.1",
    base_port: int = DEFAULT_BASE_PORT,
    ports: Sequence[int] | None = None,
    assets: tuple[PlannedAsset, ...] | None = None,
    timing: Timing | None = None,
    log: LogSection | None = None,
    seed: bytes | None = None,
) -> NetworkPlan:
    """A usual plan: a central bank that issues and runs no node, and `banks` banks of which `nodes` run one.

    Ports are `ports` (three a node) or count up from `base_port`. Raises PlanError.
    """
    banks = nodes if banks is None else banks
    if nodes > banks:
        raise PlanError(
            f"{nodes} nodes need as many banks, and there are {banks}: a member runs one node at most."
        )
    numbers = list(ports) if ports is not None else [base_port + i for i in range(nodes * PORTS_A_NODE)]
    if len(numbers) < nodes * PORTS_A_NODE:
        raise PlanError(f"{nodes} nodes need {nodes * PORTS_A_NODE} ports, and {len(numbers)} were given.")
    members = [PlannedMember(DEFAULT_ISSUER, "Central Bank")]
    for index in range(banks):
        bank = _bank_name(index)
        node = PlannedNode(f"{bank}-1", host, *numbers[index * 3 : index * 3 + 3]) if index < nodes else None
        members.append(PlannedMember(bank, f"Bank {bank.capitalize()}", node))
    plan = NetworkPlan(
        name=name,
        members=tuple(members),
        assets=assets or (PlannedAsset(DEFAULT_ASSET, 2, DEFAULT_ISSUER, DEFAULT_ASSET_LIMIT),),
        timing=timing or Timing(),
        log=log or LogSection(),
        seed=seed,
    )
    check_plan(plan)
    return plan


def check_plan(plan: NetworkPlan) -> None:
    """Raise PlanError for what a genesis or a machine could not take; the genesis' own checks come after."""
    _check_text("network name", plan.name, r"[a-z]{3,16}")
    if not plan.nodes:
        raise PlanError("a network needs at least one member with a node.")
    if len(plan.members) > MEMBERS:
        raise PlanError(f"{len(plan.members)} members: a plan has at most {MEMBERS}.")
    _check_unique("member id", (member.id for member in plan.members))
    _check_unique("node id", (node.id for _, node in plan.nodes))
    _check_unique("asset code", (asset.code for asset in plan.assets))
    for member in plan.members:
        _check_text("member id", member.id, r"[a-z0-9-]{1,16}")
    _check_ports(plan)
    _check_assets(plan)


def _check_ports(plan: NetworkPlan) -> None:
    for _, node in plan.nodes:
        check_node(node)
    _check_unique(
        "port",
        (
            f"{node.host}:{port}"
            for _, node in plan.nodes
            for port in (node.peer_port, node.api_port, node.admin_port)
        ),
    )


def check_node(node: PlannedNode) -> None:
    """Raise PlanError unless the node's id and ports are such."""
    _check_text("node id", node.id, r"[a-z0-9-]{1,32}")
    for port in (node.peer_port, node.api_port, node.admin_port):
        if not 1 <= port <= 65_535:
            raise PlanError(f"node {node.id}: port {port} is not between 1 and 65535.")


def _check_assets(plan: NetworkPlan) -> None:
    members = {member.id for member in plan.members}
    for asset in plan.assets:
        _check_text("asset code", asset.code, r"[A-Z0-9]{3,12}")
        if asset.issuer not in members:
            raise PlanError(
                f"asset {asset.code}: its issuer {asset.issuer!r} is not among the members of the plan."
            )


def _check_text(what: str, text: str, pattern: str) -> None:
    if not re.fullmatch(pattern, text):
        raise PlanError(f"{what} {text!r} does not have the form {pattern}.")


def _check_unique(what: str, values: Iterable[str]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise PlanError(f"{what} {twice[0]!r} appears twice in the plan.")


def _bank_name(index: int) -> str:
    round_, place = divmod(index, len(BANK_NAMES))
    return BANK_NAMES[place] if round_ == 0 else f"{BANK_NAMES[place]}-{round_ + 1}"
