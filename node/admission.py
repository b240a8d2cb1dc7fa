"""What this node says of a transaction before the chain does: form, time, whether it is known, whether it
could succeed.

It must not know Raft, peers or who submitted it. Its word is never final: the chain's is. It reads the
executed state and what the pool holds, and changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from ledger.block import Header
from ledger.bodies import Body
from ledger.cache import GenerationCache
from ledger.codec import Malformed, decode
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from ledger.outcome import Outcome
from ledger.records import Account, Progress
from ledger.registry import Registry
from ledger.rules.base import RuleSet
from ledger.view import ReadView, Seen
from node.intake import Executed
from node.mempool import Mempool
from node.results import Stage, SubmitResult
from node.store import Store

TIME_CACHE = 65_536
"""Times of blocks kept: without them each retry of an old payment would decode its header."""
ACCOUNT_CACHE = 65_536
"""Decoded accounts kept for admission; the executed state has a cache of its own on its own thread."""


ABSENT_IDS = 100_000
"""Ids remembered as not on the chain; without it each submission would be looked up three times."""


class Refusal(NamedTuple):
    """Why a transaction isn't taken."""

    outcome: Outcome
    reason: str


class InForce(NamedTuple):
    """The limits and the rules that are in force at a height."""

    height: int
    limits: EnvelopeLimits
    rules: RuleSet
    kinds: Mapping[int, type[Body]]


class Admission:
    """The rules' view of the executed state with the pool's queued debits on top. Used on the loop alone."""

    def __init__(
        self,
        store: Store,
        mempool: Mempool,
        rules: Mapping[int, RuleSet],
        executed: Callable[[], Executed],
    ) -> None:
        """Read rows from `store`; `executed` gives the state's newest progress and registry."""
        self._rules = rules
        self._store = store
        self._mempool = mempool
        self._executed = executed
        self._rows = ReadView(store, lambda: executed().registry)
        self._accounts: GenerationCache[bytes, Account] = GenerationCache(ACCOUNT_CACHE)
        self._absent: dict[tuple[bytes, bytes], None] = {}
        self._in_force: InForce | None = None
        self._times: GenerationCache[int, int] = GenerationCache(TIME_CACHE)

    # The ledger's View.

    @property
    def registry(self) -> Registry:
        """Members, nodes, assets and schedules as executed."""
        return self._executed().registry

    def account_by_id(self, account_id: bytes) -> Account | None:
        """The account with what the pool will debit from it counted as pending."""
        account = self._account(account_id)
        queued = self._mempool.queued_debit(account_id)
        if account is None or not queued:
            return account
        return msgspec.structs.replace(account, debits_pending=account.debits_pending + queued)

    def seen(self, author: bytes, tx_id: bytes) -> Seen | None:
        """Where this author consumed this id on the executed chain."""
        key = (author, tx_id)
        if key in self._absent:
            return None
        seen = self._rows.seen(author, tx_id)
        if seen is None:
            self._absent[key] = None
            if len(self._absent) > ABSENT_IDS:
                del self._absent[next(iter(self._absent))]
        return seen

    # What the driver asks.

    @property
    def executed_height(self) -> int:
        """The height that all of this is said at."""
        return self._executed().progress.height

    @property
    def progress(self) -> Progress:
        """How far the state is executed that all of this is said of."""
        return self._executed().progress

    def executed(self, accounts: Mapping[bytes, Account], envelopes: Iterable[Envelope]) -> None:
        """A block of these envelopes is executed, and has left these accounts so."""
        for account_id, account in accounts.items():
            self._accounts.put(account_id, account)
        for envelope in envelopes:
            self._absent.pop((envelope.payload.author, envelope.payload.tx_id), None)

    def decode(self, raw: bytes, leaf_hash: bytes | None = None) -> Envelope | Refusal:
        """The envelope in `raw`, of this network and within the parameters in force; `leaf_hash` is its own,
        where it is known.
        """
        progress = self._executed().progress
        try:
            in_force = self._in_force_at(progress.height + 1)
            envelope = decode_envelope(raw, in_force.limits, in_force.kinds, leaf_hash)
        except Malformed as error:
            return Refusal(error.outcome, error.reason)
        if envelope.payload.network_id != progress.network_id:
            return Refusal(
                Outcome.WRONG_NETWORK,
                f"it is signed for network {envelope.payload.network_id.hex()}, "
                f"this one is {progress.network_id.hex()}",
            )
        return envelope

    def first(self, envelope: Envelope) -> Seen | None:
        """Where this very content stands on the chain already."""
        seen = self.seen(envelope.payload.author, envelope.payload.tx_id)
        return seen if seen is not None and seen.signing_hash == envelope.signing_hash else None

    def preview(self, envelope: Envelope) -> Outcome:
        """What the rules in force would make of it now, queued debits counted."""
        height = self._executed().progress.height + 1
        return self._in_force_at(height).rules.preview(self, envelope, height)[0]

    def member_of(self, envelope: Envelope) -> str:
        """The member that answers for the author; empty for an account that this node hasn't seen opened."""
        if envelope.author_member is not None:
            return envelope.author_member
        account = self._account(envelope.payload.author)
        return account.member if account is not None else ""

    def time_at(self, height: int) -> int:
        """The time of an executed block, in milliseconds."""
        progress = self._executed().progress
        if height == progress.height:
            return progress.time_ms
        time_ms = self._times.get(height)
        if time_ms is None:
            kept = self._store.header(height)
            if kept is None:
                raise KeyError(f"no block stands at height {height}")
            time_ms = decode(kept.header, Header).time_ms
            self._times.put(height, time_ms)
        return time_ms

    def _in_force_at(self, height: int) -> InForce:
        """What is in force at the next height; looked up once a block."""
        if self._in_force is None or self._in_force.height != height:
            parameters = self.registry.parameters_at(height)
            limits = EnvelopeLimits(parameters.envelope_bytes, parameters.signers)
            rules = self._rules[self.registry.rules_at(height)]
            self._in_force = InForce(height, limits, rules, rules.bodies)
        return self._in_force

    def _account(self, account_id: bytes) -> Account | None:
        account = self._accounts.get(account_id)
        if account is None:
            account = self._rows.account_by_id(account_id)
            if account is not None:
                self._accounts.put(account_id, account)
        return account


def why_not_now(envelope: Envelope, now_ms: int) -> Refusal | None:
    """The refusal of what is early or late by this node's clock."""
    payload = envelope.payload
    if now_ms >= payload.valid_until_ms:
        return Refusal(
            Outcome.EXPIRED, f"it was valid until {payload.valid_until_ms}, this node's clock says {now_ms}"
        )
    if now_ms < payload.valid_from_ms:
        return Refusal(
            Outcome.NOT_YET_VALID,
            f"it is valid from {payload.valid_from_ms}, this node's clock says {now_ms}",
        )
    return None


def refused(envelope: Envelope, refusal: Refusal, held: bool = False) -> SubmitResult:
    """The refusal as its submitter hears it."""
    payload = envelope.payload
    return SubmitResult(
        Stage.REFUSED, payload.author, payload.tx_id, refusal.outcome, held=held, reason=refusal.reason
    )


def executed_result(
    envelope: Envelope, outcome: Outcome, place: tuple[int, int], time_ms: int
) -> SubmitResult:
    """An executed transaction as its submitter hears it."""
    payload = envelope.payload
    return SubmitResult(Stage.EXECUTED, payload.author, payload.tx_id, outcome, place[0], place[1], time_ms)


def repeated_result(result: SubmitResult) -> SubmitResult:
    """The same, for one that the chain held before this submission."""
    return msgspec.structs.replace(result, repeated=True)
