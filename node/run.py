"""The composition root: one node process from its configuration to its exit code.

Everything is made and wired here, and taken down again in reverse. It decides nothing about
payments, blocks or Raft.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import os
import resource
import socket
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TextIO, TypeVar

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from api.app import create_app
from ledger.codec import Malformed
from ledger.genesis import Genesis, decode_genesis
from ledger.genesis import network_id as network_id_of
from ledger.keys import public_bytes
from ledger.view import StateCorrupted
from node import tls
from node.addresses import AddressBook
from node.admin import AdminQuestions, AdminServer
from node.api_server import serve_api
from node.certificates import Certificates
from node.clock import SystemClock, SystemRandom
from node.config import ConfigError, Listen, NodeConfig, load_config
from node.data_switch import served_folder, suspect_file
from node.disk import StoreError
from node.driver import Driver, DriverConfig, Ports
from node.halting import CORRUPT
from node.health import node_report, why_not_ready
from node.joining import BuiltStore, Joiner, install, look_out, open_store
from node.logs import BindableLog, open_log
from node.mempool import MempoolLimits
from node.metrics import Metrics
from node.peers import PeerLinks, PeerSettings, raise_what_it_raised
from node.ports import Random
from node.pruning import Pruner
from node.records import CorruptRecord
from node.repair_server import RepairServer
from node.rules_watch import UnknownRules
from node.service import About, NodeService
from node.snapshot_fetch import PeerClient
from node.snapshot_server import SnapshotServer
from node.stop import StopRequest
from node.store import WrongStore
from node.workers import Completions, LoopTimers, ThreadWorker

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


T = TypeVar("T")


class CannotStart(RuntimeError):
    """Why this node can't start, in words for its operator."""


CANNOT_GO_ON = (
    CannotStart,
    tls.TlsError,
    StoreError,
    WrongStore,
    CorruptRecord,
    StateCorrupted,
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
    except (
        CannotStart,
        tls.TlsError,
        StoreError,
        WrongStore,
        CorruptRecord,
        StateCorrupted,
        UnknownRules,
    ) as error:
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
            network=node.genesis.name,
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
class _Node:
    genesis: Genesis
    driver: Driver
    service: NodeService
    building: asyncio.Task[BuiltStore]
    asked_to_stop: asyncio.Task[bool]


async def _assemble(config: NodeConfig, log: BindableLog, stop: StopRequest, stack: AsyncExitStack) -> _Node:
    """Make every part and start it; `stack` takes all of it down again, the last first."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(stop.on_loop_error)
    genesis_raw, genesis = _read_genesis(config)
    key = tls.load_signing_key(config.signing_key, _passphrase(config))
    listeners = {name: stack.enter_context(_bind(name, listen)) for name, listen in _ports(config).items()}
    book = AddressBook(genesis.nodes, config.peer_addresses)
    settings = _peer_settings(config, genesis_raw, genesis, book)
    links = PeerLinks(settings, SystemRandom(), log)
    joiner = await stack.enter_async_context(_joining(config, settings, links, genesis_raw, log))
    database, store = await open_store(joiner, SystemClock().now_ms())
    stack.callback(database.close)
    certificates = Certificates(config.ca, log, lambda: datetime.datetime.now(datetime.UTC))
    metrics = Metrics(certificates.days_left)
    wanted = asyncio.Event()
    ports = _driver_ports(loop, links, metrics, log, stack, wanted.set)
    driver = Driver(_driver_config(config, key, ports.random), store, ports, stop.itself)
    _check_registered(config, key, driver)

    snapshots = SnapshotServer(
        served_folder(config.data), database, store, lambda: driver.executed_height, log
    )
    stack.push_async_callback(snapshots.close)
    pruner = Pruner(store, ports.disk, lambda: driver.certified_height, log)
    repairs = RepairServer(store, lambda: driver.executed_height, lambda: driver.executed.registry, stop.over)
    links.serve({**snapshots.routes(), **repairs.routes()})
    metrics.watch(driver.status, links.counters)
    await links.start(listeners["peer"], driver)
    stack.push_async_callback(links.close)
    driver.on_block(lambda _: _follow_nodes(book, driver, links))
    _follow_nodes(book, driver, links)
    stack.enter_context(_ticking(loop, driver, config.timing.tick_ms))
    about = About(config.node, config.member, installed_version(), ports.clock.now_ms(), config.api_urls)
    service = stack.enter_context(contextlib.closing(NodeService(driver, store, links, about, stop.itself)))
    api_context = tls.api_server_context(_api_files(config))
    await stack.enter_async_context(
        serve_api(create_app(service), listeners["api"], api_context, config.timing.stop_timeout_ms)
    )
    questions = AdminQuestions(
        not_ready=lambda: why_not_ready(driver),
        metrics=metrics.render,
        report=lambda: node_report(
            driver, genesis.name, about, ports.clock.now_ms(), certificates.days_left()
        ),
        hand_over=driver.hand_over,
        snapshot=lambda: snapshots.make(recent=0),
        prune=pruner.prune,
    )
    admin = AdminServer(_files(config), tls.operator_name(config.member, genesis.name), questions)
    await admin.start(listeners["admin"])
    stack.push_async_callback(admin.close)
    certificates.serve("node", _files(config), [*links.contexts, admin.context])
    certificates.serve("api", _api_files(config), [api_context])
    await stack.enter_async_context(_kept(certificates))
    if config.store.retention == "pruned":
        pruning = stack.enter_context(_task(pruner.keep_pruned(config.store.keep_blocks)))
        pruning.add_done_callback(raise_what_it_raised)
    building = stack.enter_context(_task(look_out(joiner, lambda: driver.executed_height, wanted)))
    return _Node(genesis, driver, service, building, stack.enter_context(_task(stop.asked.wait())))


@contextmanager
def _task(work: Coroutine[object, object, T]) -> Iterator[asyncio.Task[T]]:
    """Work beside the node, given up when the node ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()


@asynccontextmanager
async def _joining(
    config: NodeConfig, settings: PeerSettings, links: PeerLinks, genesis_raw: bytes, log: BindableLog
) -> AsyncIterator[Joiner]:
    """The way to the other nodes' snapshots."""
    _, outgoing = links.contexts
    async with PeerClient(outgoing, settings.network, settings.known) as client:
        yield Joiner(
            genesis_raw=genesis_raw,
            node_id=config.node,
            data=config.data,
            ask=client.ask,
            peers=lambda: frozenset(settings.known()) - {config.node},
            log=log,
            archive=config.store.retention == "archive",
        )


def _driver_ports(
    loop: asyncio.AbstractEventLoop,
    links: PeerLinks,
    metrics: Metrics,
    log: BindableLog,
    stack: AsyncExitStack,
    need_snapshot: Callable[[], None],
) -> Ports:
    completions = Completions(loop)
    # Closed after the workers: what their last jobs would call belongs to a driver that is gone.
    stack.callback(completions.close)

    def worker(name: str) -> ThreadWorker:
        made = ThreadWorker(name, completions, metrics.observe_job(name))
        return stack.enter_context(contextlib.closing(made))

    return Ports(
        clock=SystemClock(),
        timers=LoopTimers(loop),
        peers=links,
        verify=worker("verify"),
        disk=worker("disk"),
        execute=worker("execute"),
        random=SystemRandom(),
        log=log,
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


@contextmanager
def _ticking(loop: asyncio.AbstractEventLoop, driver: Driver, tick_ms: int) -> Iterator[None]:
    """Call the driver's tick at a steady pace. Ticks missed while the machine slept are not made up for."""
    period_s = tick_ms / 1_000
    due = loop.time() + period_s
    handle: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal due, handle
        due = max(due + period_s, loop.time())
        handle = loop.call_at(due, tick)
        driver.tick()

    handle = loop.call_at(due, tick)
    try:
        yield
    finally:
        handle.cancel()


def _read_genesis(config: NodeConfig) -> tuple[bytes, Genesis]:
    try:
        raw = config.genesis.read_bytes()
        return raw, decode_genesis(raw)
    except OSError as error:
        raise CannotStart(f"cannot read genesis from {config.genesis}: {error.strerror}.") from error
    except Malformed as error:
        raise CannotStart(f"{config.genesis} is no genesis document: {error}") from error


def _passphrase(config: NodeConfig) -> bytes | None:
    if config.passphrase_env is None:
        return None
    value = os.environ.get(config.passphrase_env)
    if value is None:
        raise CannotStart(
            f"the variable {config.passphrase_env}, which is to hold the passphrase of "
            f"{config.signing_key}, is not set."
        )
    return value.encode()


@asynccontextmanager
async def _kept(certificates: Certificates) -> AsyncIterator[None]:
    """Let the certificates be kept up to date and warned of meanwhile."""
    keeping = asyncio.create_task(certificates.keep())
    keeping.add_done_callback(raise_what_it_raised)
    try:
        yield
    finally:
        keeping.cancel()


def raise_file_limit(wanted: int) -> None:
    """Lift the soft limit of open files to `wanted`, or as near to it as the system lets this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _ports(config: NodeConfig) -> dict[str, Listen]:
    return {"peer": config.peer, "api": config.api, "admin": config.admin}


@contextmanager
def _bind(name: str, listen: Listen) -> Iterator[socket.socket]:
    """A bound and listening socket; its server closes it, and this does where no server came to be."""
    try:
        listener = socket.create_server((listen.host, listen.port), backlog=512)
    except OSError as error:
        raise CannotStart(
            f"the {name} port {listen.host}:{listen.port} can't be used: {os.strerror(error.errno or 0)}. "
            f"Stop what uses it, or change [{name}] in the configuration."
        ) from error
    listener.setblocking(False)
    with contextlib.closing(listener):
        yield listener


def _peer_settings(
    config: NodeConfig, genesis_raw: bytes, genesis: Genesis, book: AddressBook
) -> PeerSettings:
    return PeerSettings(
        node=config.node,
        network=genesis.name,
        network_id=network_id_of(genesis_raw),
        files=_files(config),
        known=lambda: book.addresses,
        queue_bytes=config.limits.peer_queue_bytes,
        message_bytes=config.limits.peer_message_bytes,
    )


def _files(config: NodeConfig) -> tls.TlsFiles:
    return tls.TlsFiles(config.ca, config.certificate, config.key)


def _api_files(config: NodeConfig) -> tls.TlsFiles:
    return tls.TlsFiles(config.ca, config.api_certificate, config.api_key)


def installed_version() -> str:
    """The version of this program: of the installed package, or of the source tree that it runs from."""
    try:
        return metadata.version("nostro")
    except metadata.PackageNotFoundError:
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
