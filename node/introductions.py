"""Learning from known nodes who votes now, where the chain as executed here doesn't tell yet.

A node that was away while another joined takes that one for a stranger, and refuses its link; if the stranger
leads, the blocks that would tell of it never come. So a stranger's knock makes this node ask those it knows.
Who votes is believed for the hand-overs of the right to certify, proved from genesis. Where a voter is
reached is only said: TLS shows who answers there. It must not know links.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.certificate import InvalidCertificate
from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import HostPort
from ledger.handovers import Handover, HandoverMissing, handovers_below, verify_handovers
from ledger.registry import Registry
from node.ports import Log
from node.snapshot_fetch import Ask, PeerFailed

VOTERS_PATH = "/voters/v1"
"""An Introduction of those who certify the next height; 404 where hand-overs don't lead to them."""
ASK_PAUSE_S = 2.0
"""Between rounds of asking: a stranger who keeps knocking costs the others no more than this."""

Sleep = Callable[[float], Awaitable[None]]


class Introduction(Record, frozen=True):
    """The hand-overs from genesis to those who certify now, and their addresses in the same order."""

    handovers: tuple[Handover, ...]
    addresses: tuple[HostPort, ...]


def introduce(registry: Registry, executed: int, certificate: Callable[[int], bytes | None]) -> bytes | None:
    """The Introduction of those who certify the height after `executed`; None where it can't be proved."""
    try:
        handovers = handovers_below(registry, executed + 1, certificate)
    except HandoverMissing:
        return None
    nodes = registry.certifiers_at(executed + 1).nodes
    return encode(Introduction(handovers, tuple(registry.nodes[node.node].address for node in nodes)))


def introduced(genesis_raw: bytes, raw: bytes) -> dict[str, str]:
    """The addresses of those whom an Introduction proves to certify, by node id.

    Raises InvalidCertificate, and Malformed.
    """
    introduction = decode(raw, Introduction)
    certifiers = verify_handovers(genesis_raw, introduction.handovers).certifiers
    if len(introduction.addresses) != len(certifiers.nodes):
        raise Malformed(f"{len(introduction.addresses)} addresses for {len(certifiers.nodes)} nodes")
    ids = (certifier.node for certifier in certifiers.nodes)
    return dict(zip(ids, introduction.addresses, strict=True))


@dataclass(frozen=True, slots=True)
class Acquaintances:
    """Whom this node knows: `peers` gives those that it can ask, `meet` takes the addresses of voters."""

    genesis_raw: bytes
    ask: Ask
    peers: Callable[[], Iterable[str]]
    meet: Callable[[Mapping[str, str]], object]
    log: Log


async def ask_of_strangers(
    around: Acquaintances, knocked: asyncio.Event, sleep: Sleep = asyncio.sleep
) -> None:
    """Whenever a stranger has knocked, ask every known node who votes; never returns."""
    while True:
        await knocked.wait()
        knocked.clear()
        for peer in sorted(around.peers()):
            try:
                around.meet(await _asked(around, peer))
            except PeerFailed as error:
                around.log.info("nobody_introduced", peer=peer, reason=str(error))
        await sleep(ASK_PAUSE_S)


async def _asked(around: Acquaintances, peer: str) -> dict[str, str]:
    answer = await around.ask(peer, VOTERS_PATH)
    if answer.status != 200:
        raise PeerFailed(f"{peer} answers {answer.status} for {VOTERS_PATH}")
    try:
        return introduced(around.genesis_raw, answer.body)
    except (Malformed, InvalidCertificate) as error:
        raise PeerFailed(f"what {peer} gives doesn't prove who votes: {error}") from error
