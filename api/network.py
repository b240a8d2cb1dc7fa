"""Reads of the network itself: members, nodes, assets, parameters, outcomes, and the cluster's state.

Must not know how any of it is changed.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.documented import documented
from api.reading import IMMUTABLE, MSGPACK, ReadQuery, answer, negotiate, ready, send
from api.render import outcome_shape
from api.render_network import (
    asset_shape,
    cluster_shape,
    member_shape,
    membership_shape,
    network_shape,
    node_shape,
    rules_shape,
    schedule_shape,
)
from api.shapes import (
    AssetsShape,
    ClusterShape,
    MembershipShape,
    MembersShape,
    NetworkShape,
    NodesShape,
    OutcomesShape,
    ParameterScheduleShape,
    RulesShape,
)
from ledger.outcome import Outcome

router = APIRouter(prefix="/v1", tags=["network"])

ReadParameters = Annotated[ReadQuery, Query()]

OUTCOME_TABLE: Final = OutcomesShape(tuple(outcome_shape(outcome) for outcome in Outcome))


@router.get("/members", **documented("listMembers", MembersShape))
async def list_members(request: Request, query: ReadParameters) -> Response:
    """The member banks."""
    host = await ready(request, query)
    members = await host.members()
    return answer(request, MembersShape(tuple(member_shape(member) for member in members)))


@router.get("/nodes", **documented("listNodes", NodesShape))
async def list_nodes(request: Request, query: ReadParameters) -> Response:
    """The nodes that members answer for."""
    host = await ready(request, query)
    nodes = await host.nodes()
    return answer(request, NodesShape(tuple(node_shape(node) for node in nodes)))


@router.get("/assets", **documented("listAssets", AssetsShape))
async def list_assets(request: Request, query: ReadParameters) -> Response:
    """The assets that accounts can hold."""
    host = await ready(request, query)
    network_name = host.names().network_name
    assets = await host.assets()
    return answer(request, AssetsShape(tuple(asset_shape(asset, network_name) for asset in assets)))


@router.get("/parameters", **documented("getParameters", ParameterScheduleShape))
async def get_parameters(request: Request, query: ReadParameters) -> Response:
    """The network's parameters, in force and scheduled."""
    host = await ready(request, query)
    return answer(request, schedule_shape(await host.parameters()))


@router.get("/membership", **documented("getMembership", MembershipShape))
async def get_membership(request: Request, query: ReadParameters) -> Response:
    """Which nodes make up the cluster, and the newest decision about it."""
    host = await ready(request, query)
    return answer(request, membership_shape(await host.membership()))


@router.get("/rules", **documented("getRules", RulesShape))
async def get_rules(request: Request, query: ReadParameters) -> Response:
    """The version of the rules that blocks follow, in force and scheduled."""
    host = await ready(request, query)
    return answer(request, rules_shape(await host.rules()))


@router.get("/outcomes", **documented("listOutcomes", OutcomesShape))
async def list_outcomes(request: Request, query: ReadParameters) -> Response:
    """Every outcome that a transaction can have, and what to do about it."""
    await ready(request, query)
    return answer(request, OUTCOME_TABLE)


@router.get("/network", **documented("getNetwork", NetworkShape, cached=True))
async def get_network(request: Request, query: ReadParameters) -> Response:
    """Which network this is, and the genesis document that it began with."""
    host = await ready(request, query)
    network = host.network()
    return answer(request, network_shape(network), tag=network.network_id.hex())


@router.get("/network/genesis", **documented("getGenesis", None, cached=True))
async def get_genesis(request: Request, query: ReadParameters) -> Response:
    """The genesis document in canonical bytes."""
    media = negotiate(request, (MSGPACK,))
    host = await ready(request, query)
    network = host.network()
    return send(request, network.genesis, media, tag=network.network_id.hex(), cache=IMMUTABLE)


@router.get("/cluster", **documented("getCluster", ClusterShape))
async def get_cluster(request: Request, query: ReadParameters) -> Response:
    """This node's view of the cluster: who leads, how far each node is, and whether there is a quorum."""
    host = await ready(request, query)
    return answer(request, cluster_shape(host.cluster()))
