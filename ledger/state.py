"""The state of the ledger after a block: accounts, registry, used ids and progress, read through caches.

One thread owns a State. It is opened over rows, executed against without being changed, and takes an
Executed over once that one's rows are written. Must not know the rules (ledger/rules) nor where rows are
kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ledger import accounts_tree, records, registry_tree
from ledger.accounts_tree import AccountsTree, TreeUpdate
from ledger.block import Header, Parent, Scheduled, block_hash
from ledger.cache import GenerationCache
from ledger.certificate import Certifiers, Seal, seal_hash
from ledger.codec import Malformed, decode
from ledger.genesis_state import genesis_rows
from ledger.merkle import ProofInvalid
from ledger.outcome import Outcome
from ledger.parameters import Parameters
from ledger.records import Account, AssetRecord, HistoryRow, MemberRecord, NodeRecord, Progress
from ledger.registry import Registry, RegistryIncomplete, load_registry
from ledger.state_proof import prove_account, state_root
from ledger.view import ReadView, Seen, StateCorrupted, StateReader

ACCOUNT_CACHE_SIZE: Final = 65_536
"""At most this many decoded accounts are kept (about 45 MB), those used last."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What executing a block came to: every row to write in one batch, the seal, what State.apply takes over.

    `outcomes[i]` is the i-th transaction's outcome and, for a duplicate, the place (height, index) of the
    first.
    """

    height: int
    outcomes: tuple[tuple[Outcome, tuple[int, int] | None], ...]
    changes: Mapping[bytes, bytes]
    seal: Seal
    seal_raw: bytes
    progress: Progress
    accounts: Mapping[bytes, Account]
    registry: Registry
    tree: TreeUpdate

    @property
    def certifiers(self) -> Certifiers:
        """Whose seals certify the next height."""
        return self.registry.certifiers_at(self.height + 1)


class State:
    """The executed state, with the hashes of the accounts tree and the registry in memory."""

    def __init__(
        self, reader: StateReader, progress: Progress, registry: Registry, tree: AccountsTree
    ) -> None:
        """Take checked parts; `State.open` is what builds them from rows."""
        self.reader = reader
        self.progress = progress
        self.registry = registry
        self.tree = tree
        self._view = ReadView(reader, lambda: self.registry)
        self._accounts: GenerationCache[bytes, Account] = GenerationCache(ACCOUNT_CACHE_SIZE)

    @staticmethod
    def from_genesis(genesis_raw: bytes) -> dict[bytes, bytes]:
        """Every row of the state at height 0, to write before it is opened; raises Malformed."""
        return genesis_rows(genesis_raw)

    @classmethod
    def open(cls, reader: StateReader) -> State:
        """Open the state that these rows hold, checked against the roots last written with them.

        Every account is checked, and everything of the registry but the account ids, which are as many; those
        are checked as they are used. Raises StateCorrupted, naming what is missing or wrong.
        """
        progress = load_progress(reader)
        try:
            registry = load_registry(reader.scan(records.REGISTRY_PREFIX))
            registry_root = registry_tree.root(node_reader(reader))
        except (RegistryIncomplete, registry_tree.TreeCorrupted) as error:
            raise StateCorrupted(f"at height {progress.height}: {error}") from error
        tree = AccountsTree(_account_leaves(reader))
        _check_roots(progress, tree, registry_root)
        _check_registry(reader, registry, registry_root)
        return cls(reader, progress, registry, tree)

    @property
    def state_root(self) -> bytes:
        """The state root at the executed height."""
        return state_root(self.progress.accounts_root, self.progress.registry_root)

    @property
    def parent(self) -> Parent:
        """The last executed block as the parent of the next."""
        return executed_parent(self.progress, self.registry)

    @property
    def certifiers(self) -> Certifiers:
        """Whose seals certify the next height; the seal of the executed height names them."""
        return self.registry.certifiers_at(self.progress.height + 1)

    def account_by_id(self, account_id: bytes) -> Account | None:
        """The account of this id, or None."""
        account = self._accounts.get(account_id)
        if account is None:
            account = self._view.account_by_id(account_id)
            if account is not None:
                self._accounts.put(account_id, account)
        return account

    def account(self, number: int) -> Account | None:
        """The account of this number, or None."""
        return self._view.account(number)

    def member(self, member: str) -> MemberRecord | None:
        """The member of this id, or None."""
        return self.registry.members.get(member)

    def node(self, node: str) -> NodeRecord | None:
        """The node of this id, or None."""
        return self.registry.nodes.get(node)

    def asset(self, code: str) -> AssetRecord | None:
        """The asset of this code, or None."""
        return self.registry.assets.get(code)

    def parameters_at(self, height: int) -> Parameters:
        """The parameters in force at a height."""
        return self.registry.parameters_at(height)

    def seen(self, author: bytes, tx_id: bytes) -> Seen | None:
        """Where this author consumed this id, or None."""
        return self._view.seen(author, tx_id)

    def history_row(self, height: int, index: int) -> HistoryRow | None:
        """The row of the transaction at a place, or None."""
        return self._view.history_row(height, index)

    def scheduled(self, height: int, basis: int) -> Scheduled:
        """What a block at `height` is checked against, looked up at its basis height.

        Right for heights up to 64 above the executed one: what is decided later takes effect later still.
        """
        return scheduled(self.progress, self.registry, height, basis)

    def prove_account(self, account_id: bytes) -> bytes:
        """The encoded AccountProof of this id at the executed height, or of its absence."""
        read_node, root = node_reader(self.reader), self.progress.registry_root
        return prove_account(account_id, self.account_by_id, self.tree, read_node, root)

    def apply(self, executed: Executed) -> None:
        """Take over what a block came to, once its rows are written."""
        if executed.height != self.progress.height + 1:
            raise ValueError(
                f"Block {executed.height} does not follow on the state of {self.progress.height}."
            )

        self.tree.apply(executed.tree)
        self.registry = executed.registry
        for account_id, account in executed.accounts.items():
            self._accounts.put(account_id, account)
        self.progress = executed.progress


def executed_parent(progress: Progress, registry: Registry) -> Parent:
    """The last executed block as the parent of the next, from what is known of the executed state."""
    return Parent(
        progress.block_hash,
        progress.height,
        progress.term,
        progress.time_ms,
        progress.epoch,
        registry.membership.membership,
        registry.membership.version,
    )


def scheduled(progress: Progress, registry: Registry, height: int, basis: int) -> Scheduled:
    """What a block at `height` with this basis height is checked against, according to a registry."""
    return Scheduled(
        network_id=progress.network_id,
        parameters=registry.parameters_at(basis),
        rules=registry.rules_at(basis),
        membership_decision=registry.membership_decision_at(height),
        node_keys={node.id: node.key for node in registry.nodes.values()},
        activation_waits=registry.activation_waits(height),
    )


def basis_height(parent_term: int, parent_basis: int, height: int, term: int) -> int:
    """At which height a block's scheduled values are looked up: an opening block takes its parent's."""
    return parent_basis if term > parent_term else height


def load_progress(reader: StateReader) -> Progress:
    """The progress row; raises StateCorrupted where it is missing or unreadable."""
    row = reader.get(records.PROGRESS_KEY)
    if row is None:
        raise StateCorrupted("the progress row is missing: write the rows of genesis first")
    try:
        return decode(row, Progress)
    except Malformed as error:
        raise StateCorrupted(f"the progress row cannot be read: {error}") from error


def node_reader(reader: StateReader) -> registry_tree.ReadNode:
    """Read registry nodes from the rows under prefix `n`."""
    return lambda path: reader.get(records.NODE_PREFIX + path)


def _account_leaves(reader: StateReader) -> Iterator[bytes]:
    for expected, (key, row) in enumerate(reader.scan(records.ACCOUNT_PREFIX)):
        if key != records.account_row_key(expected):
            raise StateCorrupted(f"the row of account {expected} is missing")
        yield accounts_tree.leaf_hash(row)


def _check_roots(progress: Progress, tree: AccountsTree, registry_root: bytes) -> None:
    where = f"at height {progress.height}"
    if tree.count != progress.account_count:
        raise StateCorrupted(f"{where} there are {tree.count} accounts, not {progress.account_count}")
    if tree.root != progress.accounts_root:
        raise StateCorrupted(f"{where} the account rows do not lead to the accounts root")
    if registry_root != progress.registry_root:
        raise StateCorrupted(f"{where} the registry's root row does not lead to the registry root")
    try:
        _check_progress(progress, decode(progress.seal_raw, Seal))
    except Malformed as error:
        raise StateCorrupted(f"{where} the progress row's header or seal cannot be read: {error}") from error


def _check_registry(reader: StateReader, registry: Registry, registry_root: bytes) -> None:
    """Each value that was loaded must stand in the tree: keys and policies decide who may pay."""
    read_node = node_reader(reader)
    for key, record in registry.values():
        key_hash = records.key_hash(key)
        try:
            proof = registry_tree.prove(read_node, key_hash)
            registry_tree.verify_presence(key_hash, records.encode_record(record), proof, registry_root)
        except (registry_tree.TreeCorrupted, ProofInvalid) as error:
            name = key.decode("ascii", "replace")
            raise StateCorrupted(f"{name} does not lead to the registry root: {error}") from error


def _check_progress(progress: Progress, seal: Seal) -> None:
    """What the progress row says of its block and its trees must be what its own seal says."""
    agreed = {
        "block": not progress.height or _is_of_header(progress, decode(progress.header_raw, Header)),
        "seal hash": seal_hash(progress.seal_raw) == progress.seal_hash,
        "seal height": seal.height == progress.height,
        "epoch": seal.epoch == progress.epoch,
        "header hash": seal.header_hash == progress.block_hash,
        "network id": seal.network_id == progress.network_id,
        "state root": seal.state_root == state_root(progress.accounts_root, progress.registry_root),
        "log root": seal.log_root == progress.log.root(),
    }
    for name, agrees in agreed.items():
        if not agrees:
            raise StateCorrupted(
                f"at height {progress.height} the progress row contradicts itself in its {name}"
            )


def _is_of_header(progress: Progress, header: Header) -> bool:
    found = (progress.block_hash, progress.height, progress.term, progress.time_ms, progress.epoch)
    named = (header.height, header.term, header.time_ms, header.epoch)
    return found == (block_hash(progress.header_raw), *named)
