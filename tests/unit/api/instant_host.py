"""A Host that is a whole small ledger in memory: one node that executes each submission in a block at once.

Everything is the ledger's own code (validity, signatures, rules, seals, certificates, proofs); only what
makes a cluster is left out. `quorum`, `certifying` and `holding` say what the cluster would do.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.example_chain import Rows
from api.ports import (
    AccountView,
    Ambiguous,
    BlockPruned,
    BlockView,
    ClusterView,
    DecidedBy,
    Forgotten,
    HistoryEntry,
    HistoryPage,
    Leader,
    MembershipView,
    NetworkView,
    NoQuorum,
    NotCertified,
    NotFound,
    ParametersView,
    PaymentView,
    PeerView,
    Place,
    Position,
    ProofView,
    RulesView,
    SimulateAnswer,
    Status,
    SubmitAnswer,
    Wait,
)
from api.registry_views import membership_view
from ledger import state_proof
from ledger.block import Block, check_header, decode_body, make_block
from ledger.certificate import decode_certificate, encode_certificate
from ledger.codec import Malformed
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope, verify_envelope
from ledger.genesis_state import genesis_rows
from ledger.json_form import Names
from ledger.keys import BadSignature, sign
from ledger.leaves import outcome_leaf
from ledger.outcome import OUTCOMES, Outcome, OutcomeClass
from ledger.receipt import build_receipt
from ledger.records import Account, AssetRecord, MemberRecord, NodeRecord
from ledger.rules import RULES
from ledger.state import Executed, State, node_reader
from ledger.view import ReadView
from tests.unit.ledger import sample

BLOCK_MS = 1_000
LEADER = Leader("node-alpha", "https://alpha.example:7100")


class InstantHost:
    """Answers as a node would whose cluster decides each submission before the answer is due."""

    def __init__(self) -> None:
        self.rows = Rows(genesis_rows(sample.genesis_raw()))
        self.state = State.open(self.rows)
        self.view = ReadView(self.rows, lambda: self.state.registry)
        self.blocks: dict[int, Block] = {}
        self.executed: dict[int, Executed] = {}
        self.certificates: dict[int, bytes] = {}
        self.quorum = True
        self.certifying = True
        self.holding = False
        self.retired = False
        self.forgotten: Forgotten | None = None
        self.refuse_with: Outcome | None = None
        self.held: dict[bytes, bytes] = {}

    def position(self) -> Position:
        """The newest block."""
        return Position(self.state.progress.height, self.state.progress.time_ms)

    def is_retired(self) -> bool:
        """As the test says."""
        return self.retired

    def names(self) -> Names:
        """The sample network's."""
        return Names(sample.NETWORK_NAME, self._scale_of)

    def _scale_of(self, code: str) -> int | None:
        asset = self.state.asset(code)
        return None if asset is None else asset.scale

    async def submit(self, envelope: bytes, wait: Wait, timeout_ms: int) -> SubmitAnswer:
        """Refuse it, hold it, or execute it in a block of its own."""
        admitted = self._admit(envelope)
        if isinstance(admitted, SubmitAnswer):
            return admitted
        if self.holding:
            self.held[admitted.payload.tx_id] = envelope
            if wait is Wait.NONE:
                return _pending(admitted)
            return _by_node(admitted, Outcome.UNKNOWN, f"It was not decided within {timeout_ms} ms.")
        self.execute([admitted])
        return self._decided(admitted)

    async def submit_batch(
        self, envelopes: Sequence[bytes], wait: Wait, timeout_ms: int
    ) -> Sequence[SubmitAnswer]:
        """One after the other."""
        return [await self.submit(envelope, wait, timeout_ms) for envelope in envelopes]

    def _limits(self) -> EnvelopeLimits:
        parameters = self.state.registry.parameters_at(self.position().height + 1)
        return EnvelopeLimits(parameters.envelope_bytes, parameters.signers)

    def _admit(self, raw: bytes) -> Envelope | SubmitAnswer:
        try:
            envelope = decode_envelope(raw, self._limits())
        except Malformed as error:
            return _by_node(None, error.outcome, error.reason)
        if self.refuse_with is not None:
            return _by_node(envelope, self.refuse_with, None)
        if not self.quorum:
            return _by_node(envelope, Outcome.NO_QUORUM, "Two of three nodes are out of reach.")
        try:
            verify_envelope(envelope)
        except BadSignature as error:
            return _by_node(envelope, Outcome.BAD_SIGNATURE, str(error))
        outcome, first = self._preview(envelope)
        if outcome is Outcome.DUPLICATE_OF and first is not None:
            return self._decided(envelope)
        if OUTCOMES[outcome].class_ in (OutcomeClass.AUTH, OutcomeClass.CONFLICT):
            return _by_node(envelope, outcome, None)
        return envelope

    def _preview(self, envelope: Envelope) -> tuple[Outcome, Place | None]:
        height = self.position().height + 1
        outcome, first = RULES[1].preview(self.state, envelope, height)
        return outcome, None if first is None else Place(*first)

    def execute(self, envelopes: Sequence[Envelope]) -> None:
        """Make, check, execute and certify the block of these."""
        parent, term = self.state.parent, 1
        opening = parent.term < term
        height = parent.height + 1
        basis = self.state.progress.basis_height if opening else height
        scheduled = self.state.scheduled(height, basis)
        block = make_block(
            parent=parent,
            scheduled=scheduled,
            term=term,
            time_ms=parent.time_ms + BLOCK_MS,
            proposer="node-alpha",
            boot=sample.BOOT,
            body=() if opening else [envelope.raw for envelope in envelopes],
            sign=lambda digest: sign(sample.private_key(sample.NODE_KEYS["node-alpha"]), digest),
        )
        check_header(block, parent, scheduled)
        self._take(block, decode_body(block, scheduled, RULES[1].bodies))
        if opening:
            self.execute(envelopes)

    def _take(self, block: Block, envelopes: Sequence[Envelope]) -> None:
        executed = RULES[1].execute(self.state, block, envelopes)
        self.rows.rows.update(executed.changes)
        self.state.apply(executed)
        self.blocks[executed.height] = block
        self.executed[executed.height] = executed
        if self.certifying:
            certificate = sample.certificate(executed.seal_raw)
            self.certificates[executed.height] = encode_certificate(certificate)

    def _decided(self, envelope: Envelope) -> SubmitAnswer:
        payload = envelope.payload
        seen = self.state.seen(payload.author, payload.tx_id)
        if seen is None:
            raise LookupError("decided, but its id is not consumed")
        return SubmitAnswer(
            status=self._status(seen.height),
            decided_by=DecidedBy.CHAIN,
            tx_id=payload.tx_id,
            author=payload.author,
            outcome=Outcome(seen.outcome),
            place=Place(seen.height, seen.index),
            time_ms=self.blocks[seen.height].header.time_ms,
        )

    def _status(self, height: int) -> Status:
        certified = any(certified >= height for certified in self.certificates)
        return Status.CERTIFIED if certified else Status.EXECUTED

    async def simulate(self, envelope: bytes) -> SimulateAnswer:
        """The outcome it would have in the next block."""
        try:
            decoded = decode_envelope(envelope, self._limits())
        except Malformed as error:
            return SimulateAnswer(outcome=error.outcome, position=self.position(), detail=error.reason)
        outcome, first = self._preview(decoded)
        if self.refuse_with is not None:
            outcome, first = self.refuse_with, None
        return SimulateAnswer(
            outcome=outcome,
            position=self.position(),
            tx_id=decoded.payload.tx_id,
            author=decoded.payload.author,
            duplicate_of=first,
        )

    def _find(self, tx_id: bytes, author: bytes | None) -> Place:
        authors = [found for found in self.view.authors_of(tx_id) if author in (None, found)]
        if not authors:
            raise NotFound(f"No transaction has the id {tx_id.hex()}.")
        if len(authors) > 1:
            raise Ambiguous(f"{len(authors)} authors have used the id {tx_id.hex()}.", tuple(authors))
        seen = self.state.seen(authors[0], tx_id)
        if seen is None:
            raise NotFound(f"No transaction has the id {tx_id.hex()}.")
        return Place(seen.height, seen.index)

    async def payment(self, tx_id: bytes, author: bytes | None) -> PaymentView:
        """A transaction that was executed or is held."""
        if tx_id in self.held:
            return PaymentView(status=Status.PENDING, envelope=self.held[tx_id])
        place = self._find(tx_id, author)
        block = self._held_block(place.height)
        return PaymentView(
            status=self._status(place.height),
            envelope=block.body[place.index],
            outcome=self.executed[place.height].outcomes[place.index][0],
            place=place,
            time_ms=block.header.time_ms,
        )

    async def receipt(self, tx_id: bytes, author: bytes | None) -> bytes:
        """The receipt up to the first certificate that covers it."""
        place = self._find(tx_id, author)
        certified = min((height for height in self.certificates if height >= place.height), default=None)
        if certified is None:
            raise NotCertified(f"Height {place.height} is not certified yet.")
        leaves = [outcome_leaf(outcome, first) for outcome, first in self.executed[place.height].outcomes]
        return build_receipt(
            genesis=sample.genesis_raw(),
            block=self._held_block(place.height),
            index=place.index,
            outcome_leaves=leaves,
            seals=[self.executed[height].seal_raw for height in range(place.height, certified)],
            handovers=(),
            certificate=decode_certificate(self.certificates[certified]),
        )

    def _account(self, account: bytes) -> Account:
        found = self.state.account_by_id(account)
        if found is None:
            raise NotFound(f"There is no account {account.hex()} at height {self.position().height}.")
        return found

    async def account(self, account: bytes) -> AccountView:
        """The record now."""
        return AccountView(self._account(account), self.position())

    async def history(self, account: bytes, cursor: Place | None, limit: int) -> HistoryPage:
        """A walk along the account's entries."""
        place = None if cursor is None else (cursor.height, cursor.index)
        try:
            items, after = self.view.history(self._account(account), place, limit)
        except KeyError as error:
            raise NotFound(str(error.args[0])) from error
        entries = tuple(
            HistoryEntry(
                place=Place(item.height, item.index),
                envelope=self.blocks[item.height].body[item.index],
                outcome=Outcome(item.row.outcome),
                time_ms=self.blocks[item.height].header.time_ms,
                entry_count=item.entry.entry_count,
                debit=item.entry.debit,
                credit=item.entry.credit,
            )
            for item in items
        )
        held = tuple(entry for entry in entries if not self._is_forgotten(entry.place.height))
        if entries and not held:
            self._held_block(entries[0].place.height)
        if len(held) < len(entries):
            return HistoryPage(held, entries[len(held)].place, self.forgotten)
        return HistoryPage(entries, None if after is None else Place(*after))

    async def account_proof(self, account: bytes, timeout_ms: int) -> ProofView:
        """A proof against the newest seal, where that is certified: it won't be later."""
        height = self.position().height
        if height == 0:
            raise NotFound("There is no block yet.")
        if height not in self.certificates:
            raise NotCertified(f"Height {height} was not certified within {timeout_ms} ms.")
        progress = self.state.progress
        proof = state_proof.prove_account(
            account,
            self.state.account_by_id,
            self.state.tree,
            node_reader(self.rows),
            progress.registry_root,
        )
        return ProofView(height, proof, self.executed[height].seal_raw, (), self.certificates[height])

    async def block(self, height: int) -> BlockView:
        """A block by height."""
        if height not in self.blocks:
            raise NotFound(f"Block {height} is not executed here; the newest is {self.position().height}.")
        return BlockView(height, self._held_block(height).raw, self.certificates.get(height))

    def _is_forgotten(self, height: int) -> bool:
        return self.forgotten is not None and height <= self.forgotten.height

    def _held_block(self, height: int) -> Block:
        if self.forgotten is not None and self._is_forgotten(height):
            raise BlockPruned(f"Of block {height}, {', '.join(self.forgotten.held_by)} held it.")
        return self.blocks[height]

    async def height_of_block(self, block_hash: bytes) -> int:
        """A block's height by its hash."""
        for height, block in self.blocks.items():
            if block.hash == block_hash:
                return height
        raise NotFound(f"No block has the hash {block_hash.hex()}.")

    async def members(self) -> Sequence[MemberRecord]:
        """Those of genesis."""
        return list(self.state.registry.members.values())

    async def nodes(self) -> Sequence[NodeRecord]:
        """Those of genesis."""
        return list(self.state.registry.nodes.values())

    async def assets(self) -> Sequence[AssetRecord]:
        """Those of genesis."""
        return list(self.state.registry.assets.values())

    async def parameters(self) -> ParametersView:
        """Those of genesis."""
        schedule = self.state.registry.parameters
        current = self.state.parameters_at(self.position().height + 1)
        return ParametersView(schedule.version, current, schedule.entries)

    async def membership(self) -> MembershipView:
        """As the registry has it."""
        return membership_view(self.state.registry, self.position().height)

    async def rules(self) -> RulesView:
        """Those of genesis, and what is decided."""
        registry = self.state.registry
        current = registry.rules_at(self.position().height + 1)
        return RulesView(registry.rules.version, current, registry.rules.entries)

    def network(self) -> NetworkView:
        """The sample network."""
        return NetworkView(sample.NETWORK_NAME, sample.network(), sample.genesis_raw())

    def cluster(self) -> ClusterView:
        """A cluster of three, of which the others are always in step."""
        height = self.position().height
        peers = tuple(
            PeerView(
                node=f"node-{member}",
                member=member,
                address=f"{member}.example:7000",
                connected=self.quorum,
                votes=True,
                match_height=height,
            )
            for member in ("beta", "gamma")
        )
        return ClusterView(
            node="node-alpha",
            member="alpha",
            role="leader" if self.quorum else "candidate",
            votes=True,
            membership_version=1,
            term=1,
            quorum=self.quorum,
            leader=LEADER if self.quorum else None,
            committed_height=height,
            executed_height=height,
            certified_height=max(self.certificates, default=0),
            peers=peers,
            version="0.1.0",
            started_ms=sample.GENESIS_TIME_MS,
        )

    async def wait_for_height(self, min_height: int, timeout_ms: int) -> bool:
        """Nothing happens between requests here, so waiting for more never helps."""
        return self.position().height >= min_height

    async def read_barrier(self, timeout_ms: int) -> int:
        """The newest height, while there is a quorum."""
        if not self.quorum:
            raise NoQuorum(f"No majority answered within {timeout_ms} ms.", LEADER)
        return self.position().height


def _pending(envelope: Envelope) -> SubmitAnswer:
    payload = envelope.payload
    return SubmitAnswer(status=Status.PENDING, tx_id=payload.tx_id, author=payload.author)


def _by_node(envelope: Envelope | None, outcome: Outcome, detail: str | None) -> SubmitAnswer:
    payload = None if envelope is None else envelope.payload
    return SubmitAnswer(
        status=Status.PENDING,
        decided_by=DecidedBy.NODE,
        tx_id=None if payload is None else payload.tx_id,
        author=None if payload is None else payload.author,
        outcome=outcome,
        detail=detail,
        leader=LEADER if outcome is Outcome.NO_QUORUM else None,
    )
