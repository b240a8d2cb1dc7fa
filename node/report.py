"""What a node tells its operators of itself, as the admin port answers it and as commands read it.

It must not know how it is sent, nor how a node finds any of it.
"""

from __future__ import annotations

import msgspec


class PeerReport(msgspec.Struct, frozen=True):
    """Another node as this one sees it. `match_height` is 0 where this node doesn't lead."""

    node: str
    connected: bool
    match_height: int


class NodeReport(msgspec.Struct, frozen=True):
    """Where a node stands at `time_ms`. Heights are 0 before the first block.

    `not_ready` says why it can't take payments now, None where it can. `voters` and `learners` make up the
    cluster as this node knows it, `retired` says that the members let this node go. `missing_rules` are the
    height from which this program lacks the rules decided on, and their version. `certificate_days` are the
    days left of each certificate, by its name (node, api, ca).
    """

    node: str
    member: str
    network: str
    version: str
    started_ms: int
    time_ms: int
    role: str
    term: int
    leader: str | None
    stored_height: int
    committed_height: int
    executed_height: int
    certified_height: int
    not_ready: str | None
    voters: tuple[str, ...]
    learners: tuple[str, ...]
    certificate_days: dict[str, float]
    peers: tuple[PeerReport, ...]
    # A node that still runs the version before doesn't say these, and is asked all the same in an upgrade.
    retired: bool = False
    missing_rules: tuple[int, int] | None = None

    @property
    def part(self) -> str:
        """What the node is to the cluster: its role in Raft where it votes, else retired, learner or none."""
        if self.retired:
            return "retired"
        if self.node in self.voters:
            return self.role
        return "learner" if self.node in self.learners else "none"
