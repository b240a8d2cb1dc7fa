"""Learning from known nodes who votes now, where the chain as executed here doesn't tell yet.

A node that was away while another joined takes that one for a stranger, and refuses its link; if the stranger
leads, the blocks that would tell of it never come. So a stranger's knock makes this node ask those it knows,
again while it is sought in vain where they said. Who votes is believed for the hand-overs of the right to
certify, proved from genesis. Where a voter is reached is only said: TLS shows who answers there. It must not
know links.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.certificate import InvalidCertificate
from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import HostPort
from ledger.genesis import decode_genesis
from ledger.handovers import HandoverMissing, genesis_certifiers, handovers_below, verify_handovers
from ledger.registry import Registry
from node.ports import Log, Random
from node.snapshot_fetch import Ask, Handovers, PeerAnswer, PeerFailed

VOTERS_PATH = "/voters/v1"
"""An Introduction of those who certify the next height; 404 where hand-overs don't lead to them."""
ASK_PAUSE_S = 2.0
"""Between rounds of asking: a stranger who keeps knocking costs the others no more than this."""

ANSWER_TIMEOUT_S = 3.0
"""Who doesn't answer so soon isn't waited for: all are asked at once, and again after the next knock."""

Sleep = Callable[[float], Awaitable[None]]


class Introduction(Record, frozen=True):
    """The hand-overs from genesis to those who certify now, and their addresses in the same order."""

    handovers: Handovers
    addresses: tuple[HostPort, ...]


def introduce(registry: Registry, executed: int, certificate: Callable[[int], bytes | None]) -> bytes | None:
    """The Introduction of those who certify the height after `executed`; None where it can't be proved."""
    try:
        handovers = handovers_below(registry, executed + 1, certificate)
    except HandoverMissing:
        return None
    nodes = registry.certifiers_at(executed + 1).nodes
    return encode(Introduction(handovers, tuple(registry.nodes[node.node].address for node in nodes)))


def said(genesis_raw: bytes, introduction: Introduction) -> dict[str, str]:
    """Who certifies, and where each is reached, as is said and not yet proved; raises Malformed."""
    handovers = introduction.handovers
    last = handovers[-1].certifiers if handovers else genesis_certifiers(decode_genesis(genesis_raw))
    if len(introduction.addresses) != len(last.nodes):
        raise Malformed(f"{len(introduction.addresses)} addresses for {len(last.nodes)} nodes")
    return {node.node: address for node, address in zip(last.nodes, introduction.addresses, strict=True)}


def introduced(genesis_raw: bytes, introduction: Introduction) -> dict[str, str]:
    """The addresses of those whom an Introduction proves to certify, by node id.

    Raises InvalidCertificate, and Malformed.
    """
    verify_handovers(genesis_raw, introduction.handovers)
    return said(genesis_raw, introduction)


@dataclass(frozen=True, slots=True)
class Acquaintances:
    """Whom this node knows: `peers` gives those that it can ask, `meet` takes the addresses of voters.

    `is_news` says whether `meet` would learn anything from such addresses.
    """

    genesis_raw: bytes
    ask: Ask
    peers: Callable[[], Iterable[str]]
    is_news: Callable[[Mapping[str, str]], bool]
    meet: Callable[[Mapping[str, str]], object]
    random: Random
    log: Log


async def ask_of_strangers(
    around: Acquaintances, knocked: asyncio.Event, sleep: Sleep = asyncio.sleep
) -> None:
    """Whenever a stranger has knocked, ask every known node who votes; never returns."""
    while True:
        await knocked.wait()
        knocked.clear()
        await _ask_all(around)
        await sleep(ASK_PAUSE_S)


async def _ask_all(around: Acquaintances) -> None:
    """In an order of chance, for the last one's word counts where they differ: no liar is always last."""
    peers = sorted(around.peers(), key=lambda _: around.random.randrange(1 << 32))
    for peer, asked in zip(
        peers, await asyncio.gather(*(_asked(around, peer) for peer in peers)), strict=True
    ):
        try:
            await _hear(around, peer, asked)
        except PeerFailed as error:
            around.log.info("nobody_introduced", peer=peer, reason=str(error))


async def _asked(around: Acquaintances, peer: str) -> PeerAnswer | PeerFailed:
    """What a node answers in time, or that it failed: one doesn't keep the others from being heard."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await around.ask(peer, VOTERS_PATH)
    except PeerFailed as error:
        return error
    except TimeoutError:
        return PeerFailed(f"{peer} doesn't answer {VOTERS_PATH} within {ANSWER_TIMEOUT_S:g} s")


async def _hear(around: Acquaintances, peer: str, answer: PeerAnswer | PeerFailed) -> None:
    """Meet those whom an answer proves to vote, off the loop, as it may be long; raises PeerFailed."""
    if isinstance(answer, PeerFailed):
        raise answer
    if answer.status != 200:
        raise PeerFailed(f"{peer} answers {answer.status} for {VOTERS_PATH}")
    try:
        introduction = await asyncio.to_thread(decode, answer.body, Introduction)
        if around.is_news(said(around.genesis_raw, introduction)):
            around.meet(await asyncio.to_thread(introduced, around.genesis_raw, introduction))
    except (Malformed, InvalidCertificate) as error:
        raise PeerFailed(f"what {peer} gives doesn't prove who votes: {error}") from error
