"""Messages between nodes survive their encoding, and anything else is malformed."""

import pytest

from consensus.errors import MalformedMessage
from node.messages import (
    MAX_CERTIFICATE_BYTES,
    MAX_FORWARDED_ENVELOPES,
    MAX_SEAL_BYTES,
    AskTransfer,
    Forward,
    HeldCertificate,
    Hello,
    NeedSeals,
    NodeMessage,
    RaftFrame,
    Refused,
    SealShare,
    decode_node_message,
    encode_node_message,
)

MESSAGES: list[NodeMessage] = [
    Hello(bytes(32), "n1", bytes(16), 3, 4),
    RaftFrame(b"frame"),
    Forward(3, bytes(16), 1, (b"one", b"two")),
    Refused(bytes(16), 1, ((bytes(32), 406),)),
    SealShare(b"seal", bytes(64)),
    NeedSeals(1, 9),
    HeldCertificate(bytes(MAX_CERTIFICATE_BYTES)),
    AskTransfer(3, "why"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_survives_its_encoding(message: NodeMessage) -> None:
    """The same value comes back."""
    assert decode_node_message(encode_node_message(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Hello(bytes(31), "n1", bytes(16), 3, 4),
        Hello(bytes(32), "", bytes(16), 3, 4),
        Hello(bytes(32), "n1", bytes(15), 3, 4),
        Hello(bytes(32), "n1", bytes(16), -1, 4),
        SealShare(b"seal", bytes(63)),
        SealShare(bytes(MAX_SEAL_BYTES + 1), bytes(64)),
        Forward(3, bytes(16), 1, (b"",) * (MAX_FORWARDED_ENVELOPES + 1)),
        Forward(3, bytes(15), 1, ()),
        Refused(bytes(17), 1, ()),
        Refused(bytes(16), 1, ((bytes(31), 406),)),
        HeldCertificate(bytes(MAX_CERTIFICATE_BYTES + 1)),
        AskTransfer(3, "y" * 201),
    ],
)
def test_a_field_out_of_its_bounds_is_malformed(message: NodeMessage) -> None:
    """Lengths and ranges are part of the type."""
    with pytest.raises(MalformedMessage, match="no message between nodes"):
        decode_node_message(encode_node_message(message))


@pytest.mark.parametrize(
    "data", [b"", b"\x90", b"\x91\x63", b"\xc1", encode_node_message(MESSAGES[-1]) + b"\x00"]
)
def test_other_bytes_are_malformed(data: bytes) -> None:
    """Nothing, no tag, an unknown tag, no MessagePack, trailing bytes."""
    with pytest.raises(MalformedMessage):
        decode_node_message(data)


def test_the_largest_forward_is_taken() -> None:
    """Exactly as many envelopes as are allowed."""
    message = Forward(3, bytes(16), 1, (b"",) * MAX_FORWARDED_ENVELOPES)
    assert decode_node_message(encode_node_message(message)) == message
