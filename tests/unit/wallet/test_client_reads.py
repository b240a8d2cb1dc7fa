"""Reads against real servers, and that the client's values are those that the API sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest

from api import problems, shapes
from ledger.outcome import Outcome
from tests.unit.wallet.played_nodes import (
    breaks_off,
    envelope,
    gone_url,
    hangs,
    hangs_up,
    play,
    refuses,
    says,
)
from wallet import answers, network_answers, transport
from wallet.client import Client, Freshness
from wallet.errors import NotReachable, ProtocolError
from wallet.replies import NotFound, Refused
from wallet.submission import view_outcome

T = TypeVar("T")
DEADLINE_MS = 250
MEMBERS = says(b'{"members": []}')
MSGPACK = "application/msgpack"


async def at_once(_: float) -> None:
    """Doesn't pause."""


async def read(url: str | list[str], use: Callable[[Client], Awaitable[T]], timeout_ms: int = 20_000) -> T:
    urls = [url] if isinstance(url, str) else url
    async with Client(urls, timeout_ms=timeout_ms, pause=at_once) as client:
        return await use(client)


PAIRS = [
    (answers.OutcomeView, shapes.OutcomeShape),
    (answers.Place, shapes.PlaceShape),
    (answers.Submitted, shapes.SubmitShape),
    (answers.BatchItem, shapes.BatchItemShape),
    (answers.Batch, shapes.BatchShape),
    (answers.Problem, problems.Problem),
    (answers.Simulated, shapes.SimulateShape),
    (answers.Payment, shapes.PaymentShape),
    (answers.ReceiptBytes, shapes.ReceiptShape),
    (answers.Policy, shapes.PolicyShape),
    (answers.PolicyKey, shapes.PolicyKeyShape),
    (answers.Account, shapes.AccountShape),
    (answers.Entry, shapes.EntryShape),
    (answers.History, shapes.HistoryShape),
    (answers.AccountProof, shapes.ProofShape),
    (answers.Block, shapes.BlockShape),
    (answers.Blocks, shapes.BlocksShape),
    (answers.NodeSignature, shapes.SignatureShape),
    (answers.Certificate, shapes.CertificateShape),
    (network_answers.Member, shapes.MemberShape),
    (network_answers.Node, shapes.NodeShape),
    (network_answers.Asset, shapes.AssetShape),
    (network_answers.Parameters, shapes.ParametersShape),
    (network_answers.ScheduledParameters, shapes.ScheduledShape),
    (network_answers.ParameterSchedule, shapes.ParameterScheduleShape),
    (answers.Change, shapes.ChangeShape),
    (network_answers.Decision, shapes.DecisionShape),
    (network_answers.Membership, shapes.MembershipShape),
    (network_answers.ScheduledRules, shapes.ScheduledRulesShape),
    (network_answers.RulesSchedule, shapes.RulesShape),
    (network_answers.Network, shapes.NetworkShape),
    (network_answers.Peer, shapes.PeerShape),
    (network_answers.Cluster, shapes.ClusterShape),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_in_step_with_the_api(ours: type[msgspec.Struct], theirs: type[msgspec.Struct]) -> None:
    """Each value that the client reads has the API's fields, and needs none that may be absent."""
    mine = {field.encode_name: field.required for field in msgspec.structs.fields(ours)}
    sent = {field.encode_name: field.required for field in msgspec.structs.fields(theirs)}
    assert mine == sent


def test_path_and_query() -> None:
    """Parts of the path are escaped; how fresh the answer must be and the author go in the query."""

    async def scenario() -> list[str]:
        async with play(says(b"\x90", media_type=MSGPACK)) as node:
            fresh = Freshness(min_height=9, strong=True)
            assert await read(node.url, lambda client: client.block_raw("a/b?c")) == b"\x90"
            assert await read(node.url, lambda client: client.header(3)) == b"\x90"
            assert await read(node.url, lambda client: client.receipt("id", "bank", fresh)) == b"\x90"
            return [path for _, path, _ in node.requests]

    assert asyncio.run(scenario()) == [
        "/v1/blocks/a%2Fb%3Fc/raw",
        "/v1/blocks/3/header",
        "/v1/payments/id/receipt?author=bank&min_height=9&consistency=strong",
    ]


def test_not_found() -> None:
    """What isn't there is said at once, without asking the other nodes."""

    async def scenario() -> int:
        async with play(refuses(404)) as node, play(MEMBERS) as other:
            with pytest.raises(NotFound, match="r") as caught:
                await read([node.url, other.url], lambda client: client.account("x"))
            assert caught.value.problem.status == 404
            return len(other.requests)

    assert asyncio.run(scenario()) == 0


def test_refused() -> None:
    """Another refusal carries the node's problem and its remedy."""

    async def scenario() -> None:
        async with play(refuses(409, type_="urn:nostro:problem:ambiguous_id")) as node:
            await read(node.url, lambda client: client.payment("x"))

    with pytest.raises(Refused) as caught:
        asyncio.run(scenario())
    assert caught.value.problem.type == "urn:nostro:problem:ambiguous_id"
    assert caught.value.remedy == "r"


@pytest.mark.parametrize(
    "first",
    [hangs_up, breaks_off, refuses(503, Outcome.NO_QUORUM), says(b"<html>", 502, "text/html"), says(b"[]")],
)
def test_another_node_answers(first: Any) -> None:
    """A node that fails, or that speaks nonsense, is passed over."""

    async def scenario() -> tuple[network_answers.Member, ...]:
        async with play(first) as node, play(MEMBERS) as other:
            return await read([node.url, other.url], lambda client: client.members())

    assert asyncio.run(scenario()) == ()


def test_node_that_is_gone() -> None:
    """A refused connection turns to the next node."""

    async def scenario() -> tuple[network_answers.Member, ...]:
        async with play(MEMBERS) as node:
            return await read([gone_url(), node.url], lambda client: client.members())

    assert asyncio.run(scenario()) == ()


@pytest.mark.parametrize("url", [None, "http://nowhere.invalid:1"])
def test_nobody_there(url: str | None) -> None:
    """Without any node the error says whom it asked, by the deadline."""
    with pytest.raises(NotReachable, match="can't be reached"):
        asyncio.run(read(url or gone_url(), lambda client: client.members(), DEADLINE_MS))


def test_all_hang() -> None:
    """A read is over by its deadline too."""

    async def scenario() -> None:
        async with play(hangs) as node:
            await read(node.url, lambda client: client.cluster(), DEADLINE_MS)

    started_s = time.monotonic()
    with pytest.raises(NotReachable, match="didn't answer"):
        asyncio.run(scenario())
    assert time.monotonic() - started_s < 4 * DEADLINE_MS / 1000


def test_no_quorum_at_the_deadline() -> None:
    """A strong read without a quorum ends as the problem that the nodes told."""

    async def scenario() -> None:
        async with play(refuses(503, Outcome.NO_QUORUM)) as node:
            await read(node.url, lambda client: client.members(Freshness(strong=True)), DEADLINE_MS)

    with pytest.raises(Refused) as caught:
        asyncio.run(scenario())
    assert caught.value.problem.outcome == Outcome.NO_QUORUM


@pytest.mark.parametrize(
    "scene", [says(b"[]"), says(b"{" * 9), says(b"[" * 99_999), says(b"{}", 404), says(b"", 302)]
)
def test_not_a_node(scene: Any) -> None:
    """Where only something else answers, the error names the URL."""

    async def scenario() -> None:
        async with play(scene) as node:
            await read(node.url, lambda client: client.members())

    with pytest.raises(ProtocolError, match=r"127\.0\.0\.1"):
        asyncio.run(scenario())


def test_bytes_of_another_media_type() -> None:
    """Bytes are taken only as MessagePack: a page that says sorry is no block."""

    async def scenario() -> None:
        async with play(says(b"sorry", media_type="text/plain")) as node:
            await read(node.url, lambda client: client.block_raw(1))

    with pytest.raises(ProtocolError):
        asyncio.run(scenario())


def test_receipt_waits_for_its_certificate() -> None:
    """A payment that isn't certified yet is asked for again."""

    async def scenario() -> tuple[bytes, int]:
        not_yet = refuses(409, type_="urn:nostro:problem:not_certified")
        async with play(not_yet, not_yet, says(b"receipt", media_type=MSGPACK)) as node:
            return await read(node.url, lambda client: client.receipt("x")), len(node.requests)

    assert asyncio.run(scenario()) == (b"receipt", 3)


def test_proof_waits_for_its_certificate() -> None:
    """A node is asked to answer before the client gives up on it, and again while it has no certificate."""
    proof = answers.AccountProof(address="a", height=1, proof=b"p", seal=b"s", seals=(), certificate=b"c")

    async def scenario() -> tuple[answers.AccountProof, list[str]]:
        not_yet = refuses(409, type_="urn:nostro:problem:not_certified")
        async with (
            play(not_yet, says(msgspec.json.encode(proof))) as node,
            Client([node.url], attempt_timeout_ms=5_000) as client,
        ):
            return await client.account_proof("a"), [path for _, path, _ in node.requests]

    assert asyncio.run(scenario()) == (proof, ["/v1/accounts/a/proof?timeout_ms=4000"] * 2)


def test_history_goes_through_the_pages() -> None:
    """All entries come, newest first, each page by the cursor of the one before."""

    def page(entries: list[int], following: str | None) -> Any:
        shown = [
            answers.Entry(
                entry=entry,
                height=entry,
                index=0,
                time_ms=0,
                tx_id="",
                author="",
                kind="transfer",
                outcome=view_outcome(Outcome.EXECUTED),
                debit="0.00",
                credit="0.01",
                envelope={},
            )
            for entry in entries
        ]
        return says(msgspec.json.encode(answers.History(tuple(shown), following)))

    async def scenario() -> tuple[list[int], list[str]]:
        async with play(page([3, 2], "c2"), page([1], None)) as node, Client([node.url]) as client:
            entries = [entry.entry async for entry in client.history("acc", page=2)]
            return entries, [path for _, path, _ in node.requests]

    entries, paths = asyncio.run(scenario())
    assert entries == [3, 2, 1]
    assert paths == ["/v1/accounts/acc/payments?limit=2", "/v1/accounts/acc/payments?limit=2&cursor=c2"]


@pytest.mark.parametrize(("size", "fits"), [(1_000, True), (1_001, False)])
def test_answer_size_is_bounded(size: int, fits: bool) -> None:
    """An answer of the most bytes is read; of one more it is not."""

    async def scenario() -> transport.Reply:
        async with play(says(b"x" * size)) as node, transport.Transport(None) as connections:
            request = transport.Request(method="GET", path="/", most_bytes=1_000)
            return await connections.exchange(node.url, request, 5.0)

    if fits:
        assert len(asyncio.run(scenario()).body) == size
    else:
        with pytest.raises(transport.Lost, match="more than 1,000 bytes"):
            asyncio.run(scenario())


def test_redirects_are_not_followed() -> None:
    """A node can't send a payment elsewhere by redirecting it."""

    async def scenario() -> int:
        async with play(MEMBERS) as other, play(says(b"", 307, headers={"Location": other.url})) as node:
            with pytest.raises(ProtocolError):
                await read(node.url, lambda client: client.submit(envelope()))
            return len(other.requests)

    assert asyncio.run(scenario()) == 0
