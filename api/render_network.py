"""From what a Host says of the network and of the cluster to the shapes that are sent.

Must not know of requests or of the Host: it is given values and the names to show them by.
"""

from __future__ import annotations

from typing import Final

from api.ports import ClusterView, MembershipView, NetworkView, ParametersView, PeerView, RulesView
from api.render import policy_shape
from api.shapes import (
    AssetShape,
    ClusterShape,
    DecisionShape,
    MemberShape,
    MembershipShape,
    NetworkShape,
    NodeShape,
    ParameterScheduleShape,
    ParametersShape,
    PeerShape,
    RulesShape,
    ScheduledRulesShape,
    ScheduledShape,
)
from ledger.codec import optional
from ledger.keys import address
from ledger.parameters import CertificateRule, Parameters
from ledger.records import LEARNER, REGISTERED, RETIRED, VOTING, AssetRecord, MemberRecord, NodeRecord

_NODE_STATUS: Final = {REGISTERED: "registered", VOTING: "voting", RETIRED: "retired", LEARNER: "learner"}


def member_shape(member: MemberRecord) -> MemberShape:
    """A member bank."""
    return MemberShape(
        number=member.number,
        id=member.id,
        name=member.name,
        admin_policy=policy_shape(member.admin_policy),
        teller_policy=policy_shape(member.teller_policy),
        version=member.version,
        since_height=member.since_height,
    )


def node_shape(node: NodeRecord) -> NodeShape:
    """A registered node."""
    return NodeShape(
        id=node.id,
        member=node.member,
        key=node.key.hex(),
        address=node.address,
        status=_NODE_STATUS[node.status],
        version=node.version,
        since_height=node.since_height,
    )


def asset_shape(asset: AssetRecord, network_name: str) -> AssetShape:
    """An asset and its issuance account."""
    return AssetShape(
        code=asset.code,
        scale=asset.scale,
        issuer=asset.issuer,
        account=address(network_name, asset.account),
        since_height=asset.since_height,
    )


def parameters_shape(parameters: Parameters) -> ParametersShape:
    """A set of parameters, the rule by its name."""
    return ParametersShape(
        block_bytes=parameters.block_bytes,
        block_envelopes=parameters.block_envelopes,
        envelope_bytes=parameters.envelope_bytes,
        signers=parameters.signers,
        certificate_rule=CertificateRule(parameters.certificate_rule).name.lower(),
    )


def schedule_shape(view: ParametersView) -> ParameterScheduleShape:
    """The parameters in force and the whole schedule."""
    schedule = tuple(ScheduledShape(height, parameters_shape(value)) for height, value in view.schedule)
    return ParameterScheduleShape(
        version=view.version, current=parameters_shape(view.current), schedule=schedule
    )


def membership_shape(view: MembershipView) -> MembershipShape:
    """Who makes up the cluster, and the newest decision about it."""
    record, decision = view.membership, view.decision
    return MembershipShape(
        version=record.version,
        voters=record.voters,
        outgoing=record.outgoing,
        learners=record.learners,
        changed_height=record.changed_height,
        certificate_rule=CertificateRule(view.certificate_rule).name.lower(),
        decision=DecisionShape(
            version=view.decision_version,
            from_height=view.from_height,
            add=optional(decision.add),
            voting=decision.voting,
            remove=optional(decision.remove),
            pending=view.pending,
        ),
    )


def rules_shape(view: RulesView) -> RulesShape:
    """The version of the rules in force and the whole schedule."""
    schedule = tuple(ScheduledRulesShape(height, rules) for height, rules in view.schedule)
    return RulesShape(version=view.version, current=view.current, schedule=schedule)


def network_shape(view: NetworkView) -> NetworkShape:
    """Which network this is."""
    return NetworkShape(view.name, view.network_id.hex(), view.genesis)


def cluster_shape(view: ClusterView) -> ClusterShape:
    """One node's view of the cluster."""
    return ClusterShape(
        node=view.node,
        member=view.member,
        role=view.role,
        votes=view.votes,
        membership_version=view.membership_version,
        term=view.term,
        quorum=view.quorum,
        committed_height=view.committed_height,
        executed_height=view.executed_height,
        certified_height=view.certified_height,
        peers=tuple(_peer(peer) for peer in view.peers),
        version=view.version,
        started_ms=view.started_ms,
        leader=None if view.leader is None else view.leader.node,
        leader_url=None if view.leader is None else view.leader.url,
    )


def _peer(peer: PeerView) -> PeerShape:
    return PeerShape(
        node=peer.node,
        member=peer.member,
        address=peer.address,
        connected=peer.connected,
        votes=peer.votes,
        api_url=peer.api_url,
        match_height=peer.match_height,
        last_heard_ms=peer.last_heard_ms,
    )
