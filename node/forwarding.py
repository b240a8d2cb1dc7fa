"""What is held here goes on to the leader until it is executed; a leader's refusals go back to who forwarded.

It must not know who submitted anything, nor why something is refused. Which copies may still be executed is
told in node.copies.
"""

from collections.abc import Iterator

from ledger.outcome import Outcome
from node.mempool import Mempool, Pending
from node.messages import MAX_FORWARDED_ENVELOPES, Forward, Refused
from node.ports import Clock, Peers
from node.standing import Standing

FORWARD_BYTES = 1024 * 1024
"""Envelope bytes a forwarding message, about."""
FORWARD_AGAIN_MS = 3_000
"""What was forwarded and isn't executed after this long is forwarded again."""
TRY_AGAIN = frozenset({Outcome.OVERLOADED, Outcome.TOO_MANY_PENDING, Outcome.NOT_YET_VALID, Outcome.STOPPING})
"""Refusals by the leader that say nothing of the transaction: it stays, and is forwarded again."""
OUTCOME_NUMBERS = frozenset(int(outcome) for outcome in Outcome)


class Forwarding:
    """The signing hashes of what the leader hasn't been sent and of what it has, and refusals to be sent."""

    def __init__(self, boot: bytes, mempool: Mempool, standing: Standing, clock: Clock, peers: Peers) -> None:
        """Nothing yet; `boot` tells this process from earlier ones."""
        self._boot = boot
        self._mempool = mempool
        self._standing = standing
        self._clock = clock
        self._peers = peers
        self._unsent: dict[bytes, None] = {}
        self._sent: dict[bytes, int] = {}
        self._number = 0
        self._refusals: dict[tuple[str, bytes, int], list[tuple[bytes, int]]] = {}

    def add(self, signing_hash: bytes) -> None:
        """This is held and is to reach the leader."""
        self._unsent[signing_hash] = None

    def forget(self, signing_hash: bytes) -> None:
        """This is held no more."""
        self._unsent.pop(signing_hash, None)
        self._sent.pop(signing_hash, None)

    def begin_again(self) -> None:
        """Another leads: all that is held is to reach who does."""
        self._unsent = {pending.envelope.signing_hash: None for pending in self._mempool.held()}
        self._sent = {}

    def refuse(self, sender: str, message: Forward, signing_hash: bytes, outcome: Outcome) -> None:
        """Tell the forwarder, with the next flush, that this one of its message is left out."""
        key = (sender, message.boot, message.number)
        self._refusals.setdefault(key, []).append((signing_hash, int(outcome)))

    def refused(self, message: Refused) -> Iterator[Pending]:
        """What the leader leaves out, with its verdict noted, if this message answers the copy given last."""
        if message.boot != self._boot:
            return
        for signing_hash, number in message.refusals:
            pending = self._mempool.get(signing_hash)
            if pending is None or number not in OUTCOME_NUMBERS or number in TRY_AGAIN:
                continue
            if pending.given_number != message.number:
                continue
            pending.verdict = Outcome(number)
            yield pending

    def flush(self) -> None:
        """Send what has gathered: refusals to forwarders, and what is held to the leader."""
        for (sender, boot, number), refusals in self._refusals.items():
            self._peers.send(sender, Refused(boot, number, tuple(refusals)))
        self._refusals = {}
        if self._standing.leads:
            self._unsent.clear()
        elif self._standing.leader_id is not None and self._unsent:
            self._forward(self._standing.leader_id)

    def tick(self) -> None:
        """Forward again what the leader has had for long."""
        now_ms = self._clock.monotonic_ms()
        late: list[bytes] = []
        for signing_hash, sent_ms in self._sent.items():
            if now_ms - sent_ms < FORWARD_AGAIN_MS:
                break
            late.append(signing_hash)
        for signing_hash in late:
            del self._sent[signing_hash]
            self._unsent[signing_hash] = None

    def _forward(self, leader: str) -> None:
        """Send the first of what is unsent; the rest goes with the next turns."""
        raws: list[bytes] = []
        term = self._standing.term
        self._number += 1
        size_bytes = 0
        now_ms = self._clock.monotonic_ms()
        while self._unsent and len(raws) < MAX_FORWARDED_ENVELOPES and size_bytes < FORWARD_BYTES:
            signing_hash = next(iter(self._unsent))
            del self._unsent[signing_hash]
            pending = self._mempool.get(signing_hash)
            if pending is not None:
                pending.given_term, pending.given_number, pending.verdict = term, self._number, None
                raws.append(pending.envelope.raw)
                size_bytes += len(pending.envelope.raw)
                self._sent[signing_hash] = now_ms
        if raws:
            self._peers.send(leader, Forward(term, self._boot, self._number, tuple(raws)))
