"""A cutting proxy: one TCP forwarder for every ordered pair of nodes, each with a weather of its own.

A node that joins later is dialled by those who run already where the members registered it: through a common
forwarder, which has the weather of whichever pair of such a node with this target changed last.

A node dials another through the forwarder of that pair, so each direction of the peer links can be cut, held,
delayed and stalled by itself. Bytes are never lost inside a connection, for TCP would send them again: a lost
packet is a stall here, a black hole holds what comes until it is mended or the nodes give the link up. It
must not know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import random as random_source
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

CHUNK_BYTES = 65_536
QUEUED_CHUNKS = 256
"""What may be under way in one direction of a connection; then the sender feels the back-pressure."""
RETRANSMISSION_MS = 200
"""What a lost packet costs: TCP's least timeout on Linux; it doubles for each time that it is lost again."""

Pair: TypeAlias = tuple[str, str]
"""Who dials, and whom."""


class Passage(Enum):
    """What becomes of bytes on their way."""

    OPEN = "open"
    CUT = "cut"
    """Connections are reset, new ones too."""
    HOLE = "hole"
    """Nothing arrives, and nobody is told."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How a forwarder treats what passes. `stalls` is the share of chunks that TCP has to send again."""

    passage: Passage = Passage.OPEN
    delay_ms: float = 0
    jitter_ms: float = 0
    stalls: float = 0


FAIR = Weather()


class Link:
    """The forwarder of one ordered pair of nodes."""

    def __init__(self, target: tuple[str, int], random: random_source.Random) -> None:
        """Nothing listens yet."""
        self._target = target
        self._random = random
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> int:
        """Listen on a free port of loopback, which is returned."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening and reset every connection."""
        self._server.close()
        self._reset()
        await asyncio.gather(*self._connections)

    def apply(self, weather: Weather) -> None:
        """Change the weather for what is under way, too."""
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()
        if weather.passage is Passage.CUT:
            self._reset()

    def _reset(self) -> None:
        for writer in self._connections.values():
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            await self._carry(reader, writer)
        except OSError:
            # A broken connection is what this forwarder is for; both ends see it break.
            pass
        finally:
            writer.transport.abort()
            del self._connections[task]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both directions until either ends; then both are over."""
        there, back = await asyncio.open_connection(*self._target)
        tasks = [
            asyncio.create_task(self._pump(reader, back)),
            asyncio.create_task(self._pump(there, writer)),
            asyncio.create_task(writer.wait_closed()),
        ]
        if self._weather.passage is Passage.CUT:
            writer.transport.abort()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS)
        delivery = asyncio.create_task(self._deliver(chunks, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                await chunks.put((asyncio.get_running_loop().time() + self._lag_s(), data))
        finally:
            delivery.cancel()

    async def _deliver(
        self, chunks: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        """Pass chunks on in their order, each when it is due and the way is open."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                due_s, data = await chunks.get()
                await asyncio.sleep(due_s - loop.time())
                while self._weather.passage is Passage.HOLE:
                    await self._changed.wait()
                writer.write(data)
                await writer.drain()

    def _lag_s(self) -> float:
        weather = self._weather
        lag_ms = weather.delay_ms + weather.jitter_ms * self._random.random()
        timeout_ms = RETRANSMISSION_MS
        while self._random.random() < weather.stalls:
            lag_ms += timeout_ms
            timeout_ms *= 2
        return lag_ms / 1_000


class Links:
    """All forwarders of a network."""

    def __init__(self, targets: Mapping[str, tuple[str, int]], random: random_source.Random) -> None:
        """`targets` is where each node listens for its peers."""
        self._targets = dict(targets)
        self._random = random
        self._links = {
            (dialler, target): Link(targets[target], random)
            for dialler in targets
            for target in targets
            if dialler != target
        }
        self._common: dict[str, Link] = {}
        self._through_common: set[Pair] = set()

    async def start(self) -> dict[Pair, int]:
        """Listen everywhere; the port of each pair."""
        return {pair: await link.start() for pair, link in self._links.items()}

    async def add(self, node: str, target: tuple[str, int]) -> tuple[dict[Pair, int], int]:
        """Listen for another node, too: the port of each pair that it is in, and the common one to it."""
        added = {(node, other): Link(self._targets[other], self._random) for other in self._targets}
        to_it = {(other, node): Link(target, self._random) for other in self._targets}
        added |= to_it
        self._targets[node] = target
        self._links |= added
        self._through_common |= to_it.keys()
        self._common[node] = Link(target, self._random)
        ports = {pair: await link.start() for pair, link in added.items()}
        return ports, await self._common[node].start()

    async def remove(self, node: str) -> None:
        """Nobody links to or from this node any more."""
        del self._targets[node]
        for pair in [pair for pair in self._links if node in pair]:
            await self._links.pop(pair).close()
        self._through_common = {pair for pair in self._through_common if node not in pair}
        if node in self._common:
            await self._common.pop(node).close()

    async def close(self) -> None:
        """Stop all forwarders."""
        for link in (*self._links.values(), *self._common.values()):
            await link.close()

    def apply(self, weather: Weather, pairs: Iterable[Pair] | None = None) -> None:
        """Give these pairs, or all, a weather."""
        for pair in self._links if pairs is None else pairs:
            self._apply(weather, pair)

    def vary(self, weather: Callable[[Pair], Weather]) -> None:
        """Give each pair the weather that is chosen for it."""
        for pair in self._links:
            self._apply(weather(pair), pair)

    def _apply(self, weather: Weather, pair: Pair) -> None:
        self._links[pair].apply(weather)
        if pair in self._through_common:
            self._common[pair[1]].apply(weather)

    def between(self, some: Iterable[str], others: Iterable[str]) -> set[Pair]:
        """The pairs from some nodes to others, and back."""
        one_way = self.one_way(some, others)
        return one_way | {(target, dialler) for dialler, target in one_way}

    def one_way(self, some: Iterable[str], others: Iterable[str]) -> set[Pair]:
        """The pairs by which some nodes send to others: every node sends over the links that it dials."""
        targets = tuple(others)
        return {(dialler, target) for dialler in some for target in targets if dialler != target}
