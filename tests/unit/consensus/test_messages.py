"""The messages' bytes: every message comes back as it was; anything else is refused. Must not need a core."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.errors import MalformedMessage
from consensus.messages import (
    MAX_CONTEXT_BYTES,
    MAX_INTEGER,
    MAX_NODE_ID_LENGTH,
    AppendEntries,
    AppendEntriesReply,
    Entry,
    EntryType,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    Message,
    ReadIndexReply,
    ReadIndexRequest,
    RequestVote,
    RequestVoteReply,
    SnapshotMeta,
    TimeoutNow,
    decode_message,
    encode_message,
)

EXAMPLES: list[Message] = [
    RequestVote("a", "b", 3, 7, 2, True, False),
    RequestVoteReply("a", "b", 3, True, False),
    AppendEntries(
        "a", "b", 3, 7, 2, (Entry(8, 3, EntryType.OPENING, b"x"), Entry(9, 3, EntryType.NORMAL, b"")), 6
    ),
    AppendEntriesReply("a", "b", 3, False, 7, 5, 1),
    Heartbeat("a", "b", 3, 6, 12),
    HeartbeatReply("a", "b", 3, 12),
    InstallSnapshot("a", "b", 3, SnapshotMeta(7, 2, Membership(("a", "b"), ("a",), ("c",)))),
    TimeoutNow("a", "b", 3),
    ReadIndexRequest("a", "b", 3, b"context"),
    ReadIndexReply("a", "b", 3, 6, b"context"),
]


def decoded(data: bytes) -> Message | None:
    """The message, or None for what is none."""
    try:
        return decode_message(data)
    except MalformedMessage:
        return None


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_round_trip(message: Message) -> None:
    """Decoding gives the same message, of the same type."""
    decoded = decode_message(encode_message(message))
    assert decoded == message
    assert type(decoded) is type(message)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_every_truncation_is_refused(message: Message) -> None:
    """No prefix of a message is a message, nor is a message with a byte too many."""
    data = encode_message(message)
    for wrong in [*(data[:length] for length in range(len(data))), data + b"\xc0"]:
        with pytest.raises(MalformedMessage):
            decode_message(wrong)


@given(st.binary(max_size=64))
def test_noise_is_refused_or_a_message(noise: bytes) -> None:
    """Whatever arrives, nothing but MalformedMessage is raised, and what is taken can be sent on."""
    message = decoded(noise)
    assert message is None or decode_message(encode_message(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_changed_byte_is_refused_or_another_message_that_can_be_sent_on(message: Message) -> None:
    """Any byte, to any other: some of it is a message still, and never the same one."""
    data = encode_message(message)
    changes = [
        data[:place] + bytes([byte]) + data[place + 1 :]
        for place in range(len(data))
        for byte in range(256)
        if byte != data[place]
    ]
    taken = [found for changed in changes if (found := decoded(changed)) is not None]
    assert 0 < len(taken) < len(changes)
    for found in taken:
        assert found != message
        assert decode_message(encode_message(found)) == found


@pytest.mark.parametrize(
    "fields",
    [
        [5, "a", "b", -1, 0, 0],
        [5, "a", "b", MAX_INTEGER + 1, 0, 0],
        [5, "", "b", 1, 0, 0],
        [5, "a" * (MAX_NODE_ID_LENGTH + 1), "b", 1, 0, 0],
        [5, "a", "b", 1, 0, 0, 0],
        [5, "a", "b", 1, 0],
        [99, "a", "b", 1],
        [9, "a", "b", 1, b"x" * (MAX_CONTEXT_BYTES + 1)],
        [3, "a", "b", 1, 0, 0, [[1, 1, 9, b"x"]], 0],
    ],
)
def test_fields_out_of_bounds_are_refused(fields: list[object]) -> None:
    """Negative or huge numbers, bad names, missing or extra fields, unknown tags and types."""
    with pytest.raises(MalformedMessage):
        decode_message(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    "fields",
    [
        [5, "a", "b", MAX_INTEGER, 0, 0],
        [5, "a" * MAX_NODE_ID_LENGTH, "b", 1, 0, 0],
        [9, "a", "b", 1, b"x" * MAX_CONTEXT_BYTES],
    ],
)
def test_fields_at_their_bounds_are_taken(fields: list[object]) -> None:
    """The largest number, name and context are messages."""
    assert decode_message(msgspec.msgpack.encode(fields)).sender.startswith("a")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([[9, 3, 0, b""]], "entry 9"),
        ([[8, 3, 0, b""], [8, 3, 0, b""]], "entry 8"),
        ([[8, 1, 0, b""]], "of term 1"),
        ([[8, 3, 0, b""], [9, 2, 0, b""]], "of term 2"),
        ([[8, 4, 0, b""]], "of term 4"),
    ],
)
def test_entries_must_follow_each_other(entries: list[object], reason: str) -> None:
    """A gap, a repetition, a falling term or a term after the leader's is malformed, and the error says
    where.
    """
    with pytest.raises(MalformedMessage, match=reason):
        decode_message(msgspec.msgpack.encode([3, "a", "b", 3, 7, 2, entries, 0]))


def test_messages_and_entries_cannot_be_changed() -> None:
    """What was emitted stays as it was: every field is frozen, and contents are tuples and bytes."""
    for message in EXAMPLES:
        with pytest.raises(AttributeError):
            message.term = 9  # type: ignore[misc]  # the test is that this fails
    entry = Entry(1, 1, EntryType.NORMAL, b"x")
    with pytest.raises(AttributeError):
        entry.data = b"y"  # type: ignore[misc]  # the test is that this fails
    assert hash(EXAMPLES[2]) == hash(EXAMPLES[2])
