"""The node as the API sees it: api.ports.Host over the driver and the store.

Submissions and waiting go through the driver on the loop; reads of more than a row go to a thread of
their own, so that a long page of history holds up no payment. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from api.ports import (
    AccountView,
    BlockView,
    ClusterView,
    HistoryPage,
    Leader,
    MembershipView,
    NetworkView,
    NoQuorum,
    NotFound,
    ParametersView,
    PaymentView,
    PeerView,
    Place,
    Position,
    ProofView,
    RulesView,
    SimulateAnswer,
    Status,
    SubmitAnswer,
    Wait,
)
from api.registry_views import membership_view
from ledger.json_form import Names
from ledger.outcome import Outcome
from ledger.records import AssetRecord, MemberRecord, NodeRecord
from ledger.registry import Registry
from ledger.state import State, node_reader
from ledger.state_proof import prove_account
from node.answers import Report, answer, submit_all
from node.driver import Driver
from node.halting import MUST_STOP, stop_word
from node.height_waits import HeightWaits
from node.reads import Reads
from node.results import StopReason
from node.standing import membership_status
from node.store import Store

T = TypeVar("T")

READ_THREADS = 1
"""More would only take turns: reading is mostly Python."""
SIMULATE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class About:
    """What the service tells of the node itself. `api_urls` are by node id; `started_ms` is wall time."""

    node: str
    member: str
    version: str
    started_ms: int
    api_urls: dict[str, str]


class NodeService:
    """One node's answers. Make it after the driver; `close` it after the last request."""

    def __init__(
        self,
        driver: Driver,
        store: Store,
        last_heard: Mapping[str, float],
        about: About,
        stop: Callable[[StopReason], None],
    ) -> None:
        """Listens to the driver for heights executed and certified.

        `last_heard` is kept up by who makes the links: when each peer was, by time.monotonic(). `stop` hears
        of damage that a reader met.
        """
        self._driver = driver
        self._stop = stop
        self._store = store
        self._last_heard = last_heard
        self._about = about
        self._reads = Reads(store, self._registry, lambda: driver.certified_height, driver.holders)
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="reads")
        self._executed = HeightWaits(lambda: driver.executed_height)
        self._certified = HeightWaits(lambda: driver.certified_height)
        self._network_name = self._reads.progress().network_name
        driver.on_block(self._executed.reached)
        driver.on_certificate(self._certified.reached)

    def close(self) -> None:
        """End the reading thread."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def stop_waiting(self) -> None:
        """Tell everybody who waits for a height, now or later, that it won't come: the node stops."""
        self._executed.stop()
        self._certified.stop()

    # Submitting.

    async def submit(self, envelope: bytes, wait: Wait, timeout_ms: int) -> SubmitAnswer:
        """Submit one envelope and wait as asked."""
        (result,) = await submit_all(self._driver.submit_all, [envelope], wait, timeout_ms)
        return answer(result, envelope, wait, self._leader())

    async def submit_batch(
        self, envelopes: Sequence[bytes], wait: Wait, timeout_ms: int
    ) -> Sequence[SubmitAnswer]:
        """Submit several and wait for all of them, within the one timeout."""
        results = await submit_all(self._driver.submit_all, envelopes, wait, timeout_ms)
        leader = self._leader()
        return [answer(result, raw, wait, leader) for result, raw in zip(results, envelopes, strict=True)]

    async def simulate(self, envelope: bytes) -> SimulateAnswer:
        """The outcome it would have now."""
        (result,) = await submit_all(
            self._simulate_all, [envelope], Wait.NONE, int(SIMULATE_TIMEOUT_S * 1_000)
        )
        position = self.position()
        if result is None:
            return SimulateAnswer(outcome=Outcome.UNKNOWN, position=position)
        return SimulateAnswer(
            outcome=result.outcome,
            position=position,
            tx_id=result.tx_id or None,
            author=result.author or None,
            duplicate_of=Place(result.height, result.index) if result.height else None,
            detail=result.reason or None,
        )

    def _simulate_all(self, submissions: Iterable[tuple[bytes, Report]]) -> None:
        for raw, report in submissions:
            self._driver.simulate(raw, report)

    # Reading.

    def position(self) -> Position:
        """The newest executed block."""
        return self._reads.position()

    def is_retired(self) -> bool:
        """Whether the members let this node go."""
        return membership_status(self._about.node, self._driver.executed).is_let_go

    def names(self) -> Names:
        """The network's name and the assets' scales."""
        assets = self._registry().assets
        return Names(self._network_name, lambda code: assets[code].scale if code in assets else None)

    async def payment(self, tx_id: bytes, author: bytes | None) -> PaymentView:
        """A transaction by id: on the chain, or else pending with this node."""
        try:
            return await self._read(lambda: self._reads.payment(tx_id, author))
        except NotFound:
            pending = None if author is None else self._driver.pending(author, tx_id)
            if pending is None:
                raise
            return PaymentView(status=Status.PENDING, envelope=pending)

    async def receipt(self, tx_id: bytes, author: bytes | None) -> bytes:
        """A transaction's receipt."""
        return await self._read(lambda: self._reads.receipt(tx_id, author))

    async def account(self, account: bytes) -> AccountView:
        """An account's record."""
        with self._stopping_at_damage():
            return self._reads.account(account)

    async def history(self, account: bytes, cursor: Place | None, limit: int) -> HistoryPage:
        """A page of an account's history."""
        return await self._read(lambda: self._reads.history(account, cursor, limit))

    async def account_proof(self, account: bytes, timeout_ms: int) -> ProofView:
        """A proof of the record, or of the account's absence, taken once: at the executed height.

        It waits for that height's certificate or a later one, while blocks may go on being executed.
        """
        proved: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._driver.with_state(partial(_prove, account), proved.set_result, proved.set_exception)
        with self._stopping_at_damage():
            height, proof = await proved
        if height == 0:
            raise NotFound("There is no block yet, so no seal that a proof could be checked against.")
        await self._certified.wait(height, timeout_ms)
        sealed = await self._read(lambda: self._reads.sealed(height))
        return ProofView(height, proof, sealed.seal, sealed.seals, sealed.certificate)

    async def block(self, height: int) -> BlockView:
        """An executed block."""
        return await self._read(lambda: self._reads.block(height))

    async def height_of_block(self, block_hash: bytes) -> int:
        """An executed block's height by its hash."""
        return await self._read(lambda: self._reads.height_of_block(block_hash))

    async def members(self) -> Sequence[MemberRecord]:
        """All members in order of id."""
        members = self._registry().members
        return [members[member] for member in sorted(members)]

    async def nodes(self) -> Sequence[NodeRecord]:
        """All nodes in order of id."""
        nodes = self._registry().nodes
        return [nodes[node] for node in sorted(nodes)]

    async def assets(self) -> Sequence[AssetRecord]:
        """All assets in order of code."""
        assets = self._registry().assets
        return [assets[code] for code in sorted(assets)]

    async def parameters(self) -> ParametersView:
        """The parameters in force at the next height, and their schedule."""
        registry = self._registry()
        schedule = registry.parameters
        current = registry.parameters_at(self._driver.executed_height + 1)
        return ParametersView(schedule.version, current, tuple(schedule.entries))

    async def membership(self) -> MembershipView:
        """Which nodes make up the cluster, and what is decided about it."""
        return membership_view(self._registry(), self._driver.executed_height)

    async def rules(self) -> RulesView:
        """The rules in force at the next height, and their schedule."""
        registry = self._registry()
        current = registry.rules_at(self._driver.executed_height + 1)
        return RulesView(registry.rules.version, current, registry.rules.entries)

    def network(self) -> NetworkView:
        """Which network this is."""
        return NetworkView(self._network_name, self._store.network_id, self._store.genesis_raw)

    def cluster(self) -> ClusterView:
        """This node's view of the cluster."""
        status = self._driver.status()
        nodes = self._registry().nodes
        now = time.monotonic()
        heard = self._last_heard
        peers = tuple(
            PeerView(
                node=peer.node_id,
                member=nodes[peer.node_id].member if peer.node_id in nodes else "",
                address=nodes[peer.node_id].address if peer.node_id in nodes else "",
                connected=peer.connected,
                votes=peer.votes,
                api_url=self._about.api_urls.get(peer.node_id),
                match_height=peer.match if status.leader_id == status.node_id else None,
                last_heard_ms=int((now - heard[peer.node_id]) * 1_000) if peer.node_id in heard else None,
            )
            for peer in status.peers
        )
        return ClusterView(
            node=status.node_id,
            member=self._about.member,
            role=status.role,
            votes=status.node_id in {*status.membership.voters, *status.membership.outgoing},
            membership_version=status.membership.version,
            term=status.term,
            quorum=status.has_quorum,
            leader=self._leader(),
            committed_height=status.committed_height,
            executed_height=status.executed_height,
            certified_height=status.certified_height,
            peers=peers,
            version=self._about.version,
            started_ms=self._about.started_ms,
        )

    # Waiting.

    async def wait_for_height(self, min_height: int, timeout_ms: int) -> bool:
        """Wait until a height is executed here; False when the time ran out first."""
        return await self._executed.wait(min_height, timeout_ms)

    async def read_barrier(self, timeout_ms: int) -> int:
        """Return once reads are linearizable; raises NoQuorum."""
        confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(linearizable: bool) -> None:
            if not confirmed.done():
                confirmed.set_result(linearizable)

        self._driver.read_barrier(done)
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                linearizable = await confirmed
        except TimeoutError:
            linearizable = False
        if not linearizable:
            raise NoQuorum("A majority of the nodes could not be asked in time.", self._leader())
        return self._driver.executed_height

    def _registry(self) -> Registry:
        return self._driver.executed.registry

    def _leader(self) -> Leader | None:
        leader = self._driver.status().leader_id
        return None if leader is None else Leader(leader, self._about.api_urls.get(leader))

    async def _read(self, job: Callable[[], T]) -> T:
        with self._stopping_at_damage():
            return await asyncio.get_running_loop().run_in_executor(self._threads, job)

    @contextmanager
    def _stopping_at_damage(self) -> Iterator[None]:
        """A reader who meets a damaged row gets no answer, and the node stops as if it had met it itself."""
        try:
            yield
        except MUST_STOP as error:
            self._stop(StopReason(stop_word(error), str(error)))
            raise


def _prove(account: bytes, state: State) -> tuple[int, bytes]:
    """The height of the state and the account's proof in it; runs between two blocks."""
    proof = prove_account(
        account, state.account_by_id, state.tree, node_reader(state.reader), state.progress.registry_root
    )
    return state.progress.height, proof
