"""Seals between nodes: this node's own sent out, those of others taken in, missing ones asked for.

It must not know execution or Raft. Certificates go to the marks; contradictions are kept as evidence and
raised.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.keys import tagged_hash
from node.certifying import Certifying
from node.executor import Done
from node.marks import Marks
from node.messages import HeldCertificate, NeedSeals, SealShare
from node.ports import Log, Peers
from node.sealer import Around, Contradiction, Sealer
from node.store import Store

ANSWERED_SEALS = 16
"""Seals sent in answer to one request; the highest in common certify all below."""


@dataclass(frozen=True, slots=True)
class ExchangeParts:
    """What the exchange works with; `members` are all nodes of the membership in force."""

    node_id: str
    members: Callable[[], tuple[str, ...]]
    store: Store
    marks: Marks
    peers: Peers
    log: Log
    certifying: Callable[[], Certifying]


class SealExchange:
    """Everything about seals that takes a message."""

    def __init__(self, parts: ExchangeParts, executed: int, certified: int) -> None:
        """Go on from what is stored: executed and certified up to these heights."""
        self._parts = parts
        around = Around(
            parts.node_id,
            parts.store.network_id,
            parts.certifying,
            self._seal_at,
            parts.marks.certificate,
            self._two_faced,
        )
        self._sealer = Sealer(around, executed, certified, parts.store.own_seal)
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
            self._sealer.execute(done.executed.height, done.executed.seal_raw, done.own)
        except Contradiction as error:
            self._keep(error)
            raise

    def receive(self, sender: str, message: SealShare) -> None:
        """Another node's seal; raises Contradiction."""
        parts = self._parts
        try:
            reason = self._sealer.receive(sender, message)
        except Contradiction as error:
            self._keep(error)
            raise
        if reason is not None:
            self._refuse(sender, reason)
            return
        parts.marks.sealed(sender, self._sealer.sealed_by.get(sender, 0))

    def receive_certificate(self, sender: str, message: HeldCertificate) -> None:
        """A certificate that another node holds; raises Contradiction.

        Where it was a hand-over's, the next one is asked for at once: who joins late has many to follow.
        """
        before = self._sealer.certified
        try:
            reason = self._sealer.receive_certificate(message.certificate)
        except Contradiction as error:
            self._keep(error)
            raise
        missing = self._sealer.missing()
        if reason is not None:
            self._refuse(sender, reason)
        elif missing is not None and self._sealer.certified > before:
            self._parts.peers.send(sender, NeedSeals(*missing))

    def ask(self) -> None:
        """Ask for what is missing, if the certificate of an executed height is late."""
        sealer = self._sealer
        late = sealer.certified < min(sealer.executed, self._asked_at)
        self._asked_at = sealer.executed
        missing = sealer.missing() if late else None
        if missing is not None:
            for node in self._others():
                self._parts.peers.send(node, NeedSeals(*missing))

    def answer(self, sender: str, message: NeedSeals) -> None:
        """Send the asking node the highest of this node's seals that it can use; or the certificate, where
        it asks for that of a hand-over, and those who signed it may be gone.
        """
        parts = self._parts
        is_handover = parts.certifying().handover_after(message.last - 1) == message.last
        held = parts.store.certificate(message.last) if is_handover else None
        if held is not None:
            parts.peers.send(sender, HeldCertificate(held))
            return
        last = min(message.last, self._sealer.executed)
        for height in range(max(message.first, last - ANSWERED_SEALS + 1, 1), last + 1):
            own = parts.store.own_seal(height)
            if own is not None:
                parts.peers.send(sender, SealShare(own.seal, own.signature))

    def _others(self) -> list[str]:
        return [node for node in self._parts.members() if node != self._parts.node_id]

    def _seal_at(self, height: int) -> bytes | None:
        block = self._parts.store.header(height)
        return None if block is None else block.seal

    def _refuse(self, sender: str, reason: str) -> None:
        self.refused_count += 1
        self._parts.log.warning("seal_refused", sender=sender, reason=reason)

    def _two_faced(self, node: str, height: int, evidence: bytes) -> None:
        """A node signed two seals of one height: kept, once a node, for whoever asks whose fault it was."""
        self._parts.log.error("two_seals_of_one_height", node=node, height=height)
        self._write(height, evidence)

    def _keep(self, error: Contradiction) -> None:
        """The node stops over this: the evidence is on the disk before it does."""
        self._write(error.height, error.evidence)

    def _write(self, height: int, evidence: bytes) -> None:
        """At once, on the loop: it happens once a node, and what it shows matters more than the pause."""
        self._parts.store.write_evidence(height, tagged_hash("seal", evidence), evidence)
