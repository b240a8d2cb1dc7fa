"""The transactions that this node has taken on and not yet seen executed: bounded, in order of arrival, each
once.

It must not know Raft, blocks, clocks or the rules. Times are the caller's monotonic milliseconds.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from ledger.bodies import Transfer
from ledger.envelope import Envelope
from ledger.outcome import Outcome


class Full(Enum):
    """Why a transaction isn't taken."""

    POOL = "pool"
    """The pool holds as many transactions, or bytes, as it may."""
    MEMBER = "member"
    """The member has its whole share of the pool in use."""


POOL_TRANSACTIONS = 50_000
POOL_BYTES = 64 * 1024 * 1024
MEMBER_TRANSACTIONS = 25_000
"""Half the pool, so that no member can fill it alone."""


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """The pool's bounds: transactions in all, bytes in all, and transactions of one member."""

    transactions: int = POOL_TRANSACTIONS
    bytes: int = POOL_BYTES
    member_transactions: int = MEMBER_TRANSACTIONS


@dataclass(slots=True, eq=False)
class Pending:
    """A transaction held. `proposed`: it stands in a block above the executed height, as far as this leader
    knows. `lent`: it was forwarded to here, and is forgotten when this node leads no more.

    `given_term` is the highest term that it was given away in, by forwarding or proposing it (0: never),
    `given_number` that of the message which carried it last. `verdict` is what its receiver refused it for.
    """

    envelope: Envelope
    member: str
    debit: tuple[bytes, int] | None
    arrived_ms: int
    proposed: bool = False
    lent: bool = False
    given_term: int = 0
    given_number: int = 0
    verdict: Outcome | None = None


class Mempool:
    """The pool. Transactions are told apart by signing hash: other signatures on the same content are the
    same.
    """

    def __init__(self, limits: MempoolLimits) -> None:
        """An empty pool."""
        self._limits = limits
        self._held: dict[bytes, Pending] = {}
        self._waiting: dict[bytes, Pending] = {}
        self._ids: dict[tuple[bytes, bytes], bytes] = {}
        self._leaves: set[bytes] = set()
        self._members: dict[str, int] = {}
        self._debits: dict[bytes, int] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many transactions are held."""
        return len(self._held)

    def get(self, signing_hash: bytes) -> Pending | None:
        """The transaction with this content."""
        return self._held.get(signing_hash)

    def by_id(self, author: bytes, tx_id: bytes) -> Pending | None:
        """The transaction that this author gave this id."""
        signing_hash = self._ids.get((author, tx_id))
        return None if signing_hash is None else self._held[signing_hash]

    def has_leaf(self, leaf_hash: bytes) -> bool:
        """Whether the envelope of exactly these bytes is held."""
        return leaf_hash in self._leaves

    def queued_debit(self, account: bytes) -> int:
        """The sum, in minor units, that held transfers will debit from the account."""
        return self._debits.get(account, 0)

    def why_full(self, envelope: Envelope, member: str) -> Full | None:
        """Which limit the transaction would pass, if any."""
        limits = self._limits
        if len(self._held) >= limits.transactions or self.size_bytes + len(envelope.raw) > limits.bytes:
            return Full.POOL
        if self._members.get(member, 0) >= limits.member_transactions:
            return Full.MEMBER
        return None

    def add(self, envelope: Envelope, member: str, now_ms: int) -> Pending:
        """Hold a transaction that is new here and for which there is room (`by_id`, `why_full`)."""
        body = envelope.body
        payload = envelope.payload
        debit = (payload.author, body.amount) if isinstance(body, Transfer) else None
        pending = Pending(envelope, member, debit, now_ms)
        self._held[envelope.signing_hash] = self._waiting[envelope.signing_hash] = pending
        self._ids[payload.author, payload.tx_id] = envelope.signing_hash
        self._leaves.add(envelope.leaf_hash)
        self._members[member] = self._members.get(member, 0) + 1
        if debit is not None:
            self._debits[debit[0]] = self._debits.get(debit[0], 0) + debit[1]
        self.size_bytes += len(envelope.raw)
        return pending

    def remove(self, signing_hash: bytes) -> Pending | None:
        """Let go of a transaction: it was executed, refused or has expired."""
        pending = self._held.pop(signing_hash, None)
        if pending is None:
            return None
        envelope = pending.envelope
        self._waiting.pop(signing_hash, None)
        del self._ids[envelope.payload.author, envelope.payload.tx_id]
        self._leaves.discard(envelope.leaf_hash)
        _subtract(self._members, pending.member, 1)
        if pending.debit is not None:
            _subtract(self._debits, *pending.debit)
        self.size_bytes -= len(envelope.raw)
        return pending

    def waiting(self) -> Iterator[Pending]:
        """Those not proposed, in order of arrival; don't change the pool meanwhile."""
        return iter(self._waiting.values())

    def waiting_in_turn(self) -> Iterator[Pending]:
        """Those not proposed, one of each member after the other, each member's in order of arrival.

        What doesn't fit into a block waits on, so each member has its share of every block, however many
        transactions another has sent (docs/formats.md, fair use). Don't change the pool meanwhile.
        """
        queues: dict[str, deque[Pending]] = {}
        for pending in self._waiting.values():
            queues.setdefault(pending.member, deque()).append(pending)
        while queues:
            for member, queue in list(queues.items()):
                yield queue.popleft()
                if not queue:
                    del queues[member]

    @property
    def waiting_count(self) -> int:
        """How many aren't proposed."""
        return len(self._waiting)

    def held(self) -> Iterator[Pending]:
        """All of them, in order of arrival; don't change the pool meanwhile."""
        return iter(self._held.values())

    def mark_proposed(self, signing_hashes: Iterable[bytes], term: int) -> None:
        """These stand in a block of the log now, of this term at most: don't propose them again."""
        for signing_hash in signing_hashes:
            pending = self._waiting.pop(signing_hash, None)
            if pending is not None:
                pending.proposed = True
                pending.given_term, pending.given_number, pending.verdict = term, 0, None

    def unmark_proposed(self) -> None:
        """This node leads no more: what it proposed may be lost, so all of it waits again."""
        for pending in self._held.values():
            pending.proposed = False
        self._waiting = dict(self._held)


def _subtract(sums: dict[str, int] | dict[bytes, int], key: str | bytes, amount: int) -> None:
    """Take from one sum, and keep no zeros: the keys would add up."""
    left = sums[key] - amount  # type: ignore[index]  # both kinds of dict are called with their own kind of key
    if left:
        sums[key] = left  # type: ignore[index]
    else:
        del sums[key]  # type: ignore[arg-type]
