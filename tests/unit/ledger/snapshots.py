"""Snapshots of a small chain for tests: made from its rows, taken apart into items, and proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from ledger import records
from ledger.block import decode_block
from ledger.certificate import decode_certificate
from ledger.codec import encode
from ledger.genesis import network_id
from ledger.snapshot import (
    ACCOUNTS,
    CHAIN,
    REGISTRY,
    SECTIONS,
    BlockItem,
    ChunkRef,
    Manifest,
    SectionRef,
    pack_chunks,
)
from ledger.snapshot_proof import SnapshotProof
from tests.unit.ledger.audited import Chain

Items = dict[str, list[bytes]]


def items_of(chain: Chain) -> Items:
    """The items of a chain's newest state, by section."""

    def rows(prefix: bytes) -> list[bytes]:
        return [row for _, row in chain.scan(prefix)]

    history: list[bytes] = []
    for height in sorted(chain.blocks):
        header = decode_block(chain.blocks[height]).header_raw
        history.append(encode(BlockItem(header, chain.seals[height][0])))
        history += rows(records.HISTORY_PREFIX + height.to_bytes(6, "big"))
    return {
        ACCOUNTS: rows(records.ACCOUNT_PREFIX),
        REGISTRY: rows(records.REGISTRY_PREFIX),
        CHAIN: history,
    }


def manifest_of(chain: Chain, items: Items, certified: int | None = None) -> Manifest:
    """The manifest of these items, proved by the certificate of this height, or of the chain's last."""
    height = chain.tip()
    sections = []
    for name in SECTIONS:
        chunks = tuple(ChunkRef(sha256(raw).digest(), len(raw)) for raw, _ in pack_chunks(items[name]))
        sections.append(SectionRef(name, len(items[name]), chunks))
    return Manifest(
        format=1,
        network_id=network_id(chain.genesis_raw),
        height=height,
        handovers=(),
        seals=tuple(chain.seals[h][0] for h in range(height, certified or height)),
        certificate=decode_certificate(chain.certificates[certified or height]),
        sections=tuple(sections),
    )


def prove(
    genesis_raw: bytes, manifest: Manifest, items: Mapping[str, Sequence[bytes]], portion: int = 3
) -> dict[bytes, bytes]:
    """Prove items in portions of so many; every row of the state that they come to."""
    proof = SnapshotProof(genesis_raw, manifest)
    rows: dict[bytes, bytes] = {}
    for name in SECTIONS:
        for start in range(0, len(items[name]), portion):
            rows |= proof.take(name, items[name][start : start + portion]).rows
    return rows | proof.finish()
