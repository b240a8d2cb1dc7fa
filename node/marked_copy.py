"""A stopped node's store, and a block put on a copy of it that the real chain can never have.

What is decided about the chain of such a copy names that block, and so is about no other chain: its term is
one that no election of the real network comes to, and the real log has another block at its height, or none.
It must not know what is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from consensus.messages import Entry, EntryType, HardState
from ledger.block import make_block
from ledger.codec import decode
from ledger.keys import sign
from ledger.records import ACCOUNT_PREFIX, Account
from ledger.registry import Registry
from ledger.rules import RULES
from ledger.rules.v1.invariants import check_whole
from ledger.state import State, basis_height
from node.disk import LevelDatabase
from node.executor import Committed, run
from node.records import CorruptRecord, block_key
from node.recovery import Position, Survivor, position
from node.store import LogWrite, Store

MARKED_TERMS = 2**32
"""The marked block is so many terms above all that the copy knows of: elections don't come to it."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What a stopped node's store holds: how far it goes, and what its executed state says.

    `supply` is what is held of each asset above zero, in minor units.
    """

    position: Position
    registry: Registry
    supply: dict[str, int]


@contextmanager
def opened(data: Path, genesis_raw: bytes, node: str, key: ec.EllipticCurvePrivateKey) -> Iterator[Survivor]:
    """The store at `data` of a node that doesn't run; raises StoreError."""
    with closing(LevelDatabase(data, create=False)) as database:
        yield Survivor(node, key, database, genesis_raw)


def take_stock(survivor: Survivor) -> Stock:
    """What the store holds; raises CorruptRecord, and what opening a store raises."""
    store = Store.open(survivor.database, survivor.genesis_raw, survivor.node)
    state = State.open(store)
    accounts = (decode(row, Account) for _, row in store.scan(ACCOUNT_PREFIX))
    return Stock(position(store, state, survivor.node), state.registry, check_whole(accounts))


def mark(survivor: Survivor, known_term: int, now_ms: int, boot: bytes) -> Stock:
    """Execute the copy's log to its end, and put a block after it that opens a term; what it holds then.

    `known_term` is the highest term that any copy knows of. Raises CorruptRecord, InvariantViolated.
    """
    store = Store.open(survivor.database, survivor.genesis_raw, survivor.node)
    state, signer = State.open(store), (survivor.node, survivor.key)
    for height in range(state.progress.height + 1, store.log_end + 1):
        run(state, store, signer, RULES, Committed(_entry(store, height), None))
    progress, height, term = state.progress, store.log_end + 1, known_term + MARKED_TERMS
    basis = basis_height(progress.term, progress.basis_height, height, term)
    block = make_block(
        parent=state.parent,
        scheduled=state.scheduled(height, basis),
        term=term,
        time_ms=now_ms,
        proposer=survivor.node,
        boot=boot,
        body=[],
        sign=lambda digest: sign(survivor.key, digest),
    )
    entry = Entry(height, term, EntryType.OPENING, block.raw)
    store.write_log([LogWrite(HardState(term), (entry,))])
    return take_stock(survivor)


def _entry(store: Store, height: int) -> Entry:
    entry = store.entry(height)
    if entry is None:
        raise CorruptRecord(block_key(height), height, "it is missing from the log")
    return entry
