"""Building a store from a snapshot: what is proved becomes rows, and what the old store promised goes along.

It must not know where chunks come from, nor put the new store in its place (node/data_switch.py). It is a
store only once `finish` has returned.
"""

from __future__ import annotations

from collections.abc import Iterator

from consensus.messages import HardState
from ledger.block import block_hash, decode_block
from ledger.certificate import decode_seal, encode_certificate
from ledger.codec import decode
from ledger.genesis import network_id as network_id_of
from ledger.records import PROGRESS_KEY, Progress
from ledger.snapshot import Manifest, unpack_chunk
from ledger.snapshot_proof import SnapshotProof
from node.ports import Database
from node.records import (
    CERTIFICATE,
    EVIDENCE,
    HARD_STATE,
    SEAL,
    Record,
    SealedHeader,
    certificate_key,
    header_key,
    meta_key,
    pack_hard_state,
    pack_header,
    pack_meta,
    pack_record,
)
from node.snapshot_folder import Chunk
from node.store import (
    LED,
    PRUNED,
    SEALED,
    Store,
    identity_rows,
)

CARRIED_ROWS = 1_000
"""Rows of the old store that are copied in one write."""


class SnapshotOvertaken(Exception):
    """The old store went on, or forgot blocks, beyond the snapshot's height: it must stay."""


class SnapshotInstaller:
    """A new store on its way: `take` every chunk in order, then `prove`, then `finish`."""

    def __init__(self, genesis_raw: bytes, node_id: str, manifest: Manifest, database: Database) -> None:
        """Build in `database`, which is empty, for the node of this id; raises SnapshotInvalid."""
        self._proof = SnapshotProof(genesis_raw, manifest)
        self._identity = identity_rows(network_id_of(genesis_raw), node_id)
        self._manifest = manifest
        self._database = database
        self._proved: dict[bytes, bytes] = {}

    def take(self, chunk: Chunk, raw: bytes) -> None:
        """The bytes of the next chunk; raises SnapshotInvalid."""
        taken = self._proof.take(chunk.section, unpack_chunk(raw, chunk.ref, chunk.name))
        headers = {
            header_key(block.height): pack_header(
                block.height, SealedHeader(block.term, block.header, block.seal)
            )
            for block in taken.blocks
        }
        self._database.write({**taken.rows, **headers}, (), sync=False)

    def prove(self) -> None:
        """Everything is here: check what only the whole shows; raises SnapshotInvalid."""
        self._proved = self._proof.finish()

    def finish(self, old: Store | None) -> None:
        """Take over what `old` has promised, and make it a store, by a last write of the rows that it lacks.

        Raises SnapshotOvertaken where the old store holds no more what follows on the snapshot, and
        CorruptRecord for damage in it.
        """
        rows = self._proved
        progress = decode(rows[PROGRESS_KEY], Progress)
        if old is not None and progress.height < old.pruned:
            # Its log begins above: what it acknowledged would be cut off from the snapshot by a hole.
            raise SnapshotOvertaken(
                f"the snapshot is of height {progress.height}, but up to {old.pruned} blocks are forgotten"
            )
        for batch in _batches(_promises(old, progress) if old is not None else iter(())):
            self._database.write(batch, (), sync=False)
        hard_state = old.hard_state() if old is not None else HardState()
        if hard_state.term < progress.term:
            hard_state = HardState(progress.term)
        self._database.write(
            {
                **rows,
                **self._identity,
                **_certificate_rows(self._manifest),
                HARD_STATE: pack_hard_state(hard_state),
                meta_key(PRUNED): pack_meta(PRUNED, progress.height.to_bytes(8, "big")),
            },
            (),
            sync=True,
        )


def _certificate_rows(manifest: Manifest) -> dict[bytes, bytes]:
    """The certificate of the snapshot, and those of all hand-overs before it, which are kept for ever."""
    rows = {}
    for certificate in (*(handover.certificate for handover in manifest.handovers), manifest.certificate):
        height = decode_seal(certificate.seal).height
        key = certificate_key(height)
        rows[key] = pack_record(key, Record(height, 0, encode_certificate(certificate)))
    return rows


def _promises(old: Store, progress: Progress) -> Iterator[tuple[bytes, bytes]]:
    """The rows that bind a node whatever its state: what it sealed and saw, and the log above the snapshot.

    Entries above the snapshot were acknowledged, perhaps; they follow on it only if the log held the
    snapshot's own block (Raft paper, figure 13). Else they were never committed.
    """
    for prefix in (SEAL, EVIDENCE, meta_key(LED), meta_key(SEALED)):
        yield from old.scan(prefix)
    # Those above the snapshot are asked for again once their heights are executed again.
    above = certificate_key(progress.height + 1)
    yield from ((key, raw) for key, raw in old.scan(CERTIFICATE) if key < above)
    if _block_hash(old, progress.height) == progress.block_hash:
        yield from old.scan_log(progress.height + 1)


def _block_hash(store: Store, height: int) -> bytes | None:
    """The hash of its block at `height`: by the header where that is kept, as the body may be forgotten."""
    block = store.header(height)
    if block is not None:
        return block_hash(block.header)
    entry = store.entry(height)
    return None if entry is None else decode_block(entry.data).hash


def _batches(rows: Iterator[tuple[bytes, bytes]]) -> Iterator[dict[bytes, bytes]]:
    batch: dict[bytes, bytes] = {}
    for key, row in rows:
        batch[key] = row
        if len(batch) == CARRIED_ROWS:
            yield batch
            batch = {}
    yield batch
