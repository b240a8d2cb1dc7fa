"""What a node holds in memory, writes as evidence or searches is bounded, however far the bound seems."""

import pytest

from api.ports import NotFound
from consensus.messages import Entry, EntryType
from consensus.storage import entry_size_bytes
from ledger.block import genesis_parent
from ledger.certificate import decode_seal
from ledger.outcome import Outcome
from node.evidence import MAX_REASON, keep_invalid_entry
from node.intake import InvalidEntry
from node.log_tail import Link, LogTail
from node.reads import Reads
from node.records import EVIDENCE
from node.results import Stage, SubmitResult
from node.waiters import Waiters
from tests.unit.node.anna import open_anna, stages
from tests.unit.node.harness import Node
from tests.unit.node.snapshots import grown


def test_the_newest_entries_of_the_log_are_kept_in_memory_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Older ones are read from the store when they are wanted; the newest stays, however large it is."""
    node = grown(6)
    entries = [node.store.entry(height) for height in range(1, 7)]
    newest = [entry for entry in entries[-2:] if entry is not None]
    genesis = Link(genesis_parent(node.genesis_raw), 0)
    size_bytes = sum(map(entry_size_bytes, newest))
    for bound, kept in ((size_bytes, 2), (size_bytes - 1, 1), (0, 1)):
        monkeypatch.setattr("node.log_tail.CACHE_BYTES", bound)
        tail = LogTail(node.store, genesis, 0)
        cached = [height for height in range(1, 7) if tail.cached(height) is not None]
        assert cached == list(range(7 - kept, 7))
        assert list(tail.entries(1, 6, 1 << 20)) == entries


def test_the_reason_kept_with_evidence_is_cut() -> None:
    """It may quote what an attacker chose; the block itself is kept whole."""
    node = Node()
    entry = Entry(1, 1, EntryType.NORMAL, b"the block")
    keep_invalid_entry(node.store, "n1", 1, InvalidEntry(entry, "x" * (MAX_REASON + 1)))
    ((_, raw),) = node.store.scan(EVIDENCE)
    assert b"the block" in raw
    assert raw.count(b"x") == MAX_REASON


def test_a_block_is_searched_by_its_hash_among_the_newest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's hash costs no walk along the whole chain."""
    monkeypatch.setattr("node.reads.HASH_SEARCH_BLOCKS", 2)
    node = grown(6)
    driver, store = node.driver, node.store
    reads = Reads(store, lambda: driver.executed.registry, lambda: driver.certified_height, driver.holders)
    newest = driver.executed_height
    for height in (newest, newest - 2):
        assert reads.height_of_block(hash_of(node, height)) == height
    with pytest.raises(NotFound, match=f"from height {newest - 2} to {newest}"):
        reads.height_of_block(hash_of(node, newest - 3))


def hash_of(node: Node, height: int) -> bytes:
    """The hash of a node's block."""
    header = node.store.header(height)
    assert header is not None
    return decode_seal(header.seal).header_hash


def test_submitters_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more with another payment is refused; one more with the same hears that it is held."""
    monkeypatch.setattr("node.driver.Waiters", lambda: Waiters(1))
    node = Node(size=3)
    first = node.submit(open_anna(node))
    assert stages(first) == [Stage.PENDING]
    for raw, held in ((open_anna(node, 101), False), (open_anna(node), True)):
        refused: SubmitResult = node.submit(raw)[-1]
        assert (refused.stage, refused.outcome, refused.held) == (Stage.REFUSED, Outcome.OVERLOADED, held)
        assert refused.reason == "as many submitters wait as may"
    assert node.driver.status().pending == 1
