"""What Raft nodes say to each other and hand to their callers: frozen values and their MessagePack form.

It must not know what entries mean, how messages travel, or what a node does on receiving one. Names follow
the Raft paper (figures 2 and 13) and Ongaro's thesis (6.4 for reads, 3.10 for transfer, 9.6 for pre-vote).
"""

from enum import IntEnum
from typing import Annotated

import msgspec

from consensus.errors import MalformedMessage

NodeId = str

MAX_NODE_ID_LENGTH = 128
MAX_CONTEXT_BYTES = 64
MAX_INTEGER = 2**63 - 1

Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Term = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NODE_ID_LENGTH)]
Context = Annotated[bytes, msgspec.Meta(max_length=MAX_CONTEXT_BYTES)]


class EntryType(IntEnum):
    """What kind of entry the caller has proposed; the core looks at nothing else of an entry."""

    NORMAL = 0
    OPENING = 1
    MEMBERSHIP = 2


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One place in the log. `index` counts from 1; `term` is that of the leader that made it; `data` is
    opaque.
    """

    index: Index
    term: Term
    type: EntryType
    data: bytes


class HardState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What must be on disk before a node votes or acknowledges: its term and its vote in that term (None:
    no vote).
    """

    term: Term = 0
    vote: Name | None = None


class Membership(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who takes part. While `outgoing` isn't empty the membership is joint: both sets must agree (thesis
    4.3).

    Learners receive the log, but neither vote nor count.
    """

    voters: tuple[Name, ...]
    outgoing: tuple[Name, ...] = ()
    learners: tuple[Name, ...] = ()

    def is_voter(self, node: NodeId) -> bool:
        """Whether `node` votes, in either set of a joint membership."""
        return node in self.voters or node in self.outgoing

    def all_nodes(self) -> tuple[NodeId, ...]:
        """Every node once, in a fixed order."""
        return tuple(sorted({*self.voters, *self.outgoing, *self.learners}))


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a snapshot stands: the last entry it covers, and the membership in force there."""

    index: Index
    term: Term
    membership: Membership


class RequestVote(msgspec.Struct, frozen=True, tag=1, array_like=True, forbid_unknown_fields=True):
    """A candidate asks for a vote. With `pre_vote`, `term` is the one it would campaign in, and nobody
    adopts it.

    `transfer` says the leader asked for this election, so voters needn't wait for the leader's silence.
    """

    sender: Name
    to: Name
    term: Term
    last_log_index: Index
    last_log_term: Term
    pre_vote: bool
    transfer: bool


class RequestVoteReply(msgspec.Struct, frozen=True, tag=2, array_like=True, forbid_unknown_fields=True):
    """A vote or its refusal. A granted pre-vote repeats the asked term; a refusal carries the voter's own."""

    sender: Name
    to: Name
    term: Term
    granted: bool
    pre_vote: bool


class AppendEntries(msgspec.Struct, frozen=True, tag=3, array_like=True, forbid_unknown_fields=True):
    """The leader's entries after (`prev_log_index`, `prev_log_term`), and how far it has committed."""

    sender: Name
    to: Name
    term: Term
    prev_log_index: Index
    prev_log_term: Term
    entries: tuple[Entry, ...]
    commit: Index


class AppendEntriesReply(msgspec.Struct, frozen=True, tag=4, array_like=True, forbid_unknown_fields=True):
    """Success: the follower's disk holds the leader's log up to `index`. Refusal: the append after `index`
    didn't fit, and (`hint_index`, `hint_term`) is the place from which the follower suggests to search
    (never a match).
    """

    sender: Name
    to: Name
    term: Term
    success: bool
    index: Index
    hint_index: Index
    hint_term: Term


class Heartbeat(msgspec.Struct, frozen=True, tag=5, array_like=True, forbid_unknown_fields=True):
    """The leader is alive. `commit` never exceeds what this follower has acknowledged; `read_round` is
    echoed.
    """

    sender: Name
    to: Name
    term: Term
    commit: Index
    read_round: Index


class HeartbeatReply(msgspec.Struct, frozen=True, tag=6, array_like=True, forbid_unknown_fields=True):
    """The follower took the sender of the heartbeat of `read_round` for its leader when it received that."""

    sender: Name
    to: Name
    term: Term
    read_round: Index


class InstallSnapshot(msgspec.Struct, frozen=True, tag=7, array_like=True, forbid_unknown_fields=True):
    """The follower needs entries that the leader has compacted away: it must install a snapshot at least
    this new.

    The snapshot itself travels outside the core; the receiving caller steps this message once it holds it.
    """

    sender: Name
    to: Name
    term: Term
    meta: SnapshotMeta


class TimeoutNow(msgspec.Struct, frozen=True, tag=8, array_like=True, forbid_unknown_fields=True):
    """The leader asks a fully caught-up follower to campaign at once (thesis 3.10)."""

    sender: Name
    to: Name
    term: Term


class ReadIndexRequest(msgspec.Struct, frozen=True, tag=9, array_like=True, forbid_unknown_fields=True):
    """A follower asks the leader for a read index (thesis 6.4); `context` comes back untouched."""

    sender: Name
    to: Name
    term: Term
    context: Context


class ReadIndexReply(msgspec.Struct, frozen=True, tag=10, array_like=True, forbid_unknown_fields=True):
    """The leader's answer: the read is linearizable once the follower has applied `index`."""

    sender: Name
    to: Name
    term: Term
    index: Index
    context: Context


Message = (
    RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | Heartbeat
    | HeartbeatReply
    | InstallSnapshot
    | TimeoutNow
    | ReadIndexRequest
    | ReadIndexReply
)


class ReadState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The read with this `context` may be served from any state that has applied `index` or more."""

    index: Index
    context: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """The message as one MessagePack array, its tag first."""
    return _encoder.encode(message)


def decode_message(data: bytes) -> Message:
    """The message in `data`; raises MalformedMessage for anything that isn't exactly one well-formed
    message.
    """
    try:
        message = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"{len(data)} bytes are no consensus message: {error}; drop them") from error
    if isinstance(message, AppendEntries):
        _check_entries(message)
    return message


def _check_entries(message: AppendEntries) -> None:
    """Entries must follow each other and the previous one, with terms that never fall nor exceed the
    leader's.
    """
    index, term = message.prev_log_index, message.prev_log_term
    for entry in message.entries:
        index += 1
        if entry.index != index or not term <= entry.term <= message.term:
            raise MalformedMessage(
                f"append from {message.sender}: entry {entry.index} of term {entry.term} can't follow "
                f"entry {index - 1} of term {term} in a message of term {message.term}; drop it"
            )
        term = entry.term
