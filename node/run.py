"""The composition root: one node process from its configuration to its exit code.

Everything is made and wired here, and taken down again in reverse. It decides nothing about
payments, blocks or Raft.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from api.app import create_app
from ledger.genesis import network_id as network_id_of
from ledger.keys import public_bytes
from ledger.view import StateCorrupted
from node import tls
from node.addresses import AddressBook
from node.admin import AdminQuestions, AdminServer
from node.api_server import serve_api
from node.certificates import Certificates
from node.clock import SystemClock, SystemRandom
from node.config import ConfigError, NodeConfig, load_config
from node.data_switch import served_folder, suspect_file
from node.disk import LevelDatabase, StoreError
from node.driver import Driver, DriverConfig, Ports
from node.halting import CORRUPT
from node.health import node_report, why_not_ready
from node.introductions import Acquaintances, ask_of_strangers
from node.joining import BuiltStore, Joiner, install, look_out, open_store
from node.logs import BindableLog, open_log
from node.machine import CannotStart, Given, api_files, given_to, node_files, raise_file_limit
from node.mempool import MempoolLimits
from node.metrics import Metrics
from node.peers import PeerLinks, PeerSettings
from node.ports import Random
from node.pruning import Pruner
from node.records import CorruptRecord
from node.repair_server import RepairServer
from node.rules_watch import UnknownRules
from node.service import About, NodeService
from node.snapshot_fetch import PeerClient
from node.snapshot_server import SnapshotServer
from node.stop import StopRequest
from node.store import Store, WrongStore
from node.tasks import awaited, unattended
from node.version import installed_version
from node.workers import Completions, LoopTimers, ThreadWorker, ticking

EXIT_OK = 0
EXIT_CANNOT_START = 1
EXIT_STOPPED_ITSELF = 10
"""The node found a fork, a divergence, damage or a broken invariant: restarting won't help by itself."""
BOOT_BYTES = 16
OPEN_FILES = 65_536
"""Files and connections that a node asks the system for; the store alone may hold several hundred open."""
GC_THRESHOLDS = (100_000, 50, 100)
"""Values here are immutable and make no cycles: looking for cycles at Python's own pace cost a loaded node
about 8 % of its processor time (by thread, runs with and without it in turn)."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread runs on while another waits for the interpreter. At Python's own 5 ms the verify worker
stands still after each signature while the loop or the execute worker computes."""


CANNOT_GO_ON = (
    CannotStart,
    tls.TlsError,
    StoreError,
    WrongStore,
    CorruptRecord,
    StateCorrupted,
    UnknownRules,
)
"""What is said in a line of the log, and ends the process."""


def run_node(config_path: Path, *, until_stdin_closes: bool = False, log_stream: TextIO | None = None) -> int:
    """Run a node until it is told to stop (SIGTERM, SIGINT); the exit code.

    0: stopped as asked. 1: it couldn't start, said in one line on stderr. 10: it stopped itself, and the log
    says why. With `until_stdin_closes` the end of stdin stops it too, so that it never outlives its parent.
    The log goes to stderr unless another stream is given.
    """
    try:
        config = load_config(config_path)
    except ConfigError as error:
        sys.stderr.write(f"nostro: this node can't start: {error}\n")
        return EXIT_CANNOT_START
    log = open_log(config.log, node=config.node, stream=log_stream)
    raise_file_limit(OPEN_FILES)
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return uvloop.run(_run(config, log, until_stdin_closes))
    except CANNOT_GO_ON as error:
        log.error("cannot_start", reason=str(error))
        return EXIT_CANNOT_START


async def _run(config: NodeConfig, log: BindableLog, until_stdin_closes: bool) -> int:
    stop = StopRequest(asyncio.get_running_loop(), log)
    stop.listen(until_stdin_closes)
    while (built := await _live_looking_twice(config, log, stop)) is not None:
        await install(built, log)
    if stop.reason is not None:
        if stop.reason.word == CORRUPT:
            suspect_file(config.data).touch()
        log.error("stopped_itself", word=stop.reason.word, what=stop.reason.what)
        return EXIT_STOPPED_ITSELF
    log.info("stopped")
    return EXIT_OK


async def _live_looking_twice(config: NodeConfig, log: BindableLog, stop: StopRequest) -> BuiltStore | None:
    """Run; where damage keeps the node from starting, look through all of the store and mend what can be."""
    try:
        return await _live(config, log, stop)
    except (CorruptRecord, StateCorrupted) as error:
        log.error("store_damaged", what=str(error))
        suspect_file(config.data).touch()
        return await _live(config, log, stop)


async def _live(config: NodeConfig, log: BindableLog, stop: StopRequest) -> BuiltStore | None:
    """Run until the node is to stop, or until it has built another store to go on with, which is returned."""
    async with AsyncExitStack() as stack:
        node = await _assemble(config, log, stop, stack)
        log.info(
            "started",
            network=node.network,
            peer=f"{config.peer.host}:{config.peer.port}",
            api=f"{config.api.host}:{config.api.port}",
            admin=f"{config.admin.host}:{config.admin.port}",
            height=node.driver.executed_height,
            version=installed_version(),
        )
        await asyncio.wait({node.building, node.asked_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        node.service.stop_waiting()
        if stop.reason is None:
            await _hand_over(node.driver, config, log)
        return None if stop.asked.is_set() else node.building.result()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What every step of making a node needs; what a step starts is ended by `stack`."""

    config: NodeConfig
    log: BindableLog
    stop: StopRequest
    stack: AsyncExitStack
    given: Given
    book: AddressBook
    knocked: asyncio.Event
    links: PeerLinks
    certificates: Certificates
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is done beside the driver with the blocks that it has executed."""

    snapshots: SnapshotServer
    pruner: Pruner


@dataclass(frozen=True, slots=True)
class _Node:
    network: str
    driver: Driver
    service: NodeService
    building: asyncio.Task[BuiltStore]
    asked_to_stop: asyncio.Task[bool]


async def _assemble(config: NodeConfig, log: BindableLog, stop: StopRequest, stack: AsyncExitStack) -> _Node:
    """Make every part and start it; `stack` takes all of it down again, the last first."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(stop.on_loop_error)
    frame = _frame(config, log, stop, stack)
    joiner = await stack.enter_async_context(_joining(frame))
    database, store = await open_store(joiner, SystemClock().now_ms())
    stack.callback(database.close)
    wanted = asyncio.Event()
    ports = _driver_ports(loop, frame, wanted.set)
    driver = Driver(_driver_config(config, frame.given.key, ports.random), store, ports, stop.itself)
    _check_registered(config, frame.given.key, driver)
    kept = await _serve_peers(frame, driver, database, store, ports)
    stack.enter_context(ticking(loop, driver.tick, config.timing.tick_ms))
    service = await _serve_people(frame, driver, store, kept, ports.clock.now_ms)
    stack.enter_context(unattended(frame.certificates.keep()))
    stack.enter_context(unattended(ask_of_strangers(_acquaintances(frame, joiner), frame.knocked)))
    if config.store.retention == "pruned":
        stack.enter_context(unattended(kept.pruner.keep_pruned(config.store.keep_blocks)))
    building = stack.enter_context(awaited(look_out(joiner, lambda: driver.executed_height, wanted)))
    asked_to_stop = stack.enter_context(awaited(stop.asked.wait()))
    return _Node(frame.given.genesis.name, driver, service, building, asked_to_stop)


def _frame(config: NodeConfig, log: BindableLog, stop: StopRequest, stack: AsyncExitStack) -> _Frame:
    """What stands before the store is open."""
    given = stack.enter_context(given_to(config))
    book = AddressBook(given.genesis.nodes, config.peer_addresses)
    knocked = asyncio.Event()
    links = PeerLinks(_peer_settings(config, given, book, knocked), SystemRandom(), log)
    certificates = Certificates(config.ca, log, lambda: datetime.datetime.now(datetime.UTC))
    metrics = Metrics(certificates.days_left)
    return _Frame(config, log, stop, stack, given, book, knocked, links, certificates, metrics)


async def _serve_peers(
    frame: _Frame, driver: Driver, database: LevelDatabase, store: Store, ports: Ports
) -> _Kept:
    """Link to the other nodes, and give them what they lack."""
    stack, links, log = frame.stack, frame.links, frame.log
    executed, registry = lambda: driver.executed_height, lambda: driver.executed.registry
    snapshots = SnapshotServer(served_folder(frame.config.data), database, store, executed, registry, log)
    stack.push_async_callback(snapshots.close)
    repairs = RepairServer(store, executed, registry, frame.stop.over)
    links.serve({**snapshots.routes(), **repairs.routes()})
    frame.metrics.watch(driver.status, links.counters)
    await links.start(frame.given.listeners["peer"], driver)
    stack.push_async_callback(links.close)
    driver.on_block(lambda _: _follow_nodes(frame.book, driver, links))
    _follow_nodes(frame.book, driver, links)
    return _Kept(snapshots, Pruner(store, ports.disk, lambda: driver.certified_height, log))


async def _serve_people(
    frame: _Frame, driver: Driver, store: Store, kept: _Kept, now_ms: Callable[[], int]
) -> NodeService:
    """Answer members over the HTTP API, and the bank's operator on the admin port."""
    config, stack, listeners = frame.config, frame.stack, frame.given.listeners
    certificates, genesis = frame.certificates, frame.given.genesis
    about = About(config.node, config.member, installed_version(), now_ms(), config.api_urls)
    service = NodeService(driver, store, frame.links.last_heard, about, frame.stop.itself)
    stack.enter_context(contextlib.closing(service))
    context = tls.api_server_context(api_files(config))
    await stack.enter_async_context(
        serve_api(create_app(service), listeners["api"], context, config.timing.stop_timeout_ms)
    )
    questions = AdminQuestions(
        not_ready=lambda: why_not_ready(driver),
        metrics=frame.metrics.render,
        report=lambda: node_report(driver, genesis.name, about, now_ms(), certificates.days_left()),
        hand_over=driver.hand_over,
        snapshot=lambda: kept.snapshots.make(recent=0),
        prune=kept.pruner.prune,
    )
    admin = AdminServer(node_files(config), tls.operator_name(config.member, genesis.name), questions)
    await admin.start(listeners["admin"])
    stack.push_async_callback(admin.close)
    certificates.serve("node", node_files(config), [*frame.links.contexts, admin.context])
    certificates.serve("api", api_files(config), [context])
    return service


@asynccontextmanager
async def _joining(frame: _Frame) -> AsyncIterator[Joiner]:
    """The way to the other nodes' snapshots."""
    config, book = frame.config, frame.book
    _, outgoing = frame.links.contexts
    async with PeerClient(outgoing, frame.given.genesis.name, lambda: book.addresses) as client:
        yield Joiner(
            genesis_raw=frame.given.genesis_raw,
            node_id=config.node,
            data=config.data,
            ask=client.ask,
            peers=lambda: frozenset(book.addresses) - {config.node},
            log=frame.log,
            follow=book.follow,
            archive=config.store.retention != "pruned",
            complete=config.store.retention == "complete",
        )


def _acquaintances(frame: _Frame, joiner: Joiner) -> Acquaintances:
    """Those who can tell who a stranger is; voters among strangers are linked to."""
    book, links, log = frame.book, frame.links, frame.log

    def is_news(addresses: Mapping[str, str]) -> bool:
        return bool(book.news(addresses, links.connected()))

    def meet(addresses: Mapping[str, str]) -> None:
        if new := book.introduce(addresses, links.connected()):
            log.info("introduced", nodes=sorted(new))
            links.refresh()

    return Acquaintances(joiner.genesis_raw, joiner.ask, joiner.peers, is_news, meet, SystemRandom(), log)


def _driver_ports(loop: asyncio.AbstractEventLoop, frame: _Frame, need_snapshot: Callable[[], None]) -> Ports:
    completions = Completions(loop)
    # Closed after the workers: what their last jobs would call belongs to a driver that is gone.
    frame.stack.callback(completions.close)

    def worker(name: str) -> ThreadWorker:
        made = ThreadWorker(name, completions, frame.metrics.observe_job(name))
        return frame.stack.enter_context(contextlib.closing(made))

    return Ports(
        clock=SystemClock(),
        timers=LoopTimers(loop),
        peers=frame.links,
        verify=worker("verify"),
        disk=worker("disk"),
        execute=worker("execute"),
        random=SystemRandom(),
        log=frame.log,
        need_snapshot=need_snapshot,
    )


def _driver_config(config: NodeConfig, key: ec.EllipticCurvePrivateKey, random: Random) -> DriverConfig:
    return DriverConfig(
        node_id=config.node,
        boot=random.bytes(BOOT_BYTES),
        key=key,
        tick_ms=config.timing.tick_ms,
        election_ticks=config.timing.election_ticks,
        heartbeat_ticks=config.timing.heartbeat_ticks,
        mempool=MempoolLimits(
            transactions=config.limits.mempool_transactions,
            bytes=config.limits.mempool_bytes,
            member_transactions=config.limits.member_transactions,
        ),
    )


def _check_registered(config: NodeConfig, key: ec.EllipticCurvePrivateKey, driver: Driver) -> None:
    """A node that signed with another key than the chain knows would be taken for a liar.

    One that the chain doesn't know yet may start: it waits to be taken in.
    """
    own = public_bytes(key)
    for node in driver.executed.registry.nodes.values():
        if (node.id == config.node) != (node.key == own):
            raise CannotStart(
                f"the chain knows node {node.id} under another key, or the key in {config.signing_key} as "
                f"another node's than {config.node}'s. Check node.id and node.signing_key."
            )


def _follow_nodes(book: AddressBook, driver: Driver, links: PeerLinks) -> None:
    """Link to the nodes that the chain knows now."""
    if book.follow(driver.executed.registry):
        links.refresh()


async def _hand_over(driver: Driver, config: NodeConfig, log: BindableLog) -> None:
    """Let the driver finish: hand leadership over, and answer who waits; for a bounded time."""
    done = asyncio.Event()
    log.info("stopping")
    driver.stop(done.set)
    try:
        async with asyncio.timeout(config.timing.stop_timeout_ms / 1_000):
            await done.wait()
    except TimeoutError:
        log.warning("stopped_without_handing_over", waited_ms=config.timing.stop_timeout_ms)


def _peer_settings(
    config: NodeConfig, given: Given, book: AddressBook, knocked: asyncio.Event
) -> PeerSettings:
    return PeerSettings(
        node=config.node,
        network=given.genesis.name,
        network_id=network_id_of(given.genesis_raw),
        files=node_files(config),
        known=lambda: book.addresses,
        queue_bytes=config.limits.peer_queue_bytes,
        message_bytes=config.limits.peer_message_bytes,
        knocked=lambda node: knocked.set() if book.is_stranger(node) else None,
    )
