"""Proving a snapshot, item by item as they come: nothing is believed that doesn't lead to a certified seal.

From the network's id to genesis, from its certifiers to a certificate, from there to the seal of the
snapshot's height; and from the items to the roots in that seal (formats.md, section 11). What is given back
on the way is proved only once `finish` has returned. It must not know where items come from or rows go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ledger import accounts_tree, records, registry_tree
from ledger.accounts_tree import AccountsTree
from ledger.certificate import InvalidCertificate, decode_seal, seal_hash
from ledger.codec import Malformed, decode
from ledger.genesis import network_id as network_id_of
from ledger.genesis_state import genesis_rows
from ledger.handovers import HandedOver, certified_by, check_recovered, verify_handovers
from ledger.receipt import MAX_SEALS
from ledger.records import Account, MemberRecord, Progress, RegistryRow, encode_record
from ledger.registry import registry_leaves
from ledger.snapshot import ACCOUNTS, CHAIN, REGISTRY, SECTIONS, Manifest, SnapshotInvalid
from ledger.snapshot_chain import ChainProof, ProvenBlock
from ledger.snapshot_history import Histories, HistoryBroken
from ledger.state_proof import state_root


@dataclass(frozen=True, slots=True)
class Taken:
    """What some items come to: rows of the state, and blocks without their bodies."""

    rows: Mapping[bytes, bytes]
    blocks: Sequence[ProvenBlock] = ()


class SnapshotProof:
    """One snapshot on its way in: `take` its sections in order, in any portions, then `finish`."""

    def __init__(self, genesis_raw: bytes, manifest: Manifest, *, rehearsal: bool = False) -> None:
        """Check the way from genesis to the seal of the snapshot's height; raises SnapshotInvalid.

        It may lead across a `rehearsal` on the copies of a drill.
        """
        self._manifest = manifest
        self._seal_raw, reached = _certified_seal(genesis_raw, manifest, rehearsal)
        self._histories = Histories()
        self._leaves = bytearray()
        self._registry: dict[bytes, bytes] = {}
        self._members: dict[int, bytes] = {}
        self._last_key = b""
        self._section = 0
        self._roots: tuple[bytes, bytes] | None = None
        genesis = decode(genesis_rows(genesis_raw)[records.PROGRESS_KEY], Progress)
        self._chain = ChainProof(genesis, self._histories, self._member, reached)

    def take(self, section: str, items: Sequence[bytes]) -> Taken:
        """The next items of a section; what they come to holds once `finish` has returned.

        Raises SnapshotInvalid, naming the section and the place, as soon as something doesn't fit.
        """
        place = SECTIONS.index(section)
        if place < self._section:
            raise SnapshotInvalid(section, "its items come after those of a later section")
        self._section = place
        try:
            if section == ACCOUNTS:
                return Taken(self._take_accounts(items))
            if section == REGISTRY:
                return Taken(self._take_registry(items))
        except Malformed as error:
            raise SnapshotInvalid(section, error.reason) from error
        except HistoryBroken as error:
            raise SnapshotInvalid(section, str(error)) from error
        rows = self._close_trees()
        return Taken(rows, self._chain.take(items, rows))

    def finish(self) -> dict[bytes, bytes]:
        """Everything is here: check what only the whole shows, and give the row that makes it a state.

        Raises SnapshotInvalid.
        """
        if self._roots is None:
            raise SnapshotInvalid(CHAIN, "it is missing")
        self._chain.check_end(self._manifest.height, self._seal_raw)
        accounts_root, registry_root = self._roots
        progress = replace(
            self._chain.last,
            account_count=self._histories.count,
            accounts_root=accounts_root,
            registry_root=registry_root,
        )
        return {records.PROGRESS_KEY: encode_record(progress)}

    def _take_accounts(self, items: Sequence[bytes]) -> dict[bytes, bytes]:
        rows = {}
        for item in items:
            number = self._histories.count
            account = decode(item, Account)
            if account.number != number:
                raise SnapshotInvalid(ACCOUNTS, f"account {account.number} stands in the place of {number}")
            self._histories.add(account)
            self._leaves += accounts_tree.leaf_hash(item)
            rows[records.account_row_key(number)] = item
        return rows

    def _take_registry(self, items: Sequence[bytes]) -> dict[bytes, bytes]:
        rows = {}
        for item in items:
            row = decode(item, RegistryRow)
            leaf = registry_leaves({row.key: row.value})
            (key_hash,) = leaf
            if key_hash <= self._last_key:
                raise SnapshotInvalid(REGISTRY, f"the row of key {row.key.hex()} is out of order")
            self._last_key = key_hash
            self._registry |= leaf
            if row.key.startswith(b"member/"):
                member = decode(row.value, MemberRecord)
                self._members[member.number] = member.id.encode()
            rows[records.registry_row_key(key_hash)] = item
        return rows

    def _close_trees(self) -> dict[bytes, bytes]:
        """The accounts and the registry are here: they must lead to the certified state root.

        Gives the rows of the registry's nodes, once.
        """
        if self._roots is not None:
            return {}
        update = registry_tree.update(lambda path: None, self._registry)
        leaves, width = bytes(self._leaves), accounts_tree.HASH_BYTES
        tree = AccountsTree(leaves[start : start + width] for start in range(0, len(leaves), width))
        if state_root(tree.root, update.root) != decode_seal(self._seal_raw).state_root:
            raise SnapshotInvalid(
                f"{ACCOUNTS} and {REGISTRY}",
                f"they don't lead to the certified state root of height {self._manifest.height}",
            )
        self._roots = tree.root, update.root
        self._registry.clear()
        return {records.NODE_PREFIX + path: row for path, row in update.nodes.items()}

    def _member(self, number: int) -> bytes:
        member = self._members.get(number)
        if member is None:
            raise HistoryBroken(f"there is no member {number}")
        return member


def certified_seal(genesis_raw: bytes, manifest: Manifest) -> bytes:
    """The seal of the snapshot's height, which a certificate of it or of a later one proves.

    Raises SnapshotInvalid.
    """
    return _certified_seal(genesis_raw, manifest, rehearsal=False)[0]


def _certified_seal(genesis_raw: bytes, manifest: Manifest, rehearsal: bool) -> tuple[bytes, HandedOver]:
    """That seal, and to whom the hand-overs lead."""
    if manifest.network_id != network_id_of(genesis_raw):
        raise SnapshotInvalid(
            "manifest", f"it is of the network {manifest.network_id.hex()}, not of this one"
        )
    try:
        reached = verify_handovers(genesis_raw, manifest.handovers, rehearsal=rehearsal)
        certified_by(manifest.network_id, reached, manifest.certificate)
        _check_seals(manifest, reached)
    except (InvalidCertificate, Malformed) as error:
        raise SnapshotInvalid("manifest", f"its certificate doesn't hold: {error}") from error
    return (*manifest.seals, manifest.certificate.seal)[0], reached


def _check_seals(manifest: Manifest, reached: HandedOver) -> None:
    """From the snapshot's height on each seal must be the parent of the next, up to the certified one."""
    if len(manifest.seals) > MAX_SEALS:
        raise SnapshotInvalid("manifest", f"it carries {len(manifest.seals)} seals, at most {MAX_SEALS}")
    parent = None
    for offset, raw in enumerate((*manifest.seals, manifest.certificate.seal)):
        seal = decode_seal(raw)
        if seal.height != manifest.height + offset or seal.network_id != manifest.network_id:
            raise SnapshotInvalid("manifest", f"a seal of height {manifest.height + offset} is missing")
        if parent is not None and seal.parent_seal_hash != parent:
            raise SnapshotInvalid("manifest", f"the seal of height {seal.height} names another parent")
        check_recovered(reached, seal)
        parent = seal_hash(raw)
