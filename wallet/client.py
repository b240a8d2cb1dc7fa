"""The client of the nodes' API: submits payments safely and reads, from whichever node answers.

Submitting never hangs and never pays twice: the same bytes go to one node after another until the outcome is
known or the deadline has come, and then the answer says "unknown". Reads raise typed errors. It must not know
keys or how payments are built; bytes go in.
"""

from __future__ import annotations

import asyncio
import random as random_source
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TypeVar
from urllib.parse import quote

import msgspec

from ledger.codec import Malformed, encode
from ledger.envelope import MAX_SIGNERS, EnvelopeLimits, decode_envelope
from ledger.parameters import PARAMETER_RANGES
from wallet import answers, network_answers
from wallet.answers import Answer, Wait
from wallet.delivery import Delivery, Pause, node_timeout_ms
from wallet.endpoints import Endpoints
from wallet.errors import BatchTooLarge, PaymentMalformed
from wallet.ids import format_tx_id
from wallet.replies import decode_bytes, decode_json
from wallet.submission import Submission
from wallet.transport import Request, Transport, tls_context

MOST_BATCH_ENVELOPES = 1_000
MOST_BATCH_BYTES = 8 * 1024 * 1024
DEFAULT_TIMEOUT_MS = 30_000
DEFAULT_ATTEMPT_TIMEOUT_MS = 10_000
MOST_PAGE = 200
_WIDEST = EnvelopeLimits(envelope_bytes=PARAMETER_RANGES["envelope_bytes"][1], signers=MAX_SIGNERS)
_MSGPACK = "application/msgpack"
_NOT_CERTIFIED = frozenset({"urn:nostro:problem:not_certified"})

T = TypeVar("T")


class Freshness(msgspec.Struct, frozen=True):
    """How new a read must be: of `min_height` (reads one's own writes), or linearizable (`strong`)."""

    min_height: int = 0
    strong: bool = False


ANY = Freshness()
NO_QUERY: Mapping[str, str] = MappingProxyType({})


class Client:
    """Talks to the nodes at `urls`; use it as `async with Client(urls) as client`.

    `timeout_ms` bounds every call as a whole, `attempt_timeout_ms` what one node may take of it. With
    `ca_file` (PEM) those CAs alone are trusted; `tls` takes a whole context instead. `random` gives the
    jitter.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        ca_file: Path | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
        attempt_timeout_ms: int = DEFAULT_ATTEMPT_TIMEOUT_MS,
        random: Callable[[], float] = random_source.random,
        pause: Pause = asyncio.sleep,
    ) -> None:
        if timeout_ms < 1 or attempt_timeout_ms < 1:
            raise ValueError(f"Timeouts are 1 ms or more, not {timeout_ms} and {attempt_timeout_ms}.")
        endpoints = Endpoints(urls, random)
        if tls is None and any(url.startswith("https:") for url in urls):
            tls = tls_context(ca_file)
        self._timeout_ms = timeout_ms
        self._attempt_timeout_s = min(attempt_timeout_ms, timeout_ms) / 1_000
        self._transport = Transport(tls)
        self._delivery = Delivery(endpoints, self._transport, pause, attempt_timeout_ms / 1000)

    async def __aenter__(self) -> Client:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def submit(self, envelope: bytes, wait: Wait = "executed", timeout_ms: int | None = None) -> Answer:
        """Submit one envelope, again and again the same bytes until its outcome is known or the time is over.

        Never raises for what nodes say or don't say of it: see Answer. Raises PaymentMalformed before
        anything is sent, and ProtocolError where what answers is no node.
        """
        submission = Submission(_tx_id(envelope), wait)
        return await self._delivery.submit("/v1/payments", envelope, submission, self._seconds(timeout_ms))

    async def submit_batch(
        self, envelopes: Sequence[bytes], wait: Wait = "executed", timeout_ms: int | None = None
    ) -> list[Answer]:
        """Submit up to 1,000 envelopes in one request; the answers are in their order. Raises as `submit`
        does.

        Only those without an outcome are submitted again. Raises BatchTooLarge.
        """
        size_bytes = len(encode(list(envelopes)))
        if len(envelopes) > MOST_BATCH_ENVELOPES or size_bytes > MOST_BATCH_BYTES:
            raise BatchTooLarge(
                f"{len(envelopes):,} payments of {size_bytes:,} bytes don't go in one batch.",
                f"Submit at most {MOST_BATCH_ENVELOPES:,} and {MOST_BATCH_BYTES:,} bytes at once.",
            )
        if not envelopes:
            return []
        submissions = [Submission(_tx_id(envelope), wait) for envelope in envelopes]
        return await self._delivery.submit_batch(
            "/v1/payments/batch",
            lambda places: encode([envelopes[place] for place in places]),
            submissions,
            self._seconds(timeout_ms),
        )

    async def simulate(self, envelope: bytes) -> answers.Simulated:
        """The outcome that the envelope would have now; nothing is submitted."""
        request = Request(method="POST", path="/v1/simulate", body=envelope, media_type=_MSGPACK)
        return await self._delivery.read(request, decode_json(answers.Simulated), self._seconds(None))

    async def payment(self, tx_id: str, author: str | None = None, fresh: Freshness = ANY) -> answers.Payment:
        """A transaction by its id; `author` (address or member id) where several used the id."""
        return await self._get(f"/v1/payments/{_path(tx_id)}", answers.Payment, fresh, _author(author))

    async def receipt(self, tx_id: str, author: str | None = None, fresh: Freshness = ANY) -> bytes:
        """The receipt's canonical bytes, to be verified offline; waits for the certificate until then."""
        path = f"/v1/payments/{_path(tx_id)}/receipt"
        request = Request(method="GET", path=path, accept=_MSGPACK, query=self._query(fresh, _author(author)))
        return await self._delivery.read(request, decode_bytes, self._seconds(None), wait_for=_NOT_CERTIFIED)

    async def account(self, address: str, fresh: Freshness = ANY) -> answers.Account:
        """An account's record."""
        return await self._get(f"/v1/accounts/{_path(address)}", answers.Account, fresh)

    async def account_proof(self, address: str, fresh: Freshness = ANY) -> answers.AccountProof:
        """A proof of an account's record, or of its absence; waits for the certificate until then."""
        query = self._query(fresh, {"timeout_ms": node_timeout_ms(self._attempt_timeout_s)})
        request = Request(method="GET", path=f"/v1/accounts/{_path(address)}/proof", query=query)
        decode = decode_json(answers.AccountProof)
        return await self._delivery.read(request, decode, self._seconds(None), wait_for=_NOT_CERTIFIED)

    async def history(
        self, address: str, fresh: Freshness = ANY, page: int = MOST_PAGE
    ) -> AsyncIterator[answers.Entry]:
        """An account's history, newest first, read a page (1 to 200 entries) at a time.

        Raises Refused where the node that answers has forgotten the rest; `history_page` says so before.
        """
        cursor: str | None = None
        while True:
            found = await self.history_page(address, cursor, fresh, page)
            for entry in found.payments:
                yield entry
            if found.next is None:
                return
            cursor = found.next

    async def history_page(
        self, address: str, cursor: str | None = None, fresh: Freshness = ANY, limit: int = MOST_PAGE
    ) -> answers.History:
        """One page of it, from `next` of the page before on."""
        query = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        return await self._get(f"/v1/accounts/{_path(address)}/payments", answers.History, fresh, query)

    async def block(self, block: int | str, fresh: Freshness = ANY) -> answers.Block:
        """A block's header by height, by hash, or "latest"."""
        return await self._get(f"/v1/blocks/{_path(block)}", answers.Block, fresh)

    async def blocks(
        self, before: int | None = None, limit: int = 20, fresh: Freshness = ANY
    ) -> answers.Blocks:
        """A page of blocks below the height `before`, newest first."""
        query = {"limit": str(limit)} | ({} if before is None else {"before": str(before)})
        return await self._get("/v1/blocks", answers.Blocks, fresh, query)

    async def block_raw(self, block: int | str, fresh: Freshness = ANY) -> bytes:
        """A whole block in canonical bytes."""
        return await self._get_bytes(f"/v1/blocks/{_path(block)}/raw", fresh)

    async def header(self, block: int | str, fresh: Freshness = ANY) -> bytes:
        """A block's header in canonical bytes."""
        return await self._get_bytes(f"/v1/blocks/{_path(block)}/header", fresh)

    async def certificate(self, block: int | str, fresh: Freshness = ANY) -> answers.Certificate:
        """The certificate of a height; its canonical bytes are in `certificate`."""
        return await self._get(f"/v1/blocks/{_path(block)}/certificate", answers.Certificate, fresh)

    async def members(self, fresh: Freshness = ANY) -> tuple[network_answers.Member, ...]:
        """All members, by id."""
        return (await self._get("/v1/members", network_answers.Members, fresh)).members

    async def nodes(self, fresh: Freshness = ANY) -> tuple[network_answers.Node, ...]:
        """All nodes, by id."""
        return (await self._get("/v1/nodes", network_answers.Nodes, fresh)).nodes

    async def assets(self, fresh: Freshness = ANY) -> tuple[network_answers.Asset, ...]:
        """All assets, by code."""
        return (await self._get("/v1/assets", network_answers.Assets, fresh)).assets

    async def parameters(self, fresh: Freshness = ANY) -> network_answers.ParameterSchedule:
        """The parameters in force, and their schedule."""
        return await self._get("/v1/parameters", network_answers.ParameterSchedule, fresh)

    async def membership(self, fresh: Freshness = ANY) -> network_answers.Membership:
        """Which nodes make up the cluster, and the newest decision about it."""
        return await self._get("/v1/membership", network_answers.Membership, fresh)

    async def rules(self, fresh: Freshness = ANY) -> network_answers.RulesSchedule:
        """The version of the rules in force, and the schedule."""
        return await self._get("/v1/rules", network_answers.RulesSchedule, fresh)

    async def outcomes(self) -> tuple[answers.OutcomeView, ...]:
        """The outcome table of the node that answers."""
        return (await self._get("/v1/outcomes", answers.OutcomeTable, ANY)).outcomes

    async def network(self) -> network_answers.Network:
        """Which network the node is of."""
        return await self._get("/v1/network", network_answers.Network, ANY)

    async def cluster(self) -> network_answers.Cluster:
        """The view of the cluster that the node has which answers first."""
        return await self._get("/v1/cluster", network_answers.Cluster, ANY)

    async def _get(
        self, path: str, type_: type[T], fresh: Freshness, query: Mapping[str, str] = NO_QUERY
    ) -> T:
        request = Request(method="GET", path=path, query=self._query(fresh, query))
        return await self._delivery.read(request, decode_json(type_), self._seconds(None))

    async def _get_bytes(self, path: str, fresh: Freshness) -> bytes:
        request = Request(method="GET", path=path, accept=_MSGPACK, query=self._query(fresh, NO_QUERY))
        return await self._delivery.read(request, decode_bytes, self._seconds(None))

    def _query(self, fresh: Freshness, query: Mapping[str, str]) -> dict[str, str]:
        asked = dict(query)
        if fresh.min_height:
            asked["min_height"] = str(fresh.min_height)
        if fresh.strong:
            asked["consistency"] = "strong"
        return asked

    def _seconds(self, timeout_ms: int | None) -> float:
        return (self._timeout_ms if timeout_ms is None else timeout_ms) / 1000


def _tx_id(envelope: bytes) -> str:
    try:
        return format_tx_id(decode_envelope(envelope, _WIDEST).payload.tx_id)
    except Malformed as error:
        raise PaymentMalformed(
            f"These {len(envelope)} bytes are no envelope: {error.reason}.",
            "Build and sign the payment again.",
        ) from error


def _author(author: str | None) -> dict[str, str]:
    return {} if author is None else {"author": author}


def _path(part: int | str) -> str:
    return quote(str(part), safe="")
