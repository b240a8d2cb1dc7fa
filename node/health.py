"""Whether a node is ready, and where it stands, found from its parts for its operators.

It must not know who asks, nor how the answer is sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.driver import Driver
from node.report import NodeReport, PeerReport
from node.results import DriverStatus
from node.service import About

READY_LAG_BLOCKS = 64
"""A node that is further behind what it knows, or is told by the leader, to be committed isn't ready yet."""


def why_not_ready(driver: Driver) -> str | None:
    """Why this node can't take payments now, or None where it can."""
    status = driver.status()
    if status.membership.is_let_go:
        return "retired: the members let this node go; stop it, it hears of nothing any more"
    if not _takes_part(status):
        return "not in the cluster, as far as it knows: it waits until the members have added it"
    if status.leader_id is None or not status.has_quorum:
        return "no leader with a majority behind it is known"
    behind = max(status.committed_height, status.told_height) - status.executed_height
    if behind > READY_LAG_BLOCKS:
        return f"{behind} committed blocks are still to be executed"
    if status.executed_height == 0:
        return "the first block of the leader's term is not executed yet"
    return None


def _takes_part(status: DriverStatus) -> bool:
    """Whether the node votes or learns, as the chain has it that this node has executed."""
    membership = status.membership
    return status.node_id in {*membership.voters, *membership.outgoing, *membership.learners}


def node_report(
    driver: Driver, network: str, about: About, now_ms: int, certificate_days: Mapping[str, float]
) -> NodeReport:
    """Where the node stands at `now_ms`; `certificate_days` are the days left of its certificates."""
    status = driver.status()
    return NodeReport(
        node=status.node_id,
        member=about.member,
        network=network,
        version=about.version,
        started_ms=about.started_ms,
        time_ms=now_ms,
        role=status.role,
        term=status.term,
        leader=status.leader_id,
        stored_height=status.last_height,
        committed_height=status.committed_height,
        executed_height=status.executed_height,
        certified_height=status.certified_height,
        not_ready=why_not_ready(driver),
        voters=tuple(sorted({*status.membership.voters, *status.membership.outgoing})),
        learners=status.membership.learners,
        retired=status.membership.is_let_go,
        missing_rules=status.missing_rules,
        certificate_days={name: round(days, 1) for name, days in certificate_days.items()},
        peers=tuple(PeerReport(peer.node_id, peer.connected, peer.match) for peer in status.peers),
    )
