"""The envelope: a transaction with its signatures, from bytes and to bytes (formats.md, section 4).

It must not know state or time: whether the author exists, may act, or acts in time is decided elsewhere.
Decoding checks form only; `verify_envelope` checks the signatures, which is most of the work.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from ledger.bodies import BODIES, Body
from ledger.codec import Malformed, Record, decode, encode
from ledger.fields import ACCOUNT_ID_BYTES, MEMBER_ID_MAX, Bin16, Bin32, Bin64, Bin65, Uint
from ledger.keys import tagged_hash, verify
from ledger.outcome import Outcome

ENVELOPE_VERSION: Final = 1
MAX_SIGNERS: Final = 64
"""The most that the parameter `signers` may allow."""

_MEMBER_ALPHABET: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-"

T = TypeVar("T")


class Payload(Record, frozen=True):
    """What is signed. `author` is an account id of 21 bytes or a member's id in ASCII; times are Unix ms."""

    version: Literal[1]
    network_id: Bin32
    tx_id: Bin16
    author: Annotated[bytes, Meta(min_length=1, max_length=ACCOUNT_ID_BYTES)]
    kind: Uint
    body: msgspec.Raw
    valid_from_ms: Uint
    valid_until_ms: Uint
    signers: Annotated[tuple[Bin65, ...], Meta(min_length=1, max_length=MAX_SIGNERS)]


class _Wire(Record, frozen=True):
    payload: bytes
    signatures: tuple[Bin64, ...]


_WIRE_START: Final = b"\x92"
"""An array of two, as MessagePack begins it."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A decoded envelope, together with the bytes it came from, which are what stands in blocks.

    `signing_hash` is the digest that every signer signed; `leaf_hash` is that of the whole with signatures.
    """

    raw: bytes
    payload: Payload
    body: Body
    signatures: tuple[bytes, ...]
    signing_hash: bytes
    leaf_hash: bytes

    @property
    def author_account(self) -> bytes | None:
        """The author's account id, or None when a member is the author."""
        author = self.payload.author
        return author if len(author) == ACCOUNT_ID_BYTES else None

    @property
    def author_member(self) -> str | None:
        """The author's member id, or None when an account is the author."""
        author = self.payload.author
        return None if len(author) == ACCOUNT_ID_BYTES else author.decode("ascii")


@dataclass(frozen=True, slots=True)
class EnvelopeLimits:
    """The parameters that bound an envelope: its size in bytes, and how many signers it may have."""

    envelope_bytes: int
    signers: int


def decode_envelope(
    raw: bytes,
    limits: EnvelopeLimits,
    kinds: Mapping[int, type[Body]] = BODIES,
    leaf_hash: bytes | None = None,
) -> Envelope:
    """The envelope that `raw` is, its form checked and its signatures not yet verified.

    `kinds` are the body types by number; `leaf_hash` is that of `raw`, where the caller has it.
    Raises Malformed, whose `outcome` says of which sort.
    """
    if len(raw) > limits.envelope_bytes:
        raise Malformed(
            f"envelope of {len(raw)} bytes: at most {limits.envelope_bytes} are taken", Outcome.TOO_LARGE
        )
    if raw[:1] != _WIRE_START:
        raise Malformed("no envelope: it isn't an array of payload and signatures", Outcome.NOT_CANONICAL)
    wire = decode(raw, _Wire)
    payload = decode(wire.payload, Payload)
    _check_payload(payload)
    if len(payload.signers) > limits.signers:
        raise Malformed(
            f"{len(payload.signers)} signers: at most {limits.signers} are taken", Outcome.TOO_MANY_SIGNERS
        )
    if len(wire.signatures) != len(payload.signers):
        raise Malformed(
            f"{len(wire.signatures)} signatures for {len(payload.signers)} signers: one each is needed"
        )
    return Envelope(
        raw,
        payload,
        _decode_body(payload, kinds),
        wire.signatures,
        tagged_hash("envelope", wire.payload),
        hashlib.sha256(b"\x00" + raw).digest() if leaf_hash is None else leaf_hash,
    )


def encode_envelope(payload: bytes, signatures: Iterable[bytes]) -> bytes:
    """The envelope's bytes: the signed payload and one 64-byte signature a signer, in the signers' order."""
    return encode(_Wire(payload, tuple(signatures)))


def build_payload(
    *,
    network_id: bytes,
    tx_id: bytes,
    author: bytes,
    kind: int,
    body: Body,
    valid_from_ms: int,
    valid_until_ms: int,
    signers: Sequence[bytes],
) -> bytes:
    """The bytes to sign, checked as a node will check them; signers are put in order. Raises Malformed."""
    if not isinstance(body, BODIES.get(kind, ())):
        raise Malformed(f"kind {kind} does not go with a body of {type(body).__name__}", Outcome.UNKNOWN_KIND)
    payload = Payload(
        ENVELOPE_VERSION,
        network_id,
        tx_id,
        author,
        int(kind),
        msgspec.Raw(encode(body)),
        valid_from_ms,
        valid_until_ms,
        tuple(sorted(signers)),
    )
    raw = encode(payload)
    decode_payload(raw)
    return raw


def decode_payload(raw: bytes) -> tuple[Payload, Body]:
    """The payload and the body in `raw`, before it is signed; raises Malformed."""
    payload = decode(raw, Payload)
    _check_payload(payload)
    return payload, _decode_body(payload, BODIES)


def signing_hash(payload: bytes) -> bytes:
    """The digest that every signer of these payload bytes signs."""
    return tagged_hash("envelope", payload)


def signature_checks(envelope: Envelope) -> tuple[tuple[bytes, bytes, bytes], ...]:
    """What must verify for the envelope to stand in a block: (key, digest, signature), one a signer."""
    digest = envelope.signing_hash
    return tuple(
        (key, digest, signature)
        for key, signature in zip(envelope.payload.signers, envelope.signatures, strict=True)
    )


def verify_envelope(envelope: Envelope) -> None:
    """Verify every signature; raises BadSignature at the first that is not good."""
    digest = envelope.signing_hash
    for key, signature in zip(envelope.payload.signers, envelope.signatures, strict=True):
        verify(key, digest, signature)


def check_author(author: bytes) -> None:
    """Check that `author` is an account id, or a member's id in ASCII; raises Malformed."""
    if len(author) == ACCOUNT_ID_BYTES:
        if author[0] != 0:
            raise Malformed(f"author {author.hex()}: an account id starts with 00")
    elif not 1 <= len(author) <= MEMBER_ID_MAX or author.strip(_MEMBER_ALPHABET):
        raise Malformed(f"author {author.hex()}: neither an account id of 21 bytes nor a member's id")


def _check_payload(payload: Payload) -> None:
    check_author(payload.author)
    if payload.valid_from_ms >= payload.valid_until_ms:
        raise Malformed(
            f"valid_from_ms {payload.valid_from_ms} must be before valid_until_ms {payload.valid_until_ms}"
        )
    signers = payload.signers
    if len(signers) > 1 and any(a >= b for a, b in pairwise(signers)):
        raise Malformed("the signers must be strictly ascending, each named once")


def _decode_body(payload: Payload, kinds: Mapping[int, type[Body]]) -> Body:
    type_ = kinds.get(payload.kind)
    if type_ is None:
        known = ", ".join(str(int(number)) for number in kinds)
        raise Malformed(f"kind {payload.kind} is not known, only these are: {known}", Outcome.UNKNOWN_KIND)
    return decode(bytes(payload.body), type_)
