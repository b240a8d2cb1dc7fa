"""Putting damaged records of a store right with what other nodes give, before anything else uses the store.

A block is believed for its hash, which this node's own headers or a certificate names. It must not know how
others are asked. While it lasts, the node has no Raft: it neither votes nor acknowledges anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

from consensus.messages import Entry, HardState
from ledger.block import Block, block_hash, decode_block
from ledger.certificate import (
    Certificate,
    InvalidCertificate,
    Seal,
    decode_seal,
    encode_certificate,
)
from ledger.codec import Malformed, Record, decode
from ledger.handovers import verify_certified
from ledger.keys import BadSignature, verify
from ledger.merkle import root
from ledger.registry import Registry
from ledger.state import load_progress
from node import records
from node.damage import Damage, registry_of, survey
from node.disk import StoreError
from node.membership import entry_type_after
from node.ports import Log
from node.records import CorruptRecord, block_key, certificate_key, header_key, pack_entry, pack_record
from node.snapshot_fetch import Ask, Handovers, PeerFailed
from node.store import LogWrite, Store

BLOCK_PATH = "/repair/v1/block/{height}"
"""The bytes of an executed block."""
PROOF_PATH = "/repair/v1/proof/{height}"
"""A CertifiedTip of that height or the next that has one; else of the highest."""
TAIL_BYTES = 256 * 1024 * 1024
"""Blocks that replace a damaged end of the log are written at once, so they are held in memory."""

RETRY_S = 1.0
PATIENCE_S = 60.0
"""How long a start waits for others who can help: as long as a restart of all nodes takes, or an election."""

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class NotRepaired(StoreError):
    """No node gives what would put this store right; the text says what each gave instead."""


class CertifiedTip(Record, frozen=True):
    """A certificate, and the hand-overs from genesis to those who signed it."""

    handovers: Handovers
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Helpers:
    """The other nodes, and how they are asked."""

    ask: Ask
    peers: Iterable[str]
    log: Log


class OpenStore(Protocol):
    """Opens the store that is to be put right; see Store.open."""

    def __call__(self, *, check_log: bool) -> Store:
        """Open it anew."""
        ...


async def open_repaired(
    open_store: OpenStore, helpers: Helpers, *, whole: bool, sleep: Sleep = asyncio.sleep
) -> Store:
    """The store, once nothing of it is damaged; with `whole` all of it is looked through.

    Raises NotRepaired once the others have been asked for PATIENCE_S, and StateCorrupted or CorruptRecord for
    what only a new node mends.
    """
    if not whole:
        try:
            return open_store(check_log=True)
        except CorruptRecord as error:
            helpers.log.error("store_damaged", what=str(error).split(";", 1)[0])
    for attempt in count(1):
        store = open_store(check_log=False)
        damage = await asyncio.to_thread(survey, store, whole)
        if damage is None:
            break
        helpers.log.warning("store_repairing", attempt=attempt, **damage.counts())
        try:
            await repair(store, damage, helpers)
        except NotRepaired:
            if attempt * RETRY_S >= PATIENCE_S:
                raise
            await sleep(RETRY_S)
    return open_store(check_log=True)


async def repair(store: Store, damage: Damage, helpers: Helpers) -> None:
    """Put right all that is damaged; raises NotRepaired, and CorruptRecord for a header that is missing.

    Interrupted, it leaves a store of which less is damaged. The store is to be opened anew afterwards.
    """
    store.mend({}, damage.droppable)
    for key in damage.droppable:
        helpers.log.warning("record_dropped", record=records.name_of(key))
    registry = registry_of(store)
    for height in damage.handovers:
        certificate = await _first(helpers, partial(_handover, store, helpers.ask, height))
        key = certificate_key(height)
        row = pack_record(key, records.Record(height, 0, encode_certificate(certificate)))
        store.mend({key: row}, ())
        helpers.log.warning("record_repaired", record=records.name_of(key), height=height)
    for height in damage.blocks:
        wanted = block_hash(_header(store, height))
        block = await _first(helpers, partial(_block, helpers.ask, registry, height, wanted))
        store.mend({block_key(height): pack_entry(_entry(block, _term_before(store, height)))}, ())
        helpers.log.warning("record_repaired", record=records.name_of(block_key(height)), height=height)
    if damage.tail is not None:
        await _repair_tail(store, damage.tail, registry, helpers)


async def _repair_tail(store: Store, first: int, registry: Registry, helpers: Helpers) -> None:
    """Replace the log's end, damaged from `first` on, by blocks that a certificate proves committed.

    This node may have acknowledged what is damaged, and Raft may have counted that. So it goes on only with a
    log that holds all that can have been committed with its help: up to a certified block as high as its log
    was, or of a later term than it ever voted in. The leader of such a term was elected by others, one of
    whom held whatever this node helped to commit (Raft paper 5.4.3), and had it when it proposed that block.
    """
    end = store.log_end
    log = await _first(helpers, partial(_certified_log, store, helpers.ask, registry, first))
    term = log[-1].term
    hard_state = HardState(term) if term > store.hard_state().term else None
    store.write_log([LogWrite(hard_state, tuple(log))])
    helpers.log.warning("log_repaired", damaged_from=first, was=end, first=log[0].index, last=log[-1].index)


async def _certified_log(store: Store, ask: Ask, registry: Registry, first: int, peer: str) -> list[Entry]:
    """Entries that follow on a sound one below `first`, up to a certified height that is high enough."""
    progress, hard_state = load_progress(store), store.hard_state()
    seal = await _verified(store, await _tip(ask, peer, store.log_end))
    if seal.height <= progress.height:
        raise PeerFailed(f"{peer} has certificates up to height {seal.height} only")
    blocks = [await _block(ask, registry, seal.height, seal.header_hash, peer)]
    if seal.height < store.log_end and blocks[0].header.term <= hard_state.term:
        raise PeerFailed(
            f"{peer} has certificates up to height {seal.height}, of term {blocks[0].header.term}; this "
            f"node may have acknowledged blocks up to {store.log_end} in terms up to {hard_state.term}"
        )
    size_bytes = len(blocks[0].raw)
    while not _follows(store, blocks[-1], first):
        header = blocks[-1].header
        if header.height - 1 <= progress.height:
            raise PeerFailed(
                f"the chain of {peer} isn't this node's at the executed height {progress.height}"
            )
        blocks.append(await _block(ask, registry, header.height - 1, header.parent_hash, peer))
        size_bytes += len(blocks[-1].raw)
        if size_bytes > TAIL_BYTES:
            raise NotRepaired(
                f"the log's end from height {first} on is damaged, and more than {TAIL_BYTES} bytes of "
                "blocks would have to replace it: keep the directory for inquiry and bring the bank back "
                "as a new node"
            )
    blocks.reverse()
    terms = [_term_before(store, blocks[0].header.height), *(block.header.term for block in blocks)]
    return [_entry(block, before) for block, before in zip(blocks, terms, strict=False)]


def _follows(store: Store, block: Block, first: int) -> bool:
    """Whether a block follows on a sound one of this node's own log."""
    before = block.header.height - 1
    progress = load_progress(store)
    if before == progress.height:
        return block.header.parent_hash == progress.block_hash
    if before < progress.height or before >= first:
        return False
    entry = store.entry(before)
    return entry is not None and decode_block(entry.data).hash == block.header.parent_hash


async def _handover(store: Store, ask: Ask, height: int, peer: str) -> Certificate:
    """The certificate at which others began to certify after `height`, proved from genesis."""
    tip = await _tip(ask, peer, height + 1)
    await _verified(store, tip)
    for handover in tip.handovers:
        if decode_seal(handover.certificate.seal).height == height:
            return handover.certificate
    raise PeerFailed(f"{peer} doesn't give the certificate of the hand-over at height {height}")


async def _tip(ask: Ask, peer: str, height: int) -> CertifiedTip:
    raw = await _asked(ask, peer, PROOF_PATH.format(height=height))
    try:
        return await asyncio.to_thread(decode, raw, CertifiedTip)
    except Malformed as error:
        raise PeerFailed(f"what {peer} gives as a proof can't be read: {error}") from error


async def _verified(store: Store, tip: CertifiedTip) -> Seal:
    """The seal that is proved, off the loop, as that may take long; raises PeerFailed."""
    try:
        return await asyncio.to_thread(verify_certified, store.genesis_raw, tip.handovers, tip.certificate)
    except (Malformed, InvalidCertificate) as error:
        raise PeerFailed(f"a certificate doesn't hold: {error}") from error


async def _block(ask: Ask, registry: Registry, height: int, wanted: bytes, peer: str) -> Block:
    """The block of a height whose hash is `wanted`; raises PeerFailed for anything else."""
    raw = await _asked(ask, peer, BLOCK_PATH.format(height=height))
    try:
        block = decode_block(raw)
        header = block.header
        if block.hash != wanted or root(block.leaf_hashes) != header.tx_root:
            raise PeerFailed(f"{peer} gives another block {height} than the chain names")
        proposer = registry.nodes.get(header.proposer)
        if proposer is None:
            raise PeerFailed(f"the proposer {header.proposer} of block {height} isn't known here yet")
        verify(proposer.key, block.hash, block.signature)
    except (Malformed, BadSignature) as error:
        raise PeerFailed(f"what {peer} gives as block {height} is none: {error}") from error
    return block


async def _asked(ask: Ask, peer: str, path: str) -> bytes:
    answer = await ask(peer, path)
    if answer.status != 200:
        raise PeerFailed(f"{peer} answers {answer.status} for {path}")
    return answer.body


async def _first(helpers: Helpers, get: Callable[[str], Awaitable[T]]) -> T:
    """What the first node gives that gives what is right; raises NotRepaired."""
    reasons = []
    for peer in helpers.peers:
        try:
            return await get(peer)
        except PeerFailed as error:
            reasons.append(str(error))
    raise NotRepaired(
        "this store has damaged records, and no other node puts them right now: "
        f"{'; '.join(reasons) or 'there is no other node'}. Start this node again when a majority of the "
        "others runs."
    )


def _header(store: Store, height: int) -> bytes:
    block = store.header(height)
    if block is None:
        raise CorruptRecord(header_key(height), height, "it is missing")
    return block.header


def _term_before(store: Store, height: int) -> int:
    """The term of the block below `height`, which is executed or sound."""
    if height == 1:
        return 0
    block = store.header(height - 1)
    if block is not None:
        return block.term
    entry = store.entry(height - 1)
    if entry is None:
        raise CorruptRecord(block_key(height - 1), height - 1, "it is missing in the middle of the log")
    return entry.term


def _entry(block: Block, term_before: int) -> Entry:
    header = block.header
    return Entry(header.height, header.term, entry_type_after(block, term_before), block.raw)
