"""What must hold of the nodes together, checked at every message, block and end of a run.

It must not know how nodes work inside: it sees messages, disks and stores.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from consensus.messages import AppendEntriesReply, Message, RequestVoteReply, decode_message
from ledger.audit import audit, verify_here
from ledger.block import Header, block_hash
from ledger.certificate import decode_certificate, decode_seal, verify_certificate
from ledger.codec import decode
from ledger.envelope import EnvelopeLimits, decode_envelope
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.records import ACCOUNT_PREFIX, Account
from ledger.state import State, load_progress
from ledger.view import ReadView
from node.messages import NodeMessage, RaftFrame, SealShare
from node.records import HARD_STATE, Record, seal_key, unpack_record
from node.store import Store
from tests.simulation.cluster.chain import StoredChain, holds_block
from tests.simulation.cluster.clients import Order
from tests.simulation.cluster.database import SimulatedDisk
from tests.simulation.cluster.history import Balances, reckon
from tests.simulation.cluster.reads import Answer
from tests.simulation.report import Violation


class Oracle:
    """Remembers what was led, executed and sealed anywhere in a run."""

    def __init__(self, disk_of: Callable[[str], SimulatedDisk], counts: Counter[str]) -> None:
        """Nothing has happened. `disk_of` gives the disk that a node has now."""
        self._disk_of = disk_of
        self._counts = counts
        self._leaders: dict[int, str] = {}
        self._blocks: dict[int, bytes] = {}
        self._seals: dict[int, bytes] = {}
        self._forgotten: dict[int, bytes] = {}
        self._executed: dict[str, int] = {}
        self._learners: tuple[str, ...] = ()
        self._joint = False

    def leads(self, node: str, term: int) -> None:
        """Election safety: one leader a term (Raft paper 5.2)."""
        if self._leaders.setdefault(term, node) != node:
            raise Violation(f"{node} and {self._leaders[term]} both lead term {term}")

    def sent(self, sender: str, message: NodeMessage) -> None:
        """What a message promises must be on the sender's disk when it leaves."""
        durable = self._disk_of(sender).durable
        if isinstance(message, SealShare):
            height = decode_seal(message.seal).height
            if seal_key(height) not in durable:
                raise Violation(f"{sender} sent its seal of {height} before it was synced")
        elif isinstance(message, RaftFrame):
            self._check_promise(sender, decode_message(message.data), durable)

    def executed(self, node: str, store: Store, height: int) -> None:
        """State machine safety, and equal seals: every node has the same at each height."""
        sealed, entry = store.header(height), store.entry(height)
        if sealed is None:
            raise Violation(f"{node} executed block {height}, but stores no header or no seal of it")
        if entry is not None:
            self._forgotten[height] = entry.data
        self._executed[node] = max(height, self._executed.get(node, 0))
        found = block_hash(sealed.header)
        if height not in self._blocks:
            self._count_change(decode(sealed.header, Header))
        if self._blocks.setdefault(height, found) != found:
            raise Violation(f"{node} executed another block at height {height}")
        own = store.own_seal(height)
        right = self._seals.setdefault(height, sealed.seal)
        if sealed.seal != right or (own is not None and own.seal != right):
            raise Violation(f"{node} sealed height {height} otherwise")

    def recovered(self, blocks: Mapping[int, bytes], survivors: Collection[str]) -> int:
        """The survivors go on above these blocks: up to which height they are what anybody had executed, for
        the lost ones may have replaced the last of them. Nothing that a survivor had executed is undone.

        Its terms begin above all that a survivor knew. Leaders that the lost elected in some of
        them nobody will meet.
        """
        height = max((at for at, block in blocks.items() if self._blocks.get(at) == block), default=0)
        executed = max(self._executed.get(node, 0) for node in survivors)
        if executed > height:
            raise Violation(f"a recovery undoes what is above {height}, a survivor had executed {executed}")
        for known in (self._blocks, self._seals, self._forgotten):
            for above in [at for at in known if at > height]:
                del known[above]
        self._leaders.clear()
        return height

    def check_refused(self, stores: Mapping[str, Store], orders: list[Order]) -> None:
        """At rest, before anything is asked for again: what was refused for good stands on no chain."""
        for node, store in stores.items():
            self._check_refused(node, store, orders)
        self._counts["refused for good"] += len(orders)

    def check_end(self, stores: Mapping[str, Store], orders: list[Order], reads: list[Answer]) -> None:
        """At rest: the stores agree, audit clean, conserve money, and hold every answer that was given."""
        node = min(stores)
        chain = StoredChain(stores[node], self._forgotten)
        balances = _balances(chain, stores[node], orders)
        balances.check_answers(reads)
        for node, store in stores.items():
            self._check_money(node, store, balances)
            self._check_answers(node, store, orders)
            self._check_certificates(node, store)
        report = audit(chain, network_id=None, verify=verify_here, progress=lambda done, of: None)
        if not report.clean:
            raise Violation(f"the audit of {node} found {report.findings[:3]}")
        self._counts["audited transactions"] += report.transactions

    def _count_change(self, header: Header) -> None:
        for change in header.change:
            if change.outgoing:
                what = "joint"
                self._counts["leaders let go"] += header.proposer not in change.voters
            elif len(change.learners) > len(self._learners):
                what = "joint left" if self._joint else "learner taken in"
            else:
                what = "joint left" if self._joint else "node dropped"
            self._counts[f"memberships: {what}"] += 1
            self._learners, self._joint = change.learners, bool(change.outgoing)

    def _check_promise(self, sender: str, message: Message, durable: Mapping[bytes, bytes]) -> None:
        raw = durable.get(HARD_STATE)
        record = Record(0, 0, b"") if raw is None else unpack_record(HARD_STATE, raw)
        if isinstance(message, AppendEntriesReply) and message.success and message.index:
            # What is executed was synced, and its body may be forgotten since. A leader of a later term may
            # have had the block cut off: then whoever elected it lacks the block and acknowledges none of the
            # earlier term any more, so that no quorum comes together for it (Raft paper, 5.4.3).
            held = holds_block(durable, message.index)
            if not held and record.term <= message.term:
                raise Violation(f"{sender} acknowledged block {message.index} before it was synced")
        elif isinstance(message, RequestVoteReply) and message.granted and not message.pre_vote:
            if raw is None:
                raise Violation(f"{sender} voted for {message.to} with nothing on its disk")
            synced = (record.term, record.payload.decode())
            # A later term on the disk, of a Ready synced together with this, forbids another vote as well.
            if synced != (message.term, message.to) and record.term <= message.term:
                raise Violation(f"{sender} voted for {message.to} in {message.term}, its disk has {synced}")

    def _check_money(self, node: str, store: Store, balances: Balances) -> None:
        """Σ debits = Σ credits (payments.md): one asset, so over all accounts."""
        accounts = [decode(row, Account) for _, row in store.scan(ACCOUNT_PREFIX)]
        debits = sum(account.debits_posted for account in accounts)
        credits = sum(account.credits_posted for account in accounts)
        if debits != credits:
            raise Violation(f"{node}: debits are {debits}, credits {credits}")
        for account in accounts:
            if account.balance < -account.limit:
                raise Violation(f"{node}: account {account.number} is overdrawn to {account.balance}")
        balances.check_state(accounts, load_progress(store).height)

    def _check_refused(self, node: str, store: Store, orders: list[Order]) -> None:
        state = State.open(store)
        view = ReadView(store, lambda: state.registry)
        for order in orders:
            seen = view.seen(order.author, order.tx_id)
            if seen is not None and seen.signing_hash == _content(order):
                raise Violation(f"{node}: id {order.tx_id.hex()} was refused {order.refused}, it has {seen}")

    def _check_answers(self, node: str, store: Store, orders: list[Order]) -> None:
        """Nothing that was answered as executed is lost, moved or changed; no id is there twice."""
        state = State.open(store)
        view = ReadView(store, lambda: state.registry)
        for order in orders:
            if order.answer is None or order.answer[0] is Outcome.ID_USED_WITH_OTHER_CONTENT:
                continue
            seen = view.seen(order.author, order.tx_id)
            if seen is None or (Outcome(seen.outcome), seen.height, seen.index) != order.answer:
                raise Violation(f"{node}: id {order.tx_id.hex()} was answered {order.answer}, it has {seen}")

    def _check_certificates(self, node: str, store: Store) -> None:
        state = State.open(store)
        height = 1
        while (found := store.certificate_from(height)) is not None:
            certifiers = state.registry.certifiers_at(found[0])
            seal = verify_certificate(decode_certificate(found[1]), certifiers)
            if self._blocks.get(seal.height) != seal.header_hash:
                raise Violation(f"{node} holds a certificate of another block at {seal.height}")
            self._counts["certificates verified"] += 1
            height = found[0] + 1


def _content(order: Order) -> bytes:
    """What tells the order's transaction from another with its id."""
    limits = EnvelopeLimits(DEFAULT_PARAMETERS.envelope_bytes, DEFAULT_PARAMETERS.signers)
    return decode_envelope(order.raw, limits).signing_hash


def _balances(chain: StoredChain, store: Store, orders: list[Order]) -> Balances:
    view = ReadView(store, lambda: State.open(store).registry)

    def outcome_at(height: int, index: int) -> Outcome:
        row = view.history_row(height, index)
        if row is None:
            raise Violation(f"the transaction at {height}, {index} has no row")
        return Outcome(row.outcome)

    return reckon(chain.block, outcome_at, chain.tip(), orders)
