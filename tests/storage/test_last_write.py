"""A node's store whose last write was cut off anywhere: the node stands as before it, never in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from consensus.messages import Entry, EntryType, HardState
from ledger.rules import RULES
from ledger.state import State
from node.disk import LevelDatabase
from node.executor import Committed, run
from node.store import LogWrite, OwnSeal, Store
from tests.simulation.cluster.bank import key_of
from tests.storage.files import AFTER_ALL_KEYS, the_file, with_file
from tests.unit.node.harness import ALWAYS, Node, reopen

UNEXECUTED = 3
"""The log goes so far beyond the executed block."""
OPENED_EVERY = 10
"""Bytes between two cuts after which the node's store is opened too, beside reading its rows."""


class Facts(NamedTuple):
    """What a node has promised and knows, by its store."""

    hard_state: HardState
    log: tuple[Entry | None, ...]
    executed: int
    own_seals: tuple[OwnSeal | None, ...]


def facts(database: LevelDatabase, genesis_raw: bytes) -> Facts:
    """Opened as a start opens it."""
    store = Store.open(database, genesis_raw, "n0")
    state = State.open(store)
    heights = range(1, store.log_end + 1)
    return Facts(
        hard_state=store.hard_state(),
        log=tuple(store.entry(height) for height in heights),
        executed=state.progress.height,
        own_seals=tuple(store.own_seal(height) for height in heights),
    )


def vote_and_entries(store: Store) -> None:
    """A vote in a new term, and an entry that replaces all that isn't executed."""
    height = store.log_end - UNEXECUTED + 1
    term = store.hard_state().term + 1
    store.write_log([LogWrite(HardState(term, "n1"), (Entry(height, term, EntryType.NORMAL, b"other"),))])


def executed_block(store: Store) -> None:
    """The rows of the next block with its header, and this node's seal of it."""
    state = State.open(store)
    entry = store.entry(state.progress.height + 1)
    assert entry is not None
    run(state, store, ("n0", key_of("n0")), RULES, Committed(entry, None))


def node_with_a_log() -> Node:
    """Two blocks are executed and sealed; an opening one and those after it are only committed."""
    grown = Node()
    grown.tick(30)
    grown.submit(grown.bank.open_account("bank0", "anna", bytes(15) + b"a", ALWAYS))
    node = reopen(grown)
    node.ports.execute.paused = True
    node.tick(30)
    for number in range(UNEXECUTED - 1):
        node.submit(node.bank.open_account("bank0", f"a{number}", number.to_bytes(16, "big"), ALWAYS))
        node.tick()
    assert node.store.log_end == node.driver.executed_height + UNEXECUTED
    return node


@pytest.mark.parametrize("last_write", [vote_and_entries, executed_block])
def test_every_cut_of_the_last_write_leaves_the_node_as_before_it(
    tmp_path: Path, last_write: Callable[[Store], None]
) -> None:
    """At each byte: all rows, and so vote, log, executed height and own seals, are exactly as before it."""
    node, sound = node_with_a_log(), tmp_path / "sound"
    with contextlib.closing(LevelDatabase(sound)) as database:
        database.write(node.disk.durable, (), sync=True)
    with contextlib.closing(LevelDatabase(sound)) as database:
        before = facts(database, node.genesis_raw)
        start = the_file(sound, "*.log").stat().st_size
        last_write(Store.open(database, node.genesis_raw, "n0"))
        assert facts(database, node.genesis_raw) != before
    log = the_file(sound, "*.log")
    data = log.read_bytes()
    for cut in range(start, len(data)):
        copy = with_file(sound, tmp_path / "copy", log.name, data[:cut])
        with contextlib.closing(LevelDatabase(copy)) as database:
            assert dict(database.scan(b"", AFTER_ALL_KEYS)) == node.disk.durable, cut
            if (cut - start) % OPENED_EVERY == 0:
                assert facts(database, node.genesis_raw) == before, cut
