"""The cutting proxy: what passes, what is held, and what breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.torture.links import FAIR, Link, Links, Passage, Weather

Echo = tuple[Link, asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _echo() -> AsyncIterator[tuple[Link, int]]:
    """A link to a server that says back what it hears, and the link's port."""

    async def say_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(100):
                writer.write(data)

    server = await asyncio.start_server(say_back, "127.0.0.1", 0)
    link = Link(("127.0.0.1", server.sockets[0].getsockname()[1]), Random(1))
    port = await link.start()
    try:
        yield link, port
    finally:
        await link.close()
        server.close()


def _play(scenario: Callable[[Link, int], Awaitable[None]]) -> None:
    async def play() -> None:
        async with _echo() as (link, port):
            await scenario(link, port)

    asyncio.run(play())


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes) -> bytes:
    writer.write(word)
    return await reader.readexactly(len(word))


def test_in_fair_weather_everything_passes() -> None:
    """Bytes go there and back."""

    async def scenario(link: Link, port: int) -> None:
        async with _connected(port) as (reader, writer):
            assert await _ask(reader, writer, b"hello") == b"hello"

    _play(scenario)


def test_a_cut_resets_what_stands_and_what_comes() -> None:
    """The connection of before and a new one end without a byte; mended, a new one carries."""

    async def scenario(link: Link, port: int) -> None:
        async with _connected(port) as (reader, writer):
            await _ask(reader, writer, b"hello")
            link.apply(Weather(Passage.CUT))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await _ask(reader, writer, b"hello")
        async with _connected(port) as (reader, writer):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await _ask(reader, writer, b"hello")
        link.apply(FAIR)
        async with _connected(port) as (reader, writer):
            assert await _ask(reader, writer, b"hello") == b"hello"

    _play(scenario)


def test_a_hole_holds_and_lets_go_when_mended() -> None:
    """Nothing arrives while it lasts, nobody is told, and afterwards all arrives in order."""

    async def scenario(link: Link, port: int) -> None:
        async with _connected(port) as (reader, writer):
            await _ask(reader, writer, b"hello")
            link.apply(Weather(Passage.HOLE))
            writer.write(b"one")
            writer.write(b"two")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), 0.1)
            link.apply(FAIR)
            assert await reader.readexactly(6) == b"onetwo"

    _play(scenario)


def test_delays_add_up_both_ways_and_stalls_keep_the_order() -> None:
    """A question and its answer take two delays; chunks that stall are still delivered in their order."""

    async def scenario(link: Link, port: int) -> None:
        loop = asyncio.get_running_loop()
        async with _connected(port) as (reader, writer):
            link.apply(Weather(delay_ms=60))
            started = loop.time()
            await _ask(reader, writer, b"hello")
            assert loop.time() - started >= 0.12
            link.apply(Weather(jitter_ms=20, stalls=0.1))
            for number in range(10):
                assert await _ask(reader, writer, bytes([number])) == bytes([number])

    _play(scenario)


def test_who_sends_to_whom() -> None:
    """Pairs between groups go both ways, one-way pairs one way, and nobody dials itself."""
    links = Links(dict.fromkeys("abc", ("127.0.0.1", 1)), Random(1))
    assert links.one_way("ab", "bc") == {("a", "b"), ("a", "c"), ("b", "c")}
    assert links.between("a", "bc") == {("a", "b"), ("a", "c"), ("b", "a"), ("c", "a")}


def test_a_node_that_joins_is_dialled_through_common_and_own_forwarders() -> None:
    """Both have the weather of the pair; who is removed is dialled by nobody any more."""

    async def scenario(link: Link, port: int) -> None:
        links = Links({"a": ("127.0.0.1", port)}, Random(1))
        ports, common = await links.add("b", ("127.0.0.1", port))
        assert ports.keys() == {("a", "b"), ("b", "a")}
        for through in (common, ports["a", "b"]):
            async with _connected(through) as (reader, writer):
                assert await _ask(reader, writer, b"hello") == b"hello"
        links.apply(Weather(Passage.CUT), [("a", "b")])
        for through in (common, ports["a", "b"]):
            async with _connected(through) as (reader, writer):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await _ask(reader, writer, b"hello")
        async with _connected(ports["b", "a"]) as (reader, writer):
            assert await _ask(reader, writer, b"hello") == b"hello"
        links.apply(FAIR)
        await links.add("c", ("127.0.0.1", port))
        links.apply(Weather(Passage.CUT), links.between("c", "ab"))
        # Who came later never dials through it, and who is cut from one node isn't from the others.
        async with _connected(common) as (reader, writer):
            assert await _ask(reader, writer, b"hello") == b"hello"
        await links.remove("c")
        await links.remove("b")
        for through in (common, *ports.values()):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", through)
        await links.close()

    _play(scenario)
