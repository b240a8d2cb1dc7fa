"""Seals of all nodes gathered into certificates, and two contradicting seals noticed.

It must not know how blocks are executed or messages sent. Heights it hasn't executed it remembers seals for,
up to a bound; what it has executed must agree with every seal that bears a good signature, or the node
stops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.certificate import (
    InvalidCertificate,
    Seal,
    decode_certificate,
    decode_seal,
    encode_certificate,
    make_certificate,
    seal_hash,
    verify_certificate,
)
from ledger.codec import Malformed, encode
from ledger.keys import BadSignature, verify
from node.certifying import Certifying
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
    """What the sealer asks: who certifies as far as is executed, the seal of an executed height; and whom it
    tells.

    `two_faced` hears of a node that signed two seals of one height, with both of them as evidence.
    """

    node_id: str
    network_id: bytes
    certifying: Callable[[], Certifying]
    seal_at: Callable[[int], bytes | None]
    certified: Callable[[int, bytes], None]
    two_faced: Callable[[str, int, bytes], None]


class Sealer:
    """The seals that are no certificate yet."""

    def __init__(
        self, around: Around, executed: int, certified: int, own_seal: Callable[[int], OwnSeal | None]
    ) -> None:
        """Go on from what is stored; seals between the certified and the executed height are read back."""
        self._around = around
        self.executed = executed
        self.certified = certified
        self._own: dict[int, bytes] = {}
        self._shares: dict[int, dict[str, Share]] = {}
        self._two_faced: set[str] = set()
        self.sealed_by: dict[str, int] = {}
        for height in range(max(certified, executed - MAX_AHEAD) + 1, executed + 1):
            seal_raw = around.seal_at(height)
            if seal_raw is not None:
                self._add_own(height, seal_raw, own_seal(height))

    def execute(self, height: int, seal_raw: bytes, own: OwnSeal | None) -> None:
        """This node has executed `height`, its seal is on the disk; raises Contradiction."""
        self.executed = height
        self._add_own(height, seal_raw, own)
        self._drop_strangers(height)
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
        if seal.height > self.executed + MAX_AHEAD or self._is_unknown_yet(sender, seal.height):
            return None
        reason = self._why_refused(sender, seal, message)
        if reason is not None:
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

    def receive_certificate(self, raw: bytes) -> str | None:
        """A certificate from another node; the reason if it is no good. Raises Contradiction."""
        certifying = self._around.certifying()
        try:
            certificate = decode_certificate(raw)
            height = decode_seal(certificate.seal).height
            if not self._may_certify(height):
                return None
            verify_certificate(certificate, certifying.certifiers(height))
        except (Malformed, InvalidCertificate) as error:
            return str(error)
        signed = certificate.signatures[0]
        self._compare(signed.node, height, Share(certificate.seal, signed.signature))
        self._form(height, raw)
        return None

    def missing(self) -> tuple[int, int] | None:
        """The first and the last height of which a certificate would help, if there are such."""
        last = self._certifiable()
        return None if last <= self.certified else (self.certified + 1, last)

    def _certifiable(self) -> int:
        """How far up a certificate may form: not past a hand-over that has none yet."""
        return self._around.certifying().handover_after(self.certified) or self.executed

    def _may_certify(self, height: int) -> bool:
        passed_over = self._around.certifying().is_passed_over(height)
        return self.certified < height <= self._certifiable() and not passed_over

    def _notice_two_faces(self, sender: str, height: int, share: Share) -> None:
        """Two seals of one height under one key need no third to show a fault; once a node is enough."""
        known = self._shares.get(height, {}).get(sender)
        if known is None or known.seal == share.seal or sender in self._two_faced:
            return
        self._two_faced.add(sender)
        pair = [[known.seal, known.signature], [share.seal, share.signature]]
        self._around.two_faced(sender, height, encode([sender, pair]))

    def _is_unknown_yet(self, sender: str, height: int) -> bool:
        """Whether this node, which is behind, can't judge the sender: it asks again when it can."""
        return height > self.executed + 1 and self._around.certifying().key_of(sender, height) is None

    def _why_refused(self, sender: str, seal: Seal, message: SealShare) -> str | None:
        if seal.network_id != self._around.network_id:
            return "it is of another network"
        key = self._around.certifying().key_of(sender, seal.height)
        if key is None:
            return f"{sender} is no certifier of height {seal.height}"
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

    def _drop_strangers(self, height: int) -> None:
        """Forget what was kept of nodes that, as it is known now, don't certify this height."""
        certifiers = self._around.certifying().certifiers(height)
        for node in [node for node in self._shares.get(height, {}) if certifiers.key_of(node) is None]:
            del self._shares[height][node]

    def _seal_of(self, height: int) -> bytes | None:
        return self._own.get(height) or self._around.seal_at(height)

    def _compare(self, node: str, height: int, share: Share) -> None:
        mine = self._seal_of(height)
        if mine is None or share.seal == mine:
            return
        theirs, ours = decode_seal(share.seal), decode_seal(mine)
        word = "divergence" if theirs.header_hash == ours.header_hash else "fork"
        own = self._shares.get(height, {}).get(self._around.node_id)
        pair = [[share.seal, share.signature], [mine, own.signature if own is not None else b""]]
        raise Contradiction(word, height, node, encode([node, pair]))

    def _certify(self, height: int) -> None:
        """Form the certificate of `height` if a quorum has sealed what this node has."""
        mine = self._seal_of(height)
        if mine is None or not self._may_certify(height):
            return
        shares = self._shares.get(height, {})
        agreeing = [(node, share.signature) for node, share in shares.items() if share.seal == mine]
        if len(agreeing) >= self._around.certifying().certifiers(height).quorum():
            self._form(height, encode_certificate(make_certificate(mine, agreeing)))

    def _form(self, height: int, raw: bytes) -> None:
        """`raw` is the certificate of `height`; what had to wait for a hand-over may go on."""
        self.certified = height
        for done in [known for known in self._shares if known <= height]:
            del self._shares[done]
        for old in [known for known in self._own if known <= height - KEPT_BELOW]:
            del self._own[old]
        self._around.certified(height, raw)
        for later in sorted((known for known in self._shares if known <= self.executed), reverse=True):
            self._certify(later)
