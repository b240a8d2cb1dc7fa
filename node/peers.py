"""Links to the other nodes: WebSockets over mutual TLS 1.3, as the node's Peers port.

Every node dials every other and sends over the link that it dialled, so one link carries one
direction and two nodes never argue over whose link to keep. Whatever is sent in one turn of the
loop leaves as one binary message. Who a sender is, its certificate says, and it must be a node of
the chain. It knows nothing of what the messages mean beyond that a Hello comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import msgspec
from aiohttp import web

from consensus.errors import MalformedMessage
from node import tls
from node.messages import Hello, NodeMessage, decode_node_message, encode_node_message
from node.outgoing import Outgoing
from node.peer_session import peer_session
from node.ports import Log, Random
from node.refusals import Refusals
from node.tasks import raise_what_it_raised
from wallet.connections import Connections

PEER_PATH = "/peer/v1"
CONNECT_TIMEOUT_S = 3.0
HELLO_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
LINK_HEARTBEAT_S = 10.0
"""A link that answers no ping in half of this is cut; Raft's own heartbeats are far faster."""
FIRST_BACKOFF_S = 0.05
LONGEST_BACKOFF_S = 2.0
SENDER = web.RequestKey("sender", str)
"""Under this key a request carries the id of the node that its certificate names."""


class Handlers(Protocol):
    """Who hears of links and messages: the driver. Everything is called on the loop."""

    def on_connected(self, peer: str) -> None:
        """A link to `peer` stands; what is sent to it from now on leaves."""
        ...

    def on_disconnected(self, peer: str) -> None:
        """The link to `peer` is gone, with what was still queued on it."""
        ...

    def on_message(self, sender: str, message: NodeMessage) -> None:
        """A message from a node, whose identity its certificate proved."""
        ...


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Who this node is to its peers. `known` gives the address of every node of the chain that may be linked
    to now, by node id; `knocked` hears of others whose certificate is of this network, and of those who send
    while no link to them stands.
    """

    node: str
    network: str
    network_id: bytes
    files: tls.TlsFiles
    known: Callable[[], Mapping[str, str]]
    queue_bytes: int
    message_bytes: int
    knocked: Callable[[str], None] = lambda node: None


@dataclass(slots=True)
class LinkCounters:
    """Counts since the start, for the metrics."""

    refused: int = 0
    dropped_messages: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class PeerLinks:
    """All links of one node. Make it, give it to the driver as its port, then `start` it."""

    def __init__(self, settings: PeerSettings, random: Random, log: Log) -> None:
        """Read the TLS files (raises TlsError); nothing is dialled before `start`."""
        self.counters = LinkCounters()
        self.last_heard: dict[str, float] = {}
        """When each peer was last heard, by time.monotonic()."""
        self._settings = settings
        self._random = random
        self._log = log
        self._server_context = tls.peer_server_context(settings.files)
        tls.report_refusals(self._server_context, lambda reason: self._refuse(None, reason))
        self._client_context = tls.peer_client_context(settings.files)
        self._outgoing = {peer: Outgoing() for peer in settings.known() if peer != settings.node}
        self._incoming: set[web.WebSocketResponse] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self._refusals = Refusals(log, time.monotonic)
        self._frames: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])

    @property
    def contexts(self) -> tuple[ssl.SSLContext, ...]:
        """The TLS contexts that links are made under: of those that come in, and those that go out."""
        return self._server_context, self._client_context

    def serve(self, routes: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]) -> None:
        """Answer further paths on the same port, to the nodes of the chain alone; before `start`."""
        self._routes.update(routes)

    def send(self, to: str, message: NodeMessage) -> None:
        """Queue a message for a peer. Without a link it is dropped: Raft and forwarding send again."""
        if not self._is_linked(to):
            return
        link = self._outgoing[to]
        data = encode_node_message(message)
        link.queue.append(data)
        link.queued_bytes += len(data)
        while link.queued_bytes > self._settings.queue_bytes and len(link.queue) > 1:
            link.queued_bytes -= len(link.queue.popleft())
            self.counters.dropped_messages += 1
        link.wake.set()

    def connected(self) -> frozenset[str]:
        """The peers to whom a link stands."""
        return frozenset(peer for peer, link in self._outgoing.items() if link.connected)

    async def start(self, listener: socket.socket, handlers: Handlers) -> None:
        """Serve on a bound socket, and begin to dial every known node."""
        self._handlers = handlers
        application = web.Application(middlewares=[self._nodes_only])
        application.router.add_get(PEER_PATH, self._accept)
        for path, answer in self._routes.items():
            application.router.add_get(path, answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=self._server_context).start()
        self._session = peer_session(Connections(limit=0))
        for peer in self._outgoing:
            self._begin(peer)

    def refresh(self) -> None:
        """The known nodes are others now: dial those who are new, let those go who are out; after `start`."""
        known = self._settings.known().keys() - {self._settings.node}
        for peer in known - self._outgoing.keys():
            self._outgoing[peer] = Outgoing()
            self._begin(peer)
        for peer in self._outgoing.keys() - known:
            self._let_go(peer)

    async def close(self) -> None:
        """Send what is queued, then cut every link and stop listening."""
        tasks = list(self._tasks.values())
        for peer in self._outgoing:
            self._let_go(peer)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for websocket in list(self._incoming):
            await websocket.close()
        await self._session.close()
        await self._runner.cleanup()

    # The links that this node dials.

    def _begin(self, peer: str) -> None:
        task = asyncio.create_task(self._keep_link(peer))
        self._tasks[peer] = task
        task.add_done_callback(lambda task: self._ended(peer, task))

    def _let_go(self, peer: str) -> None:
        """Send what is queued, if there is a link, and dial no more."""
        link = self._outgoing[peer]
        link.closing = True
        link.wake.set()
        if not link.connected:
            self._tasks[peer].cancel()

    def _ended(self, peer: str, task: asyncio.Task[None]) -> None:
        del self._outgoing[peer], self._tasks[peer]
        raise_what_it_raised(task)

    async def _keep_link(self, peer: str) -> None:
        """Dial one peer for as long as it is known, waiting longer after each failure, with jitter, until it
        dials this node at the latest.
        """
        link = self._outgoing[peer]
        backoff_s = FIRST_BACKOFF_S
        said = ""
        # A peer may be let go at the very moment when its link breaks: such a one isn't dialled again.
        while not link.closing and (address := self._settings.known().get(peer)) is not None:
            try:
                async with await self._dial(peer, address) as websocket:
                    backoff_s, said = FIRST_BACKOFF_S, ""
                    if await self._carry(peer, websocket):
                        return
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason = _reason(error)
                if reason != said:
                    said = reason
                    self._log.info("peer_unreachable", peer=peer, reason=reason)
            came_back = await link.pause(backoff_s * (0.5 + self._random.randrange(1_000) / 1_000))
            backoff_s = FIRST_BACKOFF_S if came_back else min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def _dial(self, peer: str, address: str) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await self._session.ws_connect(
                f"https://{address}{PEER_PATH}",
                ssl=self._client_context,
                server_hostname=tls.node_name(peer, self._settings.network),
                heartbeat=LINK_HEARTBEAT_S,
                max_msg_size=self._settings.message_bytes,
                compress=0,
            )

    async def _carry(self, peer: str, websocket: aiohttp.ClientWebSocketResponse) -> bool:
        """Send over a standing link until it breaks (False) or this node closes it (True)."""
        link = self._outgoing[peer]
        # The driver is called from the loop itself, so that what it raises stops the node; and the link
        # opens in that same call, so that nothing can be queued before the driver's Hello.
        loop = asyncio.get_running_loop()
        link.clear()
        loop.call_soon(self._opened, peer)
        watcher = asyncio.create_task(_until_closed(websocket, link.wake))
        try:
            return await self._send_until_broken(link, websocket, watcher)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            loop.call_soon(self._closed, peer)

    def _opened(self, peer: str) -> None:
        self._log.info("peer_connected", peer=peer)
        self._outgoing[peer].connected = True
        self._handlers.on_connected(peer)

    def _closed(self, peer: str) -> None:
        self._log.info("peer_disconnected", peer=peer)
        self._outgoing[peer].connected = False
        self._handlers.on_disconnected(peer)

    async def _send_until_broken(
        self, link: Outgoing, websocket: aiohttp.ClientWebSocketResponse, watcher: asyncio.Task[None]
    ) -> bool:
        while not watcher.done():
            if link.queue:
                frame = link.take_frame()
                await websocket.send_bytes(frame)
                self.counters.sent_bytes += len(frame)
            elif link.closing:
                return True
            else:
                link.wake.clear()
                await link.wake.wait()
        return False

    # The links that others dial.

    @web.middleware
    async def _nodes_only(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        sender = self._identify(request)
        if sender is None:
            return web.Response(status=403, text="This port serves the nodes of one chain only.\n")
        request[SENDER] = sender
        return await handler(request)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        """Take a link from a node of the chain: by its certificate first, by its Hello then."""
        sender = request[SENDER]
        websocket = web.WebSocketResponse(
            heartbeat=LINK_HEARTBEAT_S, max_msg_size=self._settings.message_bytes, compress=False
        )
        await websocket.prepare(request)
        self._incoming.add(websocket)
        try:
            await self._listen(sender, websocket)
        except (MalformedMessage, msgspec.DecodeError) as error:
            self._refuse(sender, f"a message that can't be read: {error}")
        except TimeoutError:
            self._refuse(sender, "no Hello came")
        finally:
            self._incoming.discard(websocket)
            # Where the peer is gone already, there is nobody left to say goodbye to.
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await websocket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        return websocket

    def _identify(self, request: web.Request) -> str | None:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        names = tls.dns_names(certificate)
        sender = tls.peer_node(names, self._settings.network)
        if sender is None:
            self._refuse(None, f"the certificate names no node of {self._settings.network}: {sorted(names)}")
        elif sender == self._settings.node or sender not in self._settings.known():
            self._refuse(sender, "this node is not on the chain, or it is this very node")
            self._settings.knocked(sender)
            return None
        return sender

    async def _listen(self, sender: str, websocket: web.WebSocketResponse) -> None:
        first = await websocket.receive(timeout=HELLO_TIMEOUT_S)
        if first.type is not aiohttp.WSMsgType.BINARY:
            return
        messages = self._decode(first.data)
        reason = self._hello_fault(sender, messages)
        if reason is not None:
            self._refuse(sender, reason)
            return
        if (link := self._outgoing.get(sender)) is not None:
            link.came_back.set()
        self._deliver(sender, messages)
        async for message in websocket:
            if sender not in self._settings.known():
                self._refuse(sender, "this node was let go from the chain's membership")
                return
            if message.type is aiohttp.WSMsgType.BINARY:
                self._deliver(sender, self._decode(message.data))

    def _is_linked(self, peer: str) -> bool:
        link = self._outgoing.get(peer)
        return link is not None and link.connected

    def _hello_fault(self, sender: str, messages: Sequence[NodeMessage]) -> str | None:
        hello = messages[0] if messages else None
        if not isinstance(hello, Hello):
            return "the first message was no Hello"
        if hello.network_id != self._settings.network_id:
            return f"it belongs to the network {hello.network_id.hex()}, not to this one"
        if hello.node_id != sender:
            return f"it calls itself {hello.node_id}, and its certificate is {sender}'s"
        return None

    def _decode(self, data: bytes) -> list[NodeMessage]:
        self.counters.received_bytes += len(data)
        return [decode_node_message(raw) for raw in self._frames.decode(data)]

    def _deliver(self, sender: str, messages: Sequence[NodeMessage]) -> None:
        self.last_heard[sender] = time.monotonic()
        if not self._is_linked(sender):
            self._settings.knocked(sender)

        def call() -> None:
            for message in messages:
                self._handlers.on_message(sender, message)

        # From the loop itself: the web server would take what the driver raises for a failed request.
        asyncio.get_running_loop().call_soon(call)

    def _refuse(self, peer: str | None, reason: str) -> None:
        self.counters.refused += 1
        self._refusals.say(peer, reason, self.counters.refused)


async def _until_closed(websocket: aiohttp.ClientWebSocketResponse, wake: asyncio.Event) -> None:
    """Read (pongs and the close) until the other side is gone, and then wake the sender."""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async for _ in websocket:
            continue
    wake.set()


def _reason(error: Exception) -> str:
    """What went wrong, without the address of a context object, which is another one each time."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return str(cause) or type(cause).__name__
