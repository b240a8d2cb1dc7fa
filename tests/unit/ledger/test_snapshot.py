"""Snapshots: what was taken from a state proves that state, and nothing that was changed proves anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256

import pytest
from msgspec.structs import replace

from ledger.block import Header
from ledger.bodies import OpenAccount, SetPolicy, Transfer
from ledger.certificate import decode_certificate, decode_seal, encode_seal, seal_hash
from ledger.codec import Record, decode, encode
from ledger.genesis_state import genesis_rows
from ledger.handovers import HandedOver, Handover
from ledger.keys import account_id
from ledger.merkle import Frontier
from ledger.outcome import Outcome
from ledger.records import PROGRESS_KEY, Account, HistoryRow, Progress, RegistryRow
from ledger.snapshot import (
    ACCOUNTS,
    CHAIN,
    CHUNK_BYTES,
    MANIFEST_BYTES,
    REGISTRY,
    SECTIONS,
    BlockItem,
    ChunkRef,
    Manifest,
    SnapshotInvalid,
    chunk_name,
    decode_manifest,
    encode_manifest,
    pack_chunks,
    unpack_chunk,
)
from ledger.snapshot_chain import ChainProof
from ledger.snapshot_history import Histories, HistoryBroken
from ledger.snapshot_proof import SnapshotProof, certified_seal
from ledger.state import State
from tests.unit.ledger import sample
from tests.unit.ledger.audited import PAYEE, PAYER, Chain, certified, sealed
from tests.unit.ledger.rules.world import ISSUANCE, TELLER, MemoryRows, World, genesis, policy
from tests.unit.ledger.snapshots import Items, items_of, manifest_of, prove

STRIDE = 3
"""Of so many bytes of an item one is flipped: every field is met, and most of their bytes."""


@cache
def chain() -> Chain:
    """Payments, a refusal, a duplicate, a theft and a reused id; a term changes under way."""
    world = World()
    world.block(term=1)
    ids = [world.new_id(), world.new_id()]
    payer, payee = (account_id(bank, "EUR", id_) for bank, id_ in zip(("alpha", "beta"), ids, strict=True))
    opening = [
        world.envelope(bank, OpenAccount("EUR", policy(key)), [TELLER[bank]], tx_id=id_)
        for bank, key, id_ in zip(("alpha", "beta"), (PAYER, PAYEE), ids, strict=True)
    ]
    funding = world.envelope(world.issuance(), Transfer(payer, "EUR", 1000), [ISSUANCE])
    world.block(*opening, funding)
    payment = world.envelope(payer, Transfer(payee, "EUR", 10), [PAYER])
    reused = world.envelope(payer, Transfer(payee, "EUR", 11), [PAYER], tx_id=payment.payload.tx_id)
    stolen = world.envelope(payer, Transfer(payee, "EUR", 5), [PAYEE])
    too_much = world.envelope(payer, Transfer(payee, "EUR", 5000), [PAYER])
    outcomes = world.outcomes(payment, payment, reused, stolen, too_much)
    assert outcomes == [
        Outcome.EXECUTED,
        Outcome.DUPLICATE_OF,
        Outcome.ID_USED_WITH_OTHER_CONTENT,
        Outcome.POLICY_NOT_MET,
        Outcome.INSUFFICIENT_FUNDS,
    ]
    world.block(term=2)
    rotation = world.envelope(payer, SetPolicy(payer, 1, policy(PAYEE)), [PAYER])
    world.block(rotation, world.envelope(payee, Transfer(payer, "EUR", 3), [PAYEE]))
    seals = dict(enumerate(world.seals, 1))
    return Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (raw, sealed(raw)) for height, raw in seals.items()},
        {height: certified(raw) for height, raw in seals.items()},
        dict(world.rows.rows),
    )


@pytest.fixture
def items() -> Items:
    """The chain's items, to spoil."""
    return {section: list(found) for section, found in items_of(chain()).items()}


def refused(items: Items, manifest: Manifest | None = None) -> SnapshotInvalid:
    """Why these items prove nothing."""
    with pytest.raises(SnapshotInvalid) as caught:
        prove(chain().genesis_raw, manifest or manifest_of(chain(), items), items)
    return caught.value


@pytest.mark.parametrize("portion", [1, 2, 1000])
def test_a_snapshot_proves_every_row_of_its_state(items: Items, portion: int) -> None:
    """The proof gives back all rows, derived ones included, however the items come in; the state opens."""
    manifest = manifest_of(chain(), items)
    rows = prove(chain().genesis_raw, manifest, items, portion)
    assert rows == chain().rows
    assert State.open(MemoryRows(rows)).progress.height == chain().tip()


def test_blocks_come_out_with_their_headers_and_seals(items: Items) -> None:
    """What a node keeps of the blocks below its snapshot is what their proposers and certifiers signed."""
    proof = SnapshotProof(chain().genesis_raw, manifest_of(chain(), items))
    blocks = [block for section in SECTIONS for block in proof.take(section, items[section]).blocks]
    proof.finish()
    assert [block.height for block in blocks] == sorted(chain().blocks)
    assert all(block.seal == chain().seals[block.height][0] for block in blocks)
    assert decode(blocks[-1].header, Header).height == chain().tip()


def test_seals_lead_from_the_height_to_a_later_certificate() -> None:
    """Where only a later height is certified, the seals between prove the snapshot's; without them none."""
    whole = chain()
    short = Chain(
        whole.genesis_raw,
        {height: raw for height, raw in whole.blocks.items() if height <= 2},
        whole.seals,
        whole.certificates,
        {},
    )
    manifest = replace(
        manifest_of(whole, items_of(whole)),
        height=2,
        seals=tuple(whole.seals[height][0] for height in range(2, whole.tip())),
    )
    SnapshotProof(short.genesis_raw, manifest)
    for seals in (manifest.seals[1:], manifest.seals[:-1], manifest.seals[::-1], ()):
        with pytest.raises(SnapshotInvalid, match=r"manifest: .* (missing|another parent)"):
            SnapshotProof(short.genesis_raw, replace(manifest, seals=seals))


def handed_over(height: int, handovers: Sequence[Handover] = sample.HANDED_OVER) -> Manifest:
    """A manifest of this height, certified by delta's node, which genesis doesn't know."""
    certificate = sample.certificate(sample.seal(height), ["node-delta"])
    return Manifest(1, sample.network(), height, tuple(handovers), (), certificate, ())


def test_certifiers_are_those_that_the_handovers_lead_to() -> None:
    """Whoever certified is followed from genesis; without them, or before them, they are strangers."""
    genesis_raw = sample.genesis_raw()
    assert certified_seal(genesis_raw, handed_over(3)) == sample.seal(3)
    for handovers in ((), sample.HANDED_OVER[:1], sample.HANDED_OVER[1:]):
        with pytest.raises(SnapshotInvalid, match="manifest: its certificate doesn't hold"):
            certified_seal(genesis_raw, handed_over(3, handovers))
    with pytest.raises(SnapshotInvalid, match="does not follow on the hand-over at height 2"):
        certified_seal(genesis_raw, handed_over(2))


def test_a_recovery_and_a_snapshot_are_of_one_chain(items: Items) -> None:
    """The block that a recovery on the way goes on from is the snapshot's own, in its seals and its chain."""
    alone = sample.recovery(header_hash=bytes(range(32)))
    seals = [sample.seal(2), sample.seal(3, parent=seal_hash(sample.seal(2)), epoch=1)]
    manifest = Manifest(
        1,
        sample.network(),
        2,
        (alone,),
        (seals[0],),
        sample.certificate(seals[1], ["node-gamma"]),
        (),
    )
    with pytest.raises(SnapshotInvalid, match="goes on from another block 2"):
        certified_seal(sample.genesis_raw(), manifest)
    assert certified_seal(sample.genesis_raw(), replace(manifest, handovers=(sample.recovery(),))) == seals[0]

    genesis = decode(genesis_rows(chain().genesis_raw)[PROGRESS_KEY], Progress)
    blocks = [item for item in items[CHAIN] if is_block(item)]
    reached = HandedOver(1, 1, sample.certifiers(), {1: bytes(32)})
    proof = ChainProof(genesis, Histories(), lambda number: b"", reached)
    with pytest.raises(SnapshotInvalid, match="block 1: a recovery goes on from another block 1"):
        proof.take(blocks[:1], {})


def spoiled_lists(items: Items) -> Iterator[tuple[str, Items]]:
    """Every item left out, told twice, or told in its neighbour's place."""
    for section in SECTIONS:
        whole = items[section]
        for place in range(len(whole)):
            yield f"{section} without {place}", {**items, section: whole[:place] + whole[place + 1 :]}
            yield f"{section} with {place} twice", {**items, section: whole[: place + 1] + whole[place:]}
            swapped = whole[:place] + whole[place : place + 2][::-1] + whole[place + 2 :]
            if swapped != whole:
                yield f"{section} with {place} after its neighbour", {**items, section: swapped}


def test_nothing_can_be_left_out_repeated_or_moved(items: Items) -> None:
    """Every such change of every section is refused, with the section's name."""
    manifest = manifest_of(chain(), items)
    assert all(items[section] for section in SECTIONS)
    for what, spoiled in spoiled_lists(items):
        assert what.split()[0] in refused(spoiled, manifest).section, what


def test_no_bit_can_be_flipped(items: Items) -> None:
    """A flipped bit anywhere in any item is refused."""
    manifest = manifest_of(chain(), items)
    for section in SECTIONS:
        for place, item in enumerate(items[section]):
            for position in {*range(place % STRIDE, len(item), STRIDE), len(item) - 1}:
                flipped = bytearray(item)
                flipped[position] ^= 1 << (position % 8)
                spoiled = {**items, section: [*items[section]]}
                spoiled[section][place] = bytes(flipped)
                refused(spoiled, manifest)


Change = Callable[[HistoryRow], HistoryRow]
PAID, DUPLICATE, STOLEN = (3, 0), (3, 1), (3, 3)
FORGERIES: list[tuple[tuple[int, int], str, Change]] = [
    (PAID, "outcomes", lambda row: replace(row, duplicate_of=((2, 0),))),
    (PAID, "consumed ids", lambda row: with_id(row, bytes(16))),
    (PAID, "it has entries though it consumed no id", lambda row: replace(row, consumed=())),
    (PAID, "author's entry doesn't come first", lambda row: replace(row, entries=row.entries[::-1])),
    (PAID, "there is no account 9 ", lambda row: replace(row, entries=(replace(row.entries[0], number=9),))),
    (PAID, "there is no member 9", lambda row: with_author(row, b"\x01\0\0\0\x09")),
    (PAID, "there is no account 9 ", lambda row: with_author(row, b"\x00\0\0\0\x09")),
    (PAID, "neither an account nor a member", lambda row: with_author(row, b"\x02\0\0\0\x01")),
    (PAID, "doesn't follow", lambda row: replace(row, entries=(row.entries[0], row.entries[0]))),
    (PAID, "transactions", lambda row: replace(row, leaf_hash=bytes(32))),
    (DUPLICATE, "outcomes", lambda row: replace(row, duplicate_of=())),
    (DUPLICATE, "outcomes", lambda row: replace(row, duplicate_of=((3, 4),))),
    (STOLEN, "outcomes", lambda row: replace(row, outcome=0)),
]


def with_id(row: HistoryRow, tx_id: bytes) -> HistoryRow:
    """A row that used another id up."""
    return replace(row, consumed=(replace(row.consumed[0], tx_id=tx_id),))


def with_author(row: HistoryRow, author_ref: bytes) -> HistoryRow:
    """A row that names another author."""
    return replace(row, consumed=(replace(row.consumed[0], author_ref=author_ref),))


@pytest.mark.parametrize(("place", "reason", "forge"), FORGERIES)
def test_forged_rows_are_named(items: Items, place: tuple[int, int], reason: str, forge: Change) -> None:
    """A row that says something else is refused at its block, and the refusal says what doesn't fit."""
    height, index = place
    starts = [at for at, item in enumerate(items[CHAIN]) if is_block(item)]
    at = starts[height - 1] + 1 + index
    items[CHAIN][at] = encode(forge(decode(items[CHAIN][at], HistoryRow)))
    error = refused(items, manifest_of(chain(), items))
    assert f"block {height}" in str(error)
    assert reason in str(error)


def is_block(item: bytes) -> bool:
    """Whether an item begins a block: it is an array of two."""
    return item[0] == 0x92


def test_amounts_are_bound_by_the_histories(items: Items) -> None:
    """Entries with other amounts pass every block's roots, and then don't lead to the accounts' records."""
    forged_accounts = set()
    for at, item in enumerate(items[CHAIN]):
        if is_block(item):
            continue
        row = decode(item, HistoryRow)
        for place, entry in enumerate(row.entries):
            entries = list(row.entries)
            entries[place] = replace(entry, credit=entry.credit + 1)
            forged = [*items[CHAIN]]
            forged[at] = encode(replace(row, entries=tuple(entries)))
            error = refused({**items, CHAIN: forged})
            assert f"don't lead to the history of account {entry.number}" in str(error)
            forged_accounts.add(entry.number)
    assert len(forged_accounts) == 3


def test_entries_cannot_vanish_at_the_end_of_a_history(items: Items) -> None:
    """The newest entry of an account has no successor that would miss it; the account's record does."""
    row = decode(items[CHAIN][-1], HistoryRow)
    items[CHAIN][-1] = encode(replace(row, entries=row.entries[:1]))
    assert "history of account" in str(refused(items))


def forged_chain() -> Chain:
    """Another chain of the same genesis, which no quorum has certified."""
    world = World()
    world.block(term=1)
    world.open("alpha", PAYER, funds=10)
    seals = dict(enumerate(world.seals, 1))
    return Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (raw, sealed(raw)) for height, raw in seals.items()},
        {},
        dict(world.rows.rows),
    )


def test_a_whole_other_chain_needs_a_certificate() -> None:
    """What one node invents, consistent in itself, isn't believed: too few signed it, or another seal."""
    forged = forged_chain()
    height = forged.tip()
    found = items_of(forged)
    alone = dataclasses.replace(
        forged, certificates={height: certified(forged.seals[height][0], ["alpha-1"])}
    )
    with pytest.raises(SnapshotInvalid, match="1 nodes signed, 2 are needed"):
        SnapshotProof(forged.genesis_raw, manifest_of(alone, found))
    borrowed = replace(
        manifest_of(chain(), items_of(chain())),
        height=height,
        certificate=decode_certificate(chain().certificates[height]),
    )
    with pytest.raises(SnapshotInvalid, match="certified state root"):
        prove(forged.genesis_raw, borrowed, found)


def test_another_chain_under_the_right_trees_is_refused(items: Items) -> None:
    """Seals that were not certified are found out at the end, where they lead to another seal."""
    last = max(at for at, item in enumerate(items[CHAIN]) if is_block(item))
    block = decode(items[CHAIN][last], BlockItem)
    seal = replace(decode_seal(block.seal), certifiers_hash=bytes(32))
    items[CHAIN][last] = encode(replace(block, seal=encode_seal(seal)))
    assert "block 5: its seal is not the certified one" in str(refused(items))


def test_a_snapshot_of_another_network_is_refused(items: Items) -> None:
    """The network is named, and the certificate is of the network's own certifiers."""
    other = World(genesis(("alpha", "central"))).genesis_raw
    manifest = manifest_of(chain(), items)
    with pytest.raises(SnapshotInvalid, match="manifest: it is of the network"):
        SnapshotProof(other, manifest)


def test_sections_come_in_their_order(items: Items) -> None:
    """An account after the registry, or a registry after the chain, is refused; so is a chain alone."""
    for late, early in ((ACCOUNTS, REGISTRY), (REGISTRY, CHAIN)):
        proof = SnapshotProof(chain().genesis_raw, manifest_of(chain(), items))
        for section in SECTIONS[: SECTIONS.index(early) + 1]:
            proof.take(section, items[section])
        with pytest.raises(SnapshotInvalid, match=f"{late}: its items come after"):
            proof.take(late, items[late])
    with pytest.raises(SnapshotInvalid, match="certified state root"):
        SnapshotProof(chain().genesis_raw, manifest_of(chain(), items)).take(CHAIN, items[CHAIN])
    with pytest.raises(SnapshotInvalid, match="chain: it is missing"):
        SnapshotProof(chain().genesis_raw, manifest_of(chain(), items)).finish()


def test_manifests_are_read_as_they_were_written(items: Items) -> None:
    """A manifest's bytes give the manifest; other forms, sections or sizes are refused."""
    manifest = manifest_of(chain(), items)
    raw = encode_manifest(manifest)
    assert decode_manifest(raw) == manifest
    wrong: list[Record] = [
        replace(manifest, sections=manifest.sections[::-1]),
        replace(manifest, sections=manifest.sections[1:]),
        replace(manifest, height=0),
        replace(manifest, format=2),
    ]
    for record in wrong:
        with pytest.raises(SnapshotInvalid, match="manifest: "):
            decode_manifest(encode(record))
    with pytest.raises(SnapshotInvalid, match="manifest: "):
        decode_manifest(raw + b"\0")
    with pytest.raises(SnapshotInvalid, match=f"at most {MANIFEST_BYTES}"):
        decode_manifest(bytes(MANIFEST_BYTES + 1))


def test_chunks_are_bounded_and_the_same_each_time() -> None:
    """Items fill chunks up to the limit and not beyond, and come out of them as they went in."""
    items = [bytes([number]) * 1_000_000 for number in range(10)]
    chunks = [raw for raw, _ in pack_chunks(items)]
    assert [count for _, count in pack_chunks(items)] == [4, 4, 2]
    assert all(len(raw) <= CHUNK_BYTES for raw in chunks)
    assert [raw for raw, _ in pack_chunks(iter(items))] == chunks
    refs = [ChunkRef(sha256(raw).digest(), len(raw)) for raw in chunks]
    back = [item for raw, ref in zip(chunks, refs, strict=True) for item in unpack_chunk(raw, ref, "x")]
    assert back == items
    exact = [bytes(CHUNK_BYTES - 10), b"", b"x"]
    assert next(len(raw) for raw, _ in pack_chunks(exact)) <= CHUNK_BYTES
    assert list(pack_chunks([])) == []


def test_a_chunk_must_be_what_the_manifest_names() -> None:
    """Other bytes, more or fewer, are refused under the chunk's name; so is what is no list of items."""
    ((raw, _),) = pack_chunks([b"a", b"b"])
    ref = ChunkRef(sha256(raw).digest(), len(raw))
    for wrong in (raw[:-1], raw + b"\0", raw[:-1] + b"c"):
        with pytest.raises(SnapshotInvalid, match="chain-000007: its bytes are not"):
            unpack_chunk(wrong, ref, chunk_name(CHAIN, 7))
    for no_list in (b"\x80", b"\x91\x01", b"\xc1"):
        with pytest.raises(SnapshotInvalid, match="no list of items"):
            unpack_chunk(no_list, ChunkRef(sha256(no_list).digest(), len(no_list)), "chain-000000")


def test_histories_know_only_their_accounts_and_places() -> None:
    """Accounts and places that can't be are named, not taken."""
    histories = Histories()
    with pytest.raises(HistoryBroken, match="no account 0 among 0"):
        histories.account_id(0)
    account = decode(items_of(chain())[ACCOUNTS][0], Account)
    histories.add(account)
    assert histories.account_id(0) == account.id
    for index in (0, 65_535):
        histories.post(HistoryRow(0, (), bytes(32), (), ()), 1, index)
    with pytest.raises(HistoryBroken, match="is no place"):
        histories.post(HistoryRow(0, (), bytes(32), (), ()), 1, 65_536)


def test_an_account_of_an_impossible_place_is_refused(items: Items) -> None:
    """Its record is refused as part of a snapshot that doesn't hold, whoever made it."""
    account = decode(items[ACCOUNTS][0], Account)
    items[ACCOUNTS][0] = encode(replace(account, last_index=70_000))
    with pytest.raises(SnapshotInvalid, match="index 70000 is no place"):
        SnapshotProof(chain().genesis_raw, manifest_of(chain(), items)).take(ACCOUNTS, items[ACCOUNTS])


def test_the_log_of_ids_goes_on_where_it_ended(items: Items) -> None:
    """The proved progress holds the frontier of the log, so that the next block can append to it."""
    rows = prove(chain().genesis_raw, manifest_of(chain(), items), items)
    progress = State.open(MemoryRows(rows)).progress
    assert progress.log != Frontier()
    assert progress.log.root() == decode_seal(chain().seals[chain().tip()][0]).log_root


def test_registry_rows_must_be_under_their_own_keys(items: Items) -> None:
    """A registry value under another key leads to another root."""
    at = next(at for at, item in enumerate(items[REGISTRY]) if b"account/" in item)
    row = decode(items[REGISTRY][at], RegistryRow)
    items[REGISTRY][at] = encode(replace(row, value=row.value + b"\0"))
    assert "certified state root" in str(refused(items))
