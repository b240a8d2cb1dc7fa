"""Seals of all nodes gathered into certificates, and two contradicting seals noticed.

It must not know how blocks are executed or messages sent. Heights it hasn't executed it remembers seals for,
up to a bound; what it has executed must agree with every seal that bears a good signature, or the node
stops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.certificate import (
    Certifiers,
    Seal,
    decode_seal,
    encode_certificate,
    make_certificate,
    seal_hash,
)
from ledger.codec import Malformed, encode
from ledger.keys import BadSignature, verify
from node.messages import SealShare
from node.store import OwnSeal

MAX_AHEAD = 1_024
"""Heights above the executed one for which seals of others are kept."""
KEPT_BELOW = 256
"""Certified heights for which the own seal stays in memory, to compare late seals with."""


class Contradiction(Exception):
    """Another certifier signed something else for a height this node has executed: it must stop."""

    def __init__(self, word: str, height: int, node: str, evidence: bytes) -> None:
        what = "another block" if word == "fork" else "other results of the same block"
        super().__init__(
            f"{node} signed {what} at height {height}: one of the two nodes is wrong. "
            f"Don't restart either before `nostro audit` has compared their stores"
        )
        self.word = word
        self.height = height
        self.evidence = evidence


class Share(NamedTuple):
    """A node's seal of one height, its signature verified."""

    seal: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Around:
    """What the sealer asks: the certifiers in force at a height as far as is executed, and whom it tells.

    `two_faced` hears of a node that signed two seals of one height, with both of them as evidence.
    """

    node_id: str
    network_id: bytes
    certifiers: Callable[[], Certifiers]
    certified: Callable[[int, bytes], None]
    two_faced: Callable[[str, int, bytes], None]


class Sealer:
    """The seals that are no certificate yet."""

    def __init__(
        self, around: Around, executed: int, certified: int, own_seal: Callable[[int], OwnSeal | None]
    ) -> None:
        """Go on from what is stored; own seals between the certified and the executed height are read
        back.
        """
        self._around = around
        self.executed = executed
        self.certified = certified
        self._own: dict[int, bytes] = {}
        self._shares: dict[int, dict[str, Share]] = {}
        self._two_faced: set[str] = set()
        self.sealed_by: dict[str, int] = {}
        for height in range(max(certified, executed - MAX_AHEAD) + 1, executed + 1):
            own = own_seal(height)
            if own is not None:
                self._add_own(height, own.seal, own)

    def execute(self, height: int, seal_raw: bytes, own: OwnSeal | None) -> None:
        """This node has executed `height`, its seal is on the disk; raises Contradiction."""
        self.executed = height
        self._add_own(height, seal_raw, own)
        for node, share in list(self._shares.get(height, {}).items()):
            self._compare(node, height, share)
        self._certify(height)
        self._own.pop(height - MAX_AHEAD, None)
        self._shares.pop(height - MAX_AHEAD, None)

    def receive(self, sender: str, message: SealShare) -> str | None:
        """A seal from another node; the reason if it is no good. Raises Contradiction."""
        try:
            seal = decode_seal(message.seal)
        except Malformed as error:
            return error.reason
        reason = self._why_refused(sender, seal, message)
        if reason is not None or seal.height > self.executed + MAX_AHEAD:
            return reason
        self.sealed_by[sender] = max(seal.height, self.sealed_by.get(sender, 0))
        share = Share(message.seal, message.signature)
        if seal.height in self._own:
            self._compare(sender, seal.height, share)
        if seal.height > self.certified:
            self._notice_two_faces(sender, seal.height, share)
            self._shares.setdefault(seal.height, {})[sender] = share
            if seal.height <= self.executed:
                self._certify(seal.height)
        return None

    def _notice_two_faces(self, sender: str, height: int, share: Share) -> None:
        """Two seals of one height under one key need no third to show a fault; once a node is enough."""
        known = self._shares.get(height, {}).get(sender)
        if known is None or known.seal == share.seal or sender in self._two_faced:
            return
        self._two_faced.add(sender)
        pair = [[known.seal, known.signature], [share.seal, share.signature]]
        self._around.two_faced(sender, height, encode([sender, pair]))

    def _why_refused(self, sender: str, seal: Seal, message: SealShare) -> str | None:
        if seal.network_id != self._around.network_id:
            return "it is of another network"
        key = self._around.certifiers().key_of(sender)
        if key is None:
            return f"{sender} is no certifier"
        if self._already_known(sender, seal.height, message):
            return None
        try:
            verify(key, seal_hash(message.seal), message.signature)
        except BadSignature as error:
            return str(error)
        return None

    def _already_known(self, sender: str, height: int, message: SealShare) -> bool:
        return self._shares.get(height, {}).get(sender) == (message.seal, message.signature)

    def _add_own(self, height: int, seal_raw: bytes, own: OwnSeal | None) -> None:
        self._own[height] = seal_raw
        if own is not None:
            self._shares.setdefault(height, {})[self._around.node_id] = Share(own.seal, own.signature)

    def _compare(self, node: str, height: int, share: Share) -> None:
        if share.seal == self._own[height]:
            return
        theirs, ours = decode_seal(share.seal), decode_seal(self._own[height])
        word = "divergence" if theirs.header_hash == ours.header_hash else "fork"
        own = self._shares.get(height, {}).get(self._around.node_id)
        pair = [[share.seal, share.signature], [self._own[height], own.signature if own is not None else b""]]
        raise Contradiction(word, height, node, encode([node, pair]))

    def _certify(self, height: int) -> None:
        """Form the certificate of `height` if a quorum has sealed what this node has."""
        if height <= self.certified:
            return
        shares = self._shares.get(height, {})
        agreeing = [
            (node, share.signature) for node, share in shares.items() if share.seal == self._own.get(height)
        ]
        if len(agreeing) < self._around.certifiers().quorum():
            return
        raw = encode_certificate(make_certificate(self._own[height], agreeing))
        self.certified = height
        for done in [known for known in self._shares if known <= height]:
            del self._shares[done]
        for old in [known for known in self._own if known <= height - KEPT_BELOW]:
            del self._own[old]
        self._around.certified(height, raw)
