"""Snapshots of stores: what is exported comes back as a store that goes on, with all the old one promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from consensus.messages import Entry, EntryType, HardState
from ledger.codec import encode
from ledger.records import STATE_PREFIXES
from ledger.snapshot import CHAIN, SnapshotInvalid, decode_manifest, encode_manifest
from node.disk import LevelDatabase
from node.records import CorruptRecord, SealedHeader, header_key, meta_key
from node.snapshot_export import export_items, prove_exported
from node.snapshot_folder import (
    Chunk,
    chunks_of,
    has_chunk,
    make_empty,
    read_chunk,
    read_manifest,
    remove_others,
)
from node.snapshot_install import SnapshotOvertaken
from node.store import LogWrite, OwnSeal, Store
from tests.simulation.cluster.database import SimulatedDisk
from tests.unit.node.harness import Node, new_disk, open_database
from tests.unit.node.snapshots import grown, install_into, snapshot_of
from wallet.atomic_file import write_private

EMPTY_HEADER = SealedHeader(1, b"", b"")


def rows(disk: SimulatedDisk, prefixes: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """A disk's rows under these prefixes."""
    return {key: value for key, value in disk.live.items() if key[:1] in prefixes}


def test_an_installed_store_has_every_row_of_the_state_and_goes_on(tmp_path: Path) -> None:
    """A new node with the same id opens it, executes the next block, and seals it as the old one would."""
    node = grown(6)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "snapshot", manifest, node)
    kept = (*STATE_PREFIXES, b"h")
    assert rows(disk, kept) == rows(node.disk, kept)
    assert disk.unsynced == []
    again = Node(disk=disk)
    height = manifest.height
    assert (again.store.pruned, again.store.log_end, again.driver.executed_height) == (height, height, height)
    assert again.driver.certified_height == height
    grown(height + 3, again)
    assert again.driver.executed_height >= height + 3
    assert not again.stopped


def test_the_same_state_gives_the_same_snapshot(tmp_path: Path) -> None:
    """Byte for byte, so that chunks fetched from one node go on with those of another."""
    node = grown(4)
    one, two = snapshot_of(node, tmp_path / "one"), snapshot_of(node, tmp_path / "two")
    assert one == two
    assert snapshot_of(Node(disk=node.disk), tmp_path / "three") == one


def test_a_snapshot_can_be_made_of_an_installed_and_pruned_store(tmp_path: Path) -> None:
    """It needs no bodies: the next snapshot's chain begins with the same items."""
    node = grown(5)
    first = snapshot_of(node, tmp_path / "first")
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "first", first, node)
    again = grown(first.height + 2, Node(disk=disk))
    again.store.prune(again.driver.executed_height)
    second = snapshot_of(again, tmp_path / "second")
    assert second.height > first.height
    third = new_disk()
    install_into(open_database(third), tmp_path / "second", second, again)
    assert Node(disk=third).driver.executed_height == second.height


def test_what_the_old_store_promised_goes_along(tmp_path: Path) -> None:
    """Term and vote, marks, evidence, own seals and certificates are those of the old store."""
    node = grown(6)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    old_disk = new_disk()
    old = Store.open(open_database(old_disk), node.genesis_raw, "n0")
    old.write_log([LogWrite(HardState(77, "n0"), ())])
    old.write_marks({1: b"certificate"}, {"n1": 70}, {"n1": 3})
    old.write_evidence(2, bytes(32), b"evidence")
    old.write_executed(1, {}, EMPTY_HEADER, OwnSeal(b"seal", bytes(64)))
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "snapshot", manifest, node, old)
    store = Store.open(open_database(disk), node.genesis_raw, "n0")
    assert store.hard_state() == HardState(77, "n0")
    assert (store.led_term("n1"), store.sealed_height("n1")) == (70, 3)
    assert store.own_seal(1) == OwnSeal(b"seal", bytes(64))
    assert store.certificate(1) == b"certificate"
    assert dict(store.scan(b"e")) == dict(old.scan(b"e"))


def test_an_old_term_is_raised_to_the_snapshots_and_its_vote_dropped(tmp_path: Path) -> None:
    """A vote of an earlier term binds nobody in a later one."""
    node = grown(3)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    old = Store.open(open_database(new_disk()), node.genesis_raw, "n0")
    old.write_log([LogWrite(HardState(0, "n2"), ())])
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "snapshot", manifest, node, old)
    store = Store.open(open_database(disk), node.genesis_raw, "n0")
    assert store.hard_state() == HardState(store.base_term, None)


@pytest.mark.parametrize("same_block", [True, False])
def test_log_entries_above_the_snapshot_stay_if_they_follow_on_it(tmp_path: Path, same_block: bool) -> None:
    """They may have been acknowledged; after another block they never were committed."""
    node = grown(4)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    height = manifest.height
    old = Store.open(open_database(new_disk()), node.genesis_raw, "n0")
    entries = [node.store.entry(h) for h in range(1, height + 1)]
    log = tuple(entry for entry in entries if entry is not None)
    if not same_block:
        log = (*log[:-1], Entry(height, log[-1].term, EntryType.NORMAL, log[-2].data))
    above = Entry(height + 1, log[-1].term, EntryType.NORMAL, b"acknowledged")
    old.write_log([LogWrite(HardState(log[-1].term, None), (*log, above))])
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "snapshot", manifest, node, old)
    store = Store.open(open_database(disk), node.genesis_raw, "n0")
    assert store.entry(height + 1) == (above if same_block else None)
    assert store.log_end == height + same_block


def test_a_store_that_began_with_the_same_snapshot_keeps_its_log(tmp_path: Path) -> None:
    """The snapshot's own body was never there; the header tells that the log above follows on it."""
    node = grown(6)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    old_disk = new_disk()
    install_into(open_database(old_disk), tmp_path / "snapshot", manifest, node)
    old = grown(manifest.height + 5, Node(disk=old_disk)).store
    assert old.pruned == manifest.height
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "snapshot", manifest, node, old)
    store = Store.open(open_database(disk), node.genesis_raw, "n0")
    assert store.log_end == old.log_end > manifest.height
    assert store.entry(old.log_end) == old.entry(old.log_end)
    assert grown(old.log_end, Node(disk=disk)).driver.executed_height >= old.log_end


def test_a_snapshot_below_what_is_forgotten_is_refused(tmp_path: Path) -> None:
    """At the forgotten height itself the log still follows; one below, it would be cut off."""
    node = grown(4)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    height = manifest.height
    grown(height + 3, node)
    node.store.prune(height)
    install_into(open_database(new_disk()), tmp_path / "snapshot", manifest, node, node.store)
    node.store.prune(height + 1)
    disk = new_disk()
    with pytest.raises(SnapshotOvertaken, match=f"up to {height + 1} blocks are forgotten"):
        install_into(open_database(disk), tmp_path / "snapshot", manifest, node, node.store)
    assert meta_key("format") not in disk.live


def test_nothing_becomes_a_store_before_all_is_proved(tmp_path: Path) -> None:
    """With a chunk spoilt, or one missing, the database opens as no store of any state."""
    node = grown(4)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    last = list(chunks_of(manifest))[-1]
    path = tmp_path / "snapshot" / last.name
    whole = path.read_bytes()
    for spoilt in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(spoilt)
        disk = new_disk()
        with pytest.raises(SnapshotInvalid, match=last.name):
            install_into(open_database(disk), tmp_path / "snapshot", manifest, node)
        assert meta_key("format") not in disk.live
    path.unlink()
    with pytest.raises(SnapshotInvalid, match=f"{last.name}: it can't be read"):
        install_into(open_database(new_disk()), tmp_path / "snapshot", manifest, node)


def test_a_height_without_a_certificate_is_not_proved_yet(tmp_path: Path) -> None:
    """Its items can be written; the manifest waits for a certificate, of a later height perhaps."""
    node = grown(3)
    make_empty(tmp_path / "early")
    early = export_items(open_database(node.disk), tmp_path / "early")
    height = node.driver.executed_height
    certificate = node.store.certificate(height)
    assert certificate is not None
    for key in [key for key in node.disk.live if key[:1] == b"c"]:
        del node.disk.live[key]
    assert prove_exported(node.store, early) is None
    grown(height + 2, node)
    manifest = prove_exported(node.store, early)
    assert manifest is not None
    assert manifest.height == height
    assert len(manifest.seals) > 0
    disk = new_disk()
    install_into(open_database(disk), tmp_path / "early", manifest, node)
    assert Node(disk=disk).driver.executed_height == height


def test_genesis_alone_makes_no_snapshot(tmp_path: Path) -> None:
    """There is nothing that anybody has certified."""
    with pytest.raises(ValueError, match="Nothing is executed"):
        export_items(open_database(Node().disk), tmp_path)


def test_a_missing_header_is_named(tmp_path: Path) -> None:
    """A hole in what is kept of the chain can't be exported."""
    for height in (2, 4):
        node = grown(4)
        del node.disk.live[header_key(height)]
        make_empty(tmp_path / "snapshot")
        with pytest.raises(CorruptRecord, match=f"height {height}"):
            export_items(open_database(node.disk), tmp_path / "snapshot")


def test_a_view_stands_still(tmp_path: Path) -> None:
    """What is written after a view was taken isn't in it, and what is deleted still is."""
    database = LevelDatabase(tmp_path / "store")
    database.write({b"a1": b"1", b"a2": b"2"}, (), sync=True)
    view = database.view()
    database.write({b"a1": b"new", b"a3": b"3"}, (b"a2",), sync=True)
    assert list(view.scan(b"a", b"b")) == [(b"a1", b"1"), (b"a2", b"2")]
    assert (view.get(b"a1"), view.get(b"a3")) == (b"1", None)
    assert [key for key, _ in database.scan(b"a", b"b")] == [b"a1", b"a3"]
    view.close()
    database.close()


def test_a_folder_knows_its_own_chunks(tmp_path: Path) -> None:
    """Files are whole or absent; those of another attempt are told apart and removed."""
    node = grown(3)
    manifest = snapshot_of(node, tmp_path / "snapshot")
    folder = tmp_path / "snapshot"
    chunks = list(chunks_of(manifest))
    assert read_manifest(folder) == manifest == decode_manifest(encode_manifest(manifest))
    assert all(has_chunk(folder, chunk) for chunk in chunks)
    write_private(folder / chunks[0].name, b"other")
    write_private(folder / "chain-999999", b"old")
    (folder / "manifest").unlink()
    assert not has_chunk(folder, chunks[0])
    remove_others(folder, manifest)
    assert sorted(path.name for path in folder.iterdir()) == sorted(chunk.name for chunk in chunks)
    with pytest.raises(SnapshotInvalid, match=r"manifest: .* can't be read"):
        read_manifest(folder)
    missing = Chunk(CHAIN, "chain-000099", chunks[0].ref)
    assert not has_chunk(folder, missing)
    with pytest.raises(SnapshotInvalid, match="chain-000099: it can't be read"):
        read_chunk(folder, missing)


def test_manifests_of_other_heights_prove_nothing(tmp_path: Path) -> None:
    """The height stands in the certified seal too."""
    node = grown(3)
    manifest = replace(snapshot_of(node, tmp_path / "snapshot"), height=2)
    with pytest.raises(SnapshotInvalid, match="manifest"):
        install_into(open_database(new_disk()), tmp_path / "snapshot", manifest, node)
    assert encode(manifest)
