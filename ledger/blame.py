"""Blame: two signed messages that no honest node signs both, checked offline by anybody.

It must not know who collected the messages or why. What is no evidence raises NotEvidence: headers of
different terms, one message signed twice, anything not signed by the registered key. Silence and truncated
blocks are not evidence either, for they are not messages.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.block import Header, block_hash
from ledger.certificate import Seal, decode_seal, seal_hash
from ledger.codec import Malformed, decode
from ledger.keys import BadSignature, verify


class NotEvidence(Exception):
    """The two messages show no fault of the key's holder; the text says why."""


class Fault(StrEnum):
    """What two contradicting messages show.

    Equivocation is deliberate or a broken program: within one process start an honest node leads a term once.
    Amnesia is a disk rolled back or cloned, or a lie. A divergence is two results of one block, a fork two
    blocks of one height.
    """

    EQUIVOCATION = "equivocation"
    AMNESIA = "amnesia"
    DIVERGENCE = "divergence"
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A header's or a seal's bytes, and the signature over its hash."""

    raw: bytes
    signature: bytes


def contradicting_headers(first: SignedMessage, second: SignedMessage, key: bytes) -> Fault:
    """What two headers of one proposer, term and height show; `key` is the one registered for it there.

    Raises NotEvidence.
    """
    headers = _decoded_header(first), _decoded_header(second)
    for name in ("network_id", "epoch", "proposer", "term", "height"):
        _same(name, getattr(headers[0], name), getattr(headers[1], name))
    if first.raw == second.raw:
        raise NotEvidence("both headers are the same; two signatures over one header are no fault")
    _verify(key, block_hash(first.raw), first.signature)
    _verify(key, block_hash(second.raw), second.signature)
    return Fault.EQUIVOCATION if headers[0].boot == headers[1].boot else Fault.AMNESIA


def contradicting_seals(first: SignedMessage, second: SignedMessage, key: bytes) -> Fault:
    """What two seals of one key and height show; `key` is the one registered for the node there.

    Raises NotEvidence.
    """
    seals = _decoded_seal(first), _decoded_seal(second)
    for name in ("network_id", "epoch", "height"):
        _same(name, getattr(seals[0], name), getattr(seals[1], name))
    if first.raw == second.raw:
        raise NotEvidence("both seals are the same; two signatures over one seal are no fault")
    _verify(key, seal_hash(first.raw), first.signature)
    _verify(key, seal_hash(second.raw), second.signature)
    return Fault.DIVERGENCE if seals[0].header_hash == seals[1].header_hash else Fault.FORK


def _decoded_header(message: SignedMessage) -> Header:
    try:
        return decode(message.raw, Header)
    except Malformed as error:
        raise NotEvidence(f"not a header: {error.reason}") from error


def _decoded_seal(message: SignedMessage) -> Seal:
    try:
        return decode_seal(message.raw)
    except Malformed as error:
        raise NotEvidence(f"not a seal: {error.reason}") from error


def _same(name: str, first: object, second: object) -> None:
    if first != second:
        raise NotEvidence(f"the messages differ in {name}, so they don't contradict each other")


def _verify(key: bytes, digest: bytes, signature: bytes) -> None:
    try:
        verify(key, digest, signature)
    except BadSignature as error:
        raise NotEvidence(f"not signed by the accused key: {error}") from error
