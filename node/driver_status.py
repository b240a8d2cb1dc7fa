"""Where a node stands, put together for people and metrics from what the parts of its core say.

It must not know who asks, and changes nothing.
"""

from collections.abc import Mapping

from consensus.raft import Status
from node.driver_parts import Core
from node.marks import Marks
from node.mempool import Mempool
from node.results import DriverStatus, PeerView
from node.standing import membership_status


def driver_status(
    core: Core,
    raft: Status,
    told_height: int,
    mempool: Mempool,
    marks: Marks,
    missing_rules: tuple[int, int] | None,
    counters: Mapping[str, int],
) -> DriverStatus:
    """The status of the node; `counters` are all of its counts by name."""
    node_id, executed = core.config.node_id, core.executed()
    return DriverStatus(
        node_id=node_id,
        role=raft.role.value,
        term=raft.term,
        leader_id=raft.leader_id,
        has_quorum=core.standing.has_quorum,
        last_height=raft.last_index,
        committed_height=raft.commit,
        executed_height=executed.progress.height,
        certified_height=core.standing.certified,
        told_height=told_height,
        executed_time_ms=executed.progress.time_ms,
        pending=len(mempool),
        pending_bytes=mempool.size_bytes,
        membership=membership_status(node_id, executed),
        peers=_peers(core, raft, marks),
        missing_rules=missing_rules,
        counters=dict(counters),
    )


def _peers(core: Core, raft: Status, marks: Marks) -> tuple[PeerView, ...]:
    """The other members; only a leader knows how far their logs match its own."""
    connected = core.ports.peers.connected()
    matches = {peer.id: peer.match for peer in raft.peers}
    membership = core.executed().registry.membership.membership
    return tuple(
        PeerView(
            node_id=node,
            connected=node in connected,
            match=matches.get(node, 0),
            sealed_height=marks.sealed_height(node),
            votes=membership.votes(node),
        )
        for node in membership.nodes
        if node != core.config.node_id
    )
