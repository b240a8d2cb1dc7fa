"""Peer links over real sockets and real TLS: delivery, order, bounds, reconnecting, and who is refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from node import tls
from node.messages import Hello, NeedSeals, NodeMessage, RaftFrame, encode_node_message
from node.outgoing import FRAME_BYTES
from node.peers import PEER_PATH
from node.snapshot_fetch import PeerClient, PeerFailed
from tests.unit.node.peer_ends import (
    CA,
    MEBIBYTE,
    NETWORK,
    NETWORK_ID,
    NOW,
    Node,
    files,
    listen,
    node_files,
    run,
    serving,
)


def test_messages_arrive_in_order_after_a_hello_and_come_from_who_the_certificate_says(
    tmp_path: Path,
) -> None:
    """What is sent in one turn leaves together, and the order of sending is the order of hearing."""

    async def scenario() -> None:
        (socket_a, at_a), (socket_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a, "bravo-1": at_b}
        alpha, bravo = Node(tmp_path, "alpha-1", known), Node(tmp_path, "bravo-1", known)
        await alpha.links.start(socket_a, alpha.recorder)
        await bravo.links.start(socket_b, bravo.recorder)
        await alpha.recorder.until(lambda: "connected bravo-1" in alpha.recorder.events)
        for height in range(1, 2_001):
            alpha.links.send("bravo-1", NeedSeals(height, height))
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 2_001)
        assert {sender for sender, _ in bravo.recorder.heard} == {"alpha-1"}
        assert isinstance(bravo.recorder.heard[0][1], Hello)
        assert [message for _, message in bravo.recorder.heard[1:]] == [
            NeedSeals(height, height) for height in range(1, 2_001)
        ]
        assert alpha.links.connected() == frozenset({"bravo-1"})
        await alpha.links.close()
        await bravo.links.close()

    run(scenario())


async def dialling_in_vain(folder: Path) -> tuple[Node, dict[str, str], int]:
    """alpha-1, which has found bravo-1 not there; where each is, and the port that is bravo's."""
    (socket_a, at_a), (socket_b, at_b) = listen(), listen()
    port_b = socket_b.getsockname()[1]
    socket_b.close()
    known = {"alpha-1": at_a, "bravo-1": at_b}
    alpha = Node(folder, "alpha-1", known)
    await alpha.links.start(socket_a, alpha.recorder)
    await alpha.log.until("peer_unreachable")
    return alpha, known, port_b


def test_a_node_that_comes_later_or_comes_back_is_linked_again(tmp_path: Path) -> None:
    """Dialling goes on until the peer is there, and begins again when it went away."""

    async def scenario() -> None:
        alpha, known, port_b = await dialling_in_vain(tmp_path)
        for round_ in (1, 2):
            bravo = Node(tmp_path, "bravo-1", known)
            await bravo.links.start(socket.create_server(("127.0.0.1", port_b)), bravo.recorder)
            await bravo.recorder.until(lambda here=bravo: len(here.recorder.heard) == 1)  # type: ignore[misc]  # default binds
            await bravo.links.close()
            await alpha.recorder.until(
                lambda round_=round_: alpha.recorder.events.count("disconnected bravo-1") == round_  # type: ignore[misc]  # default binds
            )
        assert alpha.links.connected() == frozenset()
        await alpha.links.close()

    run(scenario())


def test_a_peer_that_comes_back_is_dialled_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own link tells that it runs: no backoff is waited for, however long it has grown."""
    monkeypatch.setattr("node.peers.FIRST_BACKOFF_S", 3_600.0)

    async def scenario() -> None:
        alpha, known, port_b = await dialling_in_vain(tmp_path)
        bravo = Node(tmp_path, "bravo-1", known)
        await bravo.links.start(socket.create_server(("127.0.0.1", port_b)), bravo.recorder)
        await bravo.recorder.until(lambda: [sender for sender, _ in bravo.recorder.heard] == ["alpha-1"])
        await bravo.links.close()
        await alpha.links.close()

    run(scenario())


def test_what_was_queued_for_a_broken_link_does_not_precede_the_next_ones_hello(tmp_path: Path) -> None:
    """A peer that dies in the middle of a long queue is greeted first when it comes back."""

    async def scenario() -> None:
        (socket_a, at_a), (socket_b, at_b) = listen(), listen()
        port_b = socket_b.getsockname()[1]
        known = {"alpha-1": at_a, "bravo-1": at_b}
        alpha = Node(tmp_path, "alpha-1", known, queue_bytes=64 * MEBIBYTE)
        bravo = Node(tmp_path, "bravo-1", known)
        await alpha.links.start(socket_a, alpha.recorder)
        await bravo.links.start(socket_b, bravo.recorder)
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 1)
        for _ in range(60):
            alpha.links.send("bravo-1", RaftFrame(bytes(MEBIBYTE)))
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) > 1)
        await bravo.links.close()
        again = Node(tmp_path, "bravo-1", known)
        await again.links.start(socket.create_server(("127.0.0.1", port_b)), again.recorder)
        await again.recorder.until(lambda: len(again.recorder.heard) == 1)
        assert isinstance(again.recorder.heard[0][1], Hello)
        assert again.links.counters.refused == 0
        await alpha.links.close()
        await again.links.close()

    run(scenario())


def test_a_full_queue_drops_its_oldest_messages_and_counts_them(tmp_path: Path) -> None:
    """At the limit all of them wait; one byte more costs the oldest."""

    async def scenario() -> None:
        (socket_a, at_a), (socket_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a, "bravo-1": at_b}
        payload = bytes(1_000)
        one = len(encode_node_message(RaftFrame(payload)))
        alpha = Node(tmp_path, "alpha-1", known, queue_bytes=10 * one)
        bravo = Node(tmp_path, "bravo-1", known)
        await alpha.links.start(socket_a, alpha.recorder)
        await bravo.links.start(socket_b, bravo.recorder)
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 1)
        for number in range(10):
            alpha.links.send("bravo-1", RaftFrame(number.to_bytes(1) + payload[1:]))
        assert alpha.links.counters.dropped_messages == 0
        for number in range(10, 13):
            alpha.links.send("bravo-1", RaftFrame(number.to_bytes(1) + payload[1:]))
        assert alpha.links.counters.dropped_messages == 3
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 11)
        assert [message.data[0] for _, message in bravo.recorder.heard if isinstance(message, RaftFrame)] == [
            *range(3, 13)
        ]
        await alpha.links.close()
        await bravo.links.close()

    run(scenario())


def test_more_than_a_frame_holds_goes_out_in_several(tmp_path: Path) -> None:
    """Coalescing stops at FRAME_BYTES, so the receiver's longest message isn't passed."""

    async def scenario() -> None:
        (socket_a, at_a), (socket_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a, "bravo-1": at_b}
        alpha = Node(tmp_path, "alpha-1", known, queue_bytes=16 * MEBIBYTE)
        bravo = Node(tmp_path, "bravo-1", known, message_bytes=FRAME_BYTES + 4_096)
        await alpha.links.start(socket_a, alpha.recorder)
        await bravo.links.start(socket_b, bravo.recorder)
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 1)
        for _ in range(12):
            alpha.links.send("bravo-1", RaftFrame(bytes(MEBIBYTE)))
        await bravo.recorder.until(lambda: len(bravo.recorder.heard) == 13)
        assert "disconnected bravo-1" not in alpha.recorder.events
        await alpha.links.close()
        await bravo.links.close()

    run(scenario())


def test_nothing_is_queued_for_a_peer_without_a_link(tmp_path: Path) -> None:
    """Neither for one that is away nor for one that isn't on the chain."""

    async def scenario() -> None:
        alpha = Node(tmp_path, "alpha-1", {"alpha-1": "127.0.0.1:1", "bravo-1": "127.0.0.1:1"})
        alpha.links.send("bravo-1", NeedSeals(1, 1))
        alpha.links.send("nobody", NeedSeals(1, 1))
        assert alpha.links.connected() == frozenset()

    run(scenario())


async def _knock(
    folder: Path,
    context_files: tls.TlsFiles | None,
    frames: list[bytes],
    knocked: Callable[[str], None] = lambda node: None,
) -> tuple[int | str, dict[str, Any]]:
    """Dial a node as a stranger; give the status, close or error that came back, and what the log says."""
    listener, address = listen()
    alpha = Node(folder, "alpha-1", {"alpha-1": address, "bravo-1": "127.0.0.1:1"}, knocked=knocked)
    await alpha.links.start(listener, alpha.recorder)
    context = tls.trusting_context(folder / "alpha-1.ca")
    if context_files is not None:
        context.load_cert_chain(context_files.certificate, context_files.key)
    got: int | str
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"https://{address}{PEER_PATH}",
                ssl=context,
                server_hostname=tls.node_name("alpha-1", NETWORK),
            ) as websocket,
        ):
            for frame in frames:
                await websocket.send_bytes(frame)
            got = (await websocket.receive(timeout=10)).type.name
    except aiohttp.WSServerHandshakeError as error:
        got = error.status
    except aiohttp.ClientError as error:
        got = type(error).__name__
    fields = await alpha.log.until("peer_refused")
    assert alpha.recorder.heard == []
    await alpha.links.close()
    return got, fields


@pytest.mark.parametrize("client", ["none", "other CA"])
def test_a_stranger_without_a_certificate_of_this_network_gets_no_link(tmp_path: Path, client: str) -> None:
    """The handshake fails, the log says why, and no message is heard."""
    stranger = None
    if client == "other CA":
        stranger = node_files(tmp_path, "bravo-1", tls.create_ca(NETWORK, NOW))
    got, fields = asyncio.run(_knock(tmp_path, stranger, []))
    assert isinstance(got, str)
    assert "CERTIFICATE" in fields["reason"]


def test_a_good_certificate_of_a_node_that_is_not_on_the_chain_is_refused(tmp_path: Path) -> None:
    """The CA alone lets nobody in: the chain says who is a node. But who knocked is told."""
    knocked: list[str] = []
    got, fields = asyncio.run(_knock(tmp_path, node_files(tmp_path, "zulu-1"), [], knocked.append))
    assert knocked == ["zulu-1"]
    assert got == 403
    assert fields["peer"] == "zulu-1"


def test_who_sends_while_no_link_to_it_stands_is_told_as_one_who_knocks(tmp_path: Path) -> None:
    """It may be sought at the wrong place. Once a link stands, what it sends is no knock."""

    async def scenario() -> None:
        knocked: list[str] = []
        (listener_a, at_a), (listener_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a, "bravo-1": "127.0.0.1:1"}
        alpha = Node(tmp_path, "alpha-1", known, knocked=knocked.append)
        bravo = Node(tmp_path, "bravo-1", {"alpha-1": at_a, "bravo-1": at_b})
        await alpha.links.start(listener_a, alpha.recorder)
        await bravo.links.start(listener_b, bravo.recorder)
        await bravo.log.until("peer_connected")
        await alpha.recorder.until(lambda: len(alpha.recorder.heard) == 1)
        assert knocked == ["bravo-1"]
        known["bravo-1"] = at_b
        await alpha.log.until("peer_connected")
        knocked.clear()
        bravo.links.send("alpha-1", NeedSeals(2, 2))
        await alpha.recorder.until(lambda: len(alpha.recorder.heard) == 2)
        assert knocked == []
        await alpha.links.close()
        await bravo.links.close()

    run(scenario())


def test_an_operators_certificate_opens_no_peer_link(tmp_path: Path) -> None:
    """It is under the right CA, and names no node."""
    operator = files(tmp_path, "op", tls.issue(CA, "op", [tls.operator_name("alpha", NETWORK)], NOW))
    got, fields = asyncio.run(_knock(tmp_path, operator, []))
    assert got == 403
    assert "names no node" in fields["reason"]


def _frame(message: NodeMessage) -> bytes:
    return b"\x91" + encode_node_message(message)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (_frame(NeedSeals(1, 1)), "no Hello"),
        (b"\x90", "no Hello"),
        (_frame(Hello(b"\x01" * 32, "bravo-1", bytes(16), 0, 0)), "not to this one"),
        (_frame(Hello(NETWORK_ID, "charlie-1", bytes(16), 0, 0)), "calls itself charlie-1"),
        (b"\xc1", "can't be read"),
        (b"\x91\x91\x63", "can't be read"),
    ],
)
def test_a_link_that_begins_wrongly_is_cut(tmp_path: Path, frame: bytes, said: str) -> None:
    """The right Hello comes first, or nothing of that link is heard."""
    got, fields = asyncio.run(_knock(tmp_path, node_files(tmp_path, "bravo-1"), [frame]))
    assert got in ("CLOSE", "CLOSING", "CLOSED")
    assert said in fields["reason"]


def test_links_follow_the_nodes_that_are_known(tmp_path: Path) -> None:
    """A node that becomes known is dialled and let in; one that is let go is cut off, and heard no more."""

    async def scenario() -> None:
        (listener_a, at_a), (listener_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a}
        everybody = {"alpha-1": at_a, "bravo-1": at_b}
        alpha, bravo = Node(tmp_path, "alpha-1", known), Node(tmp_path, "bravo-1", everybody)
        await alpha.links.start(listener_a, alpha.recorder)
        await bravo.links.start(listener_b, bravo.recorder)
        await alpha.log.until("peer_refused")
        known["bravo-1"] = at_b
        alpha.links.refresh()
        await alpha.log.until("peer_connected")
        await bravo.log.until("peer_connected")
        del known["bravo-1"]
        alpha.links.refresh()
        await alpha.log.until("peer_disconnected")
        assert alpha.links.connected() == frozenset()
        await alpha.links.close()
        await bravo.links.close()

    run(scenario())


def test_a_peer_let_go_while_its_link_breaks_is_dialled_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block that retires it is executed before the break is noticed: its task ends and raises nothing."""

    async def scenario() -> None:
        (listener_a, at_a), (listener_b, at_b) = listen(), listen()
        known = {"alpha-1": at_a, "bravo-1": at_b}
        alpha, bravo = Node(tmp_path, "alpha-1", known), Node(tmp_path, "bravo-1", dict(known))
        carry = alpha.links._carry

        async def carry_and_let_go(peer: str, websocket: aiohttp.ClientWebSocketResponse) -> bool:
            is_over = await carry(peer, websocket)
            assert alpha.links.connected() == {"bravo-1"}
            del known["bravo-1"]
            alpha.links.refresh()
            return is_over

        monkeypatch.setattr(alpha.links, "_carry", carry_and_let_go)
        await bravo.links.start(listener_b, bravo.recorder)
        await alpha.links.start(listener_a, alpha.recorder)
        await alpha.log.until("peer_connected")
        task = alpha.links._tasks["bravo-1"]
        await bravo.links.close()
        await asyncio.wait_for(task, timeout=10)
        await alpha.log.until("peer_disconnected")
        await alpha.links.close()

    run(scenario())


def test_a_redirect_is_followed_nowhere(tmp_path: Path) -> None:
    """A lying peer could let this node ask what it likes within the bank; one to nowhere is no harm."""

    async def scenario() -> None:
        inside, at_inside = listen()
        reached: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            reached.append(request.path)
            return web.Response(text="secret")

        async def send_there(request: web.Request) -> web.Response:
            to = {"Location": f"http://{at_inside}/secret"} if "nowhere" not in request.path else {}
            return web.Response(status=302, headers=to)

        liar, at_liar = listen()
        context = tls.peer_server_context(node_files(tmp_path, "bravo-1"))
        async with serving(answer, inside), serving(send_there, liar, context):
            listener, at_alpha = listen()
            alpha = Node(tmp_path, "alpha-1", {"alpha-1": at_alpha, "bravo-1": at_liar})
            await alpha.links.start(listener, alpha.recorder)
            assert "redirects" in (await alpha.log.until("peer_unreachable"))["reason"]
            await alpha.links.close()
            outgoing = tls.peer_client_context(node_files(tmp_path, "alpha-1"))
            async with PeerClient(outgoing, NETWORK, lambda: {"bravo-1": at_liar}) as client:
                for path in ("/voters/v1", f"{PEER_PATH}/nowhere"):
                    with pytest.raises(PeerFailed, match="redirects elsewhere"):
                        await client.ask("bravo-1", path)
        assert reached == []

    run(scenario())
