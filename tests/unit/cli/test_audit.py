"""Tests of `nostro audit` on real stores: good ones, damaged ones, forged ones, and what it leaves alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cli.audit_run import LEAST_TO_SHARE, sharing
from cli.exits import Exit
from consensus.messages import Entry, EntryType, HardState
from ledger.audit_report import Check
from ledger.bodies import CreateAsset, Kind
from ledger.certificate import seal_hash
from ledger.envelope import decode_envelope
from ledger.keys import sign
from ledger.policy import single_key
from node.disk import LevelDatabase
from node.records import Record, SealedHeader, block_key, meta_key, pack_record, seal_key
from node.store import LogWrite, OwnSeal, Store
from tests.unit.api.instant_host import InstantHost
from tests.unit.cli.conftest import Nostro, Told, document
from tests.unit.cli.world import World
from tests.unit.ledger import sample

NODE = "node-alpha"
MAJORITY = (10, 20)
"""The admin keys of two of the three members."""


@pytest.fixture
def store(nostro: Nostro, world: World, tmp_path: Path) -> Path:
    """The folder of a node that has executed a few payments; genesis.bin lies beside its store."""
    for amount in ("5", "7.50", "5000"):
        nostro("pay", "bob", amount, "--from", "alice")
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "genesis.bin").write_bytes(sample.genesis_raw())
    write_store(folder / "data", world.host)
    return folder / "data"


def write_store(path: Path, host: InstantHost) -> None:
    """What a node would have written that took part in all of the host's chain."""
    database = LevelDatabase(path)
    store = Store.open(database, sample.genesis_raw(), NODE)
    entries = tuple(
        Entry(height, block.header.term, EntryType.NORMAL, block.raw) for height, block in host.blocks.items()
    )
    store.write_log([LogWrite(HardState(1, NODE), entries)])
    key = sample.private_key(sample.NODE_KEYS[NODE])
    for height, executed in host.executed.items():
        own = OwnSeal(executed.seal_raw, sign(key, seal_hash(executed.seal_raw)))
        block = host.blocks[height]
        header = SealedHeader(block.header.term, block.header_raw, executed.seal_raw)
        store.write_executed(height, executed.changes, header, own)
    store.write_marks(host.certificates, {}, {})
    database.close()


def change(store: Path, key: bytes, value: bytes) -> None:
    """Write one row behind the node's back."""
    database = LevelDatabase(store, create=False)
    database.write({key: value}, (), sync=True)
    database.close()


def digest(store: Path) -> dict[str, str]:
    """Every file of a store with a hash of its content."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(store.iterdir())}


def codes(nostro: Nostro, store: Path) -> set[str]:
    """The codes of an audit's findings, of which there must be some."""
    result = nostro("audit", store, "--workers", "1", "--json")
    assert result.exit_code == Exit.VIOLATION, result.stderr
    return {finding["code"] for finding in document(result)["findings"]}


def test_good_store(nostro: Nostro, world: World, store: Path) -> None:
    """Everything is counted, nothing found, and the sums are those of the payments."""
    result = nostro("audit", store, "--workers", "1", "--json")
    assert result.exit_code == 0, result.stdout
    report = document(result)
    tip = world.host.position().height
    assert (report["clean"], report["tip"], report["replayed"], report["node"]) == (True, tip, tip, NODE)
    assert report["supply"] == {"EUR": "2000.00"}
    assert report["checked"]["payments"] == 4
    assert report["checked"]["certificates"] == tip
    assert "Nothing wrong was found." in result.stderr


def pruned(store: Path, height: int) -> Path:
    """The store, its blocks forgotten up to a height."""
    database = LevelDatabase(store, create=False)
    Store.open(database, sample.genesis_raw(), NODE).prune(height)
    database.close()
    return store


def test_a_store_without_old_blocks(nostro: Nostro, world: World, store: Path) -> None:
    """It can't be replayed: its rows are proved, and the report says what could not be checked."""
    tip = world.host.position().height
    result = nostro("audit", pruned(store, tip - 1), "--workers", "1", "--json")
    assert result.exit_code == 0, result.stdout
    report = document(result)
    assert (report["clean"], report["tip"], report["pruned"]) == (True, tip, tip - 1)
    assert (report["replayed"], report["certified"]) == (0, tip)
    assert report["supply"] == {"EUR": "2000.00"}
    assert report["checked"]["rows"] > tip
    assert "no block was replayed" in result.stderr


@pytest.mark.parametrize(
    ("prefix", "code"),
    [(b"t", "rows_unproved"), (b"k", "rows_unproved"), (b"i", "row_differs"), (b"n", None)],
)
def test_a_spoilt_row_of_a_store_without_old_blocks(
    nostro: Nostro, store: Path, prefix: bytes, code: str | None
) -> None:
    """Whatever row is spoilt is found by the proof, or by what the proof leads to."""
    database = LevelDatabase(pruned(store, 2), create=False)
    key, row = next(database.scan(prefix, bytes([prefix[0] + 1])))
    database.close()
    change(store, key, row[:-1] + bytes([row[-1] ^ 1]))
    found = codes(nostro, store)
    assert code is None or code in found


def test_human_report(nostro: Nostro, store: Path) -> None:
    """The same in words."""
    shown = nostro("audit", store, "--workers", "1").stdout
    assert "supply EUR  2000.00" in shown
    assert "network id" in shown


def test_newest_blocks_without_certificate(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """What no quorum has certified yet is said: for that, one node's word is all there is."""
    world.host.certifying = False
    nostro("pay", "bob", "5", "--from", "alice")
    (tmp_path / "genesis.bin").write_bytes(sample.genesis_raw())
    write_store(tmp_path / "data", world.host)
    result = nostro("audit", tmp_path / "data", "--workers", "1", "--json")
    assert result.exit_code == 0
    report = document(result)
    assert report["certified"] == report["tip"] - 1
    assert f"above block {report['certified']}" in result.stderr


def test_store_is_not_touched(nostro: Nostro, store: Path) -> None:
    """Opening a LevelDB writes to it: so the audit opens a copy, and the store keeps every byte."""
    before = digest(store)
    assert nostro("audit", store, "--workers", "1").exit_code == 0
    assert digest(store) == before


def test_copy_is_removed(nostro: Nostro, store: Path, tmp_path: Path) -> None:
    """The copy is made where it was asked for, and gone afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert nostro("audit", store, "--workers", "1", "--scratch", scratch).exit_code == 0
    assert list(scratch.iterdir()) == []


def test_store_in_use(nostro: Nostro, store: Path) -> None:
    """A store that a process has open is refused, and left alone."""
    import subprocess
    import sys

    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import plyvel; d = plyvel.DB({str(store)!r}); print('open', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    result = nostro("audit", store)
    holder.communicate(b"\n")
    assert result.exit_code == Exit.ERROR
    assert "in use" in result.stderr


def test_no_store(nostro: Nostro, world: World, tmp_path: Path) -> None:
    """A folder without a store is named."""
    (tmp_path / "genesis.bin").write_bytes(sample.genesis_raw())
    result = nostro("audit", tmp_path / "none")
    assert result.exit_code == Exit.ERROR
    assert "there is no store" in result.stderr.lower()


def test_genesis_must_be_found(nostro: Nostro, store: Path) -> None:
    """Without a genesis document there is nothing to begin from; the network's folder has one."""
    moved = store.parent.parent / "bank"
    moved.mkdir()
    (store.parent / "genesis.bin").rename(moved / "genesis.bin")
    assert nostro("audit", store).exit_code == Exit.USAGE
    assert nostro("audit", store, "--workers", "1", "--network", moved).exit_code == 0


@pytest.mark.parametrize("forgotten", [0, 2])
def test_trusted_network(nostro: Nostro, store: Path, forgotten: int) -> None:
    """The id known from elsewhere is compared with the genesis document's, whatever the store holds."""
    if forgotten:
        pruned(store, forgotten)
    right = nostro("audit", store, "--workers", "1", "--network-id", sample.network().hex())
    assert right.exit_code == 0
    wrong = nostro("audit", store, "--workers", "1", "--network-id", "00" * 32, "--json")
    assert wrong.exit_code == Exit.VIOLATION
    assert [finding["code"] for finding in document(wrong)["findings"]] == ["genesis_mismatch"]


@pytest.mark.parametrize("forgotten", [0, 2])
def test_assets_younger_than_genesis(nostro: Nostro, world: World, tmp_path: Path, forgotten: int) -> None:
    """An asset that the members created since is shown in its own decimals too."""
    body = CreateAsset("XAU", 3, "beta", single_key(sample.public_key(5)))
    raw = sample.payload(body, kind=Kind.CREATE_ASSET, author=b"beta", number=90, signers=MAJORITY)
    world.host.execute([decode_envelope(sample.signed(raw, MAJORITY), sample.LIMITS)])
    (tmp_path / "genesis.bin").write_bytes(sample.genesis_raw())
    write_store(tmp_path / "data", world.host)
    store = pruned(tmp_path / "data", forgotten) if forgotten else tmp_path / "data"
    report = document(nostro("audit", store, "--workers", "1", "--json"))
    assert report["supply"] == {"EUR": "2000.00", "XAU": "0.000"}


def test_progress_of_every_stage(nostro: Nostro, world: World, store: Path, told: Told) -> None:
    """The copy, the replay, and the proof of a store without old blocks: each tells how far it is."""
    tip, size_bytes = world.host.position().height, sum(file.stat().st_size for file in store.iterdir())
    nostro("audit", store, "--workers", "1")
    assert told.ends() == {"bytes copied": size_bytes, "blocks audited": tip}
    told.clear()
    nostro("audit", pruned(store, 2), "--workers", "1")
    accounts = world.host.state.progress.account_count
    assert told.ends()["accounts and blocks proved"] == accounts + tip


def test_changed_balance(nostro: Nostro, store: Path) -> None:
    """A state row that was changed behind the node's back is found by comparing with the replay."""
    database = LevelDatabase(store, create=False)
    key, row = list(database.scan(b"a", b"b"))[-1]
    database.close()
    change(store, key, row[:-1] + bytes([row[-1] ^ 1]))
    assert "row_differs" in codes(nostro, store)


def test_flipped_bit_in_a_record(nostro: Nostro, store: Path) -> None:
    """A record whose checksum is wrong is named, and the audit goes on to say what is wrong in it."""
    database = LevelDatabase(store, create=False)
    raw = bytearray(database.get(block_key(3)) or b"")
    database.close()
    raw[-1] ^= 1
    change(store, block_key(3), bytes(raw))
    found = codes(nostro, store)
    assert "record_corrupt" in found
    assert "block_invalid" in found or "block_malformed" in found


def test_damaged_files(nostro: Nostro, store: Path) -> None:
    """A byte flipped in LevelDB's own files ends the audit with 10 as well, whatever it hits."""
    change(store, b"S", b"\xc0")
    for path in store.glob("*.l*"):
        raw = bytearray(path.read_bytes())
        for place in range(len(raw) // 3, len(raw), max(1, len(raw) // 3)):
            raw[place] ^= 0xFF
        path.write_bytes(bytes(raw))
    result = nostro("audit", store, "--workers", "1")
    assert result.exit_code == Exit.VIOLATION
    assert "damaged" in result.stderr or "found" in result.stderr


def test_forged_seal(nostro: Nostro, store: Path) -> None:
    """A seal that doesn't follow from the replay is found, though its record is whole."""
    key = seal_key(2)
    payload = b"\x92\xc4\x01\x00\xc4\x40" + bytes(64)
    change(store, key, pack_record(key, Record(2, 0, payload)))
    assert "own_seal_differs" in codes(nostro, store)


def test_unreadable_seal(nostro: Nostro, store: Path) -> None:
    """A seal's record with something else in it is named."""
    change(store, seal_key(2), pack_record(seal_key(2), Record(2, 0, b"\xc0")))
    assert "own_seal_malformed" in codes(nostro, store)


def test_store_of_another_network(nostro: Nostro, store: Path) -> None:
    """What the store says of its network is compared too."""
    key = meta_key("network")
    change(store, key, pack_record(key, Record(0, 0, bytes(32))))
    assert "store_network_differs" in codes(nostro, store)


def test_lost_progress(nostro: Nostro, store: Path) -> None:
    """A damaged row of the executed height is named, and the audit goes as far as the node has sealed."""
    change(store, b"S", b"\xc0")
    result = nostro("audit", store, "--workers", "1", "--json")
    report = document(result)
    assert report["findings"][0]["code"] == "progress_malformed"
    assert report["replayed"] == report["tip"] > 1


def test_findings_in_words(nostro: Nostro, store: Path) -> None:
    """Findings are listed with their block, and counted."""
    key = meta_key("network")
    change(store, key, pack_record(key, Record(0, 0, bytes(32))))
    result = nostro("audit", store, "--workers", "1")
    assert "store_network_differs" in result.stdout
    assert "1 violation was found" in result.stderr


def checks(count: int, bad: set[int]) -> list[Check]:
    """Signed digests, of which some are signed wrongly."""
    key, public = sample.private_key(5), sample.public_key(5)
    good, other = (sign(key, hashlib.sha256(text).digest()) for text in (b"good", b"other"))
    digest = hashlib.sha256(b"good").digest()
    return [(public, digest, other if position in bad else good) for position in range(count)]


@pytest.mark.parametrize("count", [LEAST_TO_SHARE - 1, LEAST_TO_SHARE, LEAST_TO_SHARE + 1])
def test_shared_work_finds_the_same(count: int) -> None:
    """Few signatures are verified here, many in processes: the same ones fail."""
    bad = {0, count // 2, count - 1}
    with sharing(2) as verify:
        assert set(verify(checks(count, bad))) == bad
