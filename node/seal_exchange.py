"""Seals between nodes: this node's own sent out, those of others taken in, missing ones asked for.

It must not know execution or Raft. Certificates go to the marks; contradictions are kept as evidence and
raised.
"""

from dataclasses import dataclass

from ledger.keys import tagged_hash
from node.executor import Done
from node.marks import Marks
from node.messages import NeedSeals, SealShare
from node.ports import Log, Peers
from node.sealer import Contradiction, Sealer
from node.store import Store

ANSWERED_SEALS = 16
"""Seals sent in answer to one request; the highest in common certify all below."""


@dataclass(frozen=True, slots=True)
class ExchangeParts:
    """What the exchange works with; `voters` are all nodes that certify, this one among them."""

    node_id: str
    voters: tuple[str, ...]
    store: Store
    sealer: Sealer
    marks: Marks
    peers: Peers
    log: Log


class SealExchange:
    """Everything about seals that takes a message."""

    def __init__(self, parts: ExchangeParts) -> None:
        """Nothing sent yet."""
        self._parts = parts
        self.refused_count = 0
        self._asked_at = 0

    def execute(self, done: Done) -> None:
        """A block is executed and its seal on the disk: send it; raises Contradiction."""
        parts = self._parts
        if done.own is not None:
            share = SealShare(done.own.seal, done.own.signature)
            for node in self._others():
                parts.peers.send(node, share)
        try:
            parts.sealer.execute(done.executed.height, done.executed.seal_raw, done.own)
        except Contradiction as error:
            self._keep(error)
            raise

    def receive(self, sender: str, message: SealShare) -> None:
        """Another node's seal; raises Contradiction."""
        parts = self._parts
        try:
            reason = parts.sealer.receive(sender, message)
        except Contradiction as error:
            self._keep(error)
            raise
        if reason is not None:
            self.refused_count += 1
            parts.log.warning("seal_refused", sender=sender, reason=reason)
            return
        parts.marks.sealed(sender, parts.sealer.sealed_by.get(sender, 0))

    def ask(self) -> None:
        """Ask for what is missing, if the certificate of an executed height is late."""
        sealer = self._parts.sealer
        late = sealer.certified < min(sealer.executed, self._asked_at)
        self._asked_at = sealer.executed
        if late:
            for node in self._others():
                self._parts.peers.send(node, NeedSeals(sealer.certified + 1, sealer.executed))

    def answer(self, sender: str, message: NeedSeals) -> None:
        """Send the asking node the highest of this node's seals that it can use."""
        parts = self._parts
        last = min(message.last, parts.sealer.executed)
        for height in range(max(message.first, last - ANSWERED_SEALS + 1, 1), last + 1):
            own = parts.store.own_seal(height)
            if own is not None:
                parts.peers.send(sender, SealShare(own.seal, own.signature))

    def _others(self) -> list[str]:
        return [node for node in self._parts.voters if node != self._parts.node_id]

    def _keep(self, error: Contradiction) -> None:
        """The node stops over this: the evidence is written at once, on the loop, for nothing else matters
        now.
        """
        digest = tagged_hash("seal", error.evidence)
        self._parts.store.write_evidence(error.height, digest, error.evidence)
