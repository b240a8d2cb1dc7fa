"""What nodes say to each other, besides TLS and framing: frozen values and their MessagePack form.

It must not know how messages travel, or what a node does on receiving one. The sender's identity is the
link's (its certificate), never a field in here.
"""

from typing import Annotated

import msgspec

from consensus.errors import MalformedMessage

MAX_INTEGER = 2**63 - 1
MAX_FORWARDED_ENVELOPES = 1_000
MAX_SEAL_BYTES = 1_024
MAX_CERTIFICATE_BYTES = 64 * 1024

Height = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class Hello(msgspec.Struct, frozen=True, tag=1, array_like=True, forbid_unknown_fields=True):
    """The first message on every link.

    `your_term` and `your_seal_height` say what the sender remembers of the receiver: the highest term it led,
    and the highest block it sealed (0 for none). A receiver that remembers less of itself has lost its disk's
    latest state and must stop. `first_height` is that of the first block that the sender holds whole.
    """

    network_id: Hash
    node_id: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    boot: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    your_term: Height
    your_seal_height: Height
    first_height: Height = 1


class RaftFrame(msgspec.Struct, frozen=True, tag=2, array_like=True, forbid_unknown_fields=True):
    """One message of the consensus core, encoded by it."""

    data: bytes


class Forward(msgspec.Struct, frozen=True, tag=3, array_like=True, forbid_unknown_fields=True):
    """Envelopes that a follower holds, for the leader of `term` to put into blocks of that very term.

    `boot` is the sender's process; it numbers its messages from 1, and one that comes late is dropped.
    """

    term: Height
    boot: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    number: Height
    envelopes: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_FORWARDED_ENVELOPES)]


class Refused(msgspec.Struct, frozen=True, tag=4, array_like=True, forbid_unknown_fields=True):
    """The leader leaves these envelopes out, which came with the Forward of this `boot` and `number`: pairs
    of signing hash and outcome number.
    """

    boot: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    number: Height
    refusals: Annotated[tuple[tuple[Hash, Height], ...], msgspec.Meta(max_length=MAX_FORWARDED_ENVELOPES)]


class SealShare(msgspec.Struct, frozen=True, tag=5, array_like=True, forbid_unknown_fields=True):
    """What the sender's execution of one block came to, signed."""

    seal: Annotated[bytes, msgspec.Meta(max_length=MAX_SEAL_BYTES)]
    signature: Signature


class NeedSeals(msgspec.Struct, frozen=True, tag=6, array_like=True, forbid_unknown_fields=True):
    """The sender has no certificate from `first` on and has executed up to `last`: seals in there would help
    it.
    """

    first: Height
    last: Height


class HeldCertificate(msgspec.Struct, frozen=True, tag=8, array_like=True, forbid_unknown_fields=True):
    """A certificate that the sender holds, for whoever lacks it; it proves itself."""

    certificate: Annotated[bytes, msgspec.Meta(max_length=MAX_CERTIFICATE_BYTES)]


class AskTransfer(msgspec.Struct, frozen=True, tag=7, array_like=True, forbid_unknown_fields=True):
    """A follower asks the leader of `term` to hand over, because of `reason` (a word for the log)."""

    term: Height
    reason: Annotated[str, msgspec.Meta(max_length=200)]


NodeMessage = Hello | RaftFrame | Forward | Refused | SealShare | NeedSeals | HeldCertificate | AskTransfer

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[NodeMessage] = msgspec.msgpack.Decoder(NodeMessage)


def encode_node_message(message: NodeMessage) -> bytes:
    """The message as one MessagePack array, its tag first."""
    return _encoder.encode(message)


def decode_node_message(data: bytes) -> NodeMessage:
    """The message in `data`; raises MalformedMessage for anything else: drop the link that it came over."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"{len(data)} bytes are no message between nodes: {error}") from error
