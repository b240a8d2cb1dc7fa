"""Blocks: making them, reading them, and whether one is valid after its parent (formats.md, section 6).

Validity is a pure function of the block, its parent and the scheduled values. It must not know state, clocks
or Raft, and says nothing about what the transactions do.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ledger.bodies import Body
from ledger.codec import Malformed, Record, decode, encode, present
from ledger.envelope import Envelope, EnvelopeLimits, decode_envelope
from ledger.fields import Bin16, Bin32, Bin64, NodeId, Uint
from ledger.genesis import FIRST_EPOCH, FIRST_MEMBERSHIP_VERSION, decode_genesis
from ledger.genesis import network_id as network_id_of
from ledger.keys import BadSignature, tagged_hash, verify
from ledger.membership import Change, Decision, Membership, OptionalChange, next_change
from ledger.merkle import root
from ledger.parameters import Parameters

BLOCK_FORMAT: Final = 1


class InvalidBlock(Exception):
    """A block that must not stand on the chain; `reason` says which rule it breaks and where."""

    def __init__(self, reason: str) -> None:
        """Keep the reason as the exception's text too."""
        super().__init__(reason)
        self.reason = reason


class Header(Record, frozen=True):
    """What the proposer signs.

    `membership_version` is that before the block; `change` is empty, or the membership after it.
    """

    format: Literal[1]
    network_id: Bin32
    epoch: Uint
    height: Uint
    term: Uint
    parent_hash: Bin32
    time_ms: Uint
    proposer: NodeId
    boot: Bin16
    rules: Uint
    membership_version: Uint
    change: OptionalChange
    tx_root: Bin32
    tx_count: Uint
    body_bytes: Uint


class _Wire(Record, frozen=True):
    header: bytes
    signature: Bin64
    body: tuple[bytes, ...]


class Block(msgspec.Struct, frozen=True, gc=False):
    """A decoded block with its bytes; `leaf_hashes` are those of the envelopes in `body`, in order."""

    raw: bytes
    header: Header
    header_raw: bytes
    hash: bytes
    signature: bytes
    body: tuple[bytes, ...]
    leaf_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Parent:
    """What a block must follow, and the membership after it, whose version counts the changes.

    After genesis: the network id, height 0, term 0, genesis's time, and all its nodes as voters.
    """

    hash: bytes
    height: int
    term: int
    time_ms: int
    epoch: int
    membership: Membership
    membership_version: int


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The values in force for one block, looked up at its basis height.

    `membership_decision` is the newest in force at the block's own height, with its version; `node_keys` are
    those of all nodes registered so far. `activation_waits`: some value known so far takes effect above the
    block's height, so a leader fills up with empty blocks. It is no part of validity: nodes that have
    executed less may not know of it yet.
    """

    network_id: bytes
    parameters: Parameters
    rules: int
    membership_decision: tuple[int, Decision]
    node_keys: Mapping[str, bytes]
    activation_waits: bool = False


def block_hash(header_raw: bytes) -> bytes:
    """The hash of a header's bytes: what the proposer signs and the next block names as its parent."""
    return tagged_hash("header", header_raw)


def parent_of(block: Block, before: Parent) -> Parent:
    """The block as the parent of the next one; `before` is what it follows itself."""
    header = block.header
    membership = header.change[0].membership if header.change else before.membership
    version = before.membership_version + len(header.change)
    return Parent(block.hash, header.height, header.term, header.time_ms, header.epoch, membership, version)


def genesis_parent(genesis_raw: bytes) -> Parent:
    """Genesis as the parent of height 1; raises Malformed."""
    genesis = decode_genesis(genesis_raw)
    voters = tuple(node.id for node in genesis.nodes)
    return Parent(
        network_id_of(genesis_raw),
        0,
        0,
        genesis.time_ms,
        FIRST_EPOCH,
        Membership(voters),
        FIRST_MEMBERSHIP_VERSION,
    )


def is_opening(block: Block, parent: Parent) -> bool:
    """Whether the block opens a term: it takes the scheduled values that its parent took."""
    return block.header.term > parent.term


def is_due(block: Block, parent: Parent, scheduled: Scheduled) -> bool:
    """Whether the block changes the membership by the one next step, or not at all; no other is executed."""
    due = next_change(parent.membership, scheduled.membership_decision)
    return block.header.change in ((), present(due))


def decode_block(raw: bytes) -> Block:
    """The block in `raw`, only its form checked; raises Malformed."""
    wire = decode(raw, _Wire)
    header = decode(wire.header, Header)
    return _block(raw, header, wire.header, wire.signature, wire.body)


def encode_block(header_raw: bytes, signature: bytes, body: Sequence[bytes]) -> bytes:
    """The block's bytes."""
    return encode(_Wire(header_raw, signature, tuple(body)))


def make_block(
    *,
    parent: Parent,
    scheduled: Scheduled,
    term: int,
    time_ms: int,
    proposer: str,
    boot: bytes,
    body: Sequence[bytes],
    sign: Callable[[bytes], bytes],
    change: Change | None = None,
    leaf_hashes: tuple[bytes, ...] | None = None,
) -> Block:
    """The block of the envelopes `body` after `parent`; `sign` gives the proposer's signature over a digest.

    `time_ms` is the proposer's clock; the block's time is never before its parent's. `change` is what
    `next_change` gives, where the block is to take that step; `leaf_hashes` are those of `body`, where the
    caller has them.
    """
    leaf_hashes = _leaf_hashes(body) if leaf_hashes is None else leaf_hashes
    header = Header(
        format=BLOCK_FORMAT,
        network_id=scheduled.network_id,
        epoch=parent.epoch,
        height=parent.height + 1,
        term=term,
        parent_hash=parent.hash,
        time_ms=max(time_ms, parent.time_ms),
        proposer=proposer,
        boot=boot,
        rules=scheduled.rules,
        membership_version=parent.membership_version,
        change=present(change),
        tx_root=root(leaf_hashes),
        tx_count=len(body),
        body_bytes=sum(map(len, body)),
    )
    header_raw = encode(header)
    hash_ = block_hash(header_raw)
    signature = sign(hash_)
    raw = encode_block(header_raw, signature, body)
    return Block(raw, header, header_raw, hash_, signature, tuple(body), leaf_hashes)


def check_header(block: Block, parent: Parent, scheduled: Scheduled) -> None:
    """Check rules 1 to 4 of validity, the proposer's signature included; raises InvalidBlock."""
    check_apart_from_change(block, parent, scheduled)
    _check_change(block, parent, scheduled)


def check_apart_from_change(block: Block, parent: Parent, scheduled: Scheduled) -> None:
    """The same without judging a change of the membership; raises InvalidBlock."""
    _check_link(block.header, parent, scheduled)
    _check_opening(block, parent)
    _expect(block.header, "rules", block.header.rules, scheduled.rules)
    _expect(block.header, "membership_version", block.header.membership_version, parent.membership_version)
    _check_body(block, scheduled.parameters)
    _check_proposer(block, parent.membership, scheduled.node_keys)


def decode_body(
    block: Block,
    scheduled: Scheduled,
    kinds: Mapping[int, type[Body]],
    cache: Mapping[bytes, Envelope] | None = None,
) -> tuple[Envelope, ...]:
    """The block's envelopes, by rule 5 less the signatures; raises InvalidBlock naming the index.

    `kinds` are the bodies of the block's version of the rules; `cache` holds envelopes decoded before, by
    leaf hash.
    """
    limits = EnvelopeLimits(scheduled.parameters.envelope_bytes, scheduled.parameters.signers)
    known = {} if cache is None else cache
    network_id, time_ms = scheduled.network_id, block.header.time_ms
    envelopes = []
    for index, leaf in enumerate(block.leaf_hashes):
        envelope = known.get(leaf) or _decode_at(block, index, limits, kinds)
        payload = envelope.payload
        if payload.network_id != network_id:
            raise InvalidBlock(f"{_place(block, index)}: signed for network {payload.network_id.hex()}")
        if not payload.valid_from_ms <= time_ms < payload.valid_until_ms:
            raise InvalidBlock(f"{_place(block, index)}: not valid at the block's time {time_ms}")
        if len(payload.signers) > limits.signers or len(envelope.raw) > limits.envelope_bytes:
            raise InvalidBlock(
                f"{_place(block, index)}: larger, or of more signers, than the parameters allow"
            )
        if type(envelope.body) is not kinds.get(payload.kind):
            raise InvalidBlock(f"{_place(block, index)}: kind {payload.kind} is not of the rules in force")
        envelopes.append(envelope)
    return tuple(envelopes)


def _decode_at(block: Block, index: int, limits: EnvelopeLimits, kinds: Mapping[int, type[Body]]) -> Envelope:
    try:
        return decode_envelope(block.body[index], limits, kinds, block.leaf_hashes[index])
    except Malformed as error:
        raise InvalidBlock(f"{_place(block, index)}: {error.reason}") from error


def _place(block: Block, index: int) -> str:
    return f"block {block.header.height}, transaction {index}"


def _check_link(header: Header, parent: Parent, scheduled: Scheduled) -> None:
    _expect(header, "network_id", header.network_id, scheduled.network_id)
    _expect(header, "epoch", header.epoch, parent.epoch)
    _expect(header, "height", header.height, parent.height + 1)
    _expect(header, "parent_hash", header.parent_hash, parent.hash)
    if header.term < parent.term:
        raise InvalidBlock(f"block {header.height}: term {header.term} is below its parent's {parent.term}")
    if header.time_ms < parent.time_ms:
        raise InvalidBlock(
            f"block {header.height}: time {header.time_ms} is before its parent's {parent.time_ms}"
        )


def _check_opening(block: Block, parent: Parent) -> None:
    if is_opening(block, parent) and block.body:
        header = block.header
        raise InvalidBlock(f"block {header.height} opens term {header.term}: it must be empty")


def _check_change(block: Block, parent: Parent, scheduled: Scheduled) -> None:
    """A change is the one next step towards what was decided; when is its leader's choice."""
    header = block.header
    if not header.change:
        return
    if is_opening(block, parent):
        raise InvalidBlock(
            f"block {header.height} opens term {header.term}: it must not change the membership"
        )
    if not is_due(block, parent, scheduled):
        raise InvalidBlock(
            f"block {header.height}: its change of the membership is not the next step of decision "
            f"{scheduled.membership_decision[0]}"
        )


def _check_body(block: Block, parameters: Parameters) -> None:
    header = block.header
    _expect(header, "tx_count", header.tx_count, len(block.body))
    _expect(header, "body_bytes", header.body_bytes, sum(map(len, block.body)))
    if header.body_bytes > parameters.block_bytes:
        raise InvalidBlock(
            f"block {header.height}: {header.body_bytes} bytes of envelopes, at most {parameters.block_bytes}"
        )
    if header.tx_count > parameters.block_envelopes:
        raise InvalidBlock(
            f"block {header.height}: {header.tx_count} envelopes, at most {parameters.block_envelopes}"
        )
    _expect(header, "tx_root", header.tx_root, root(block.leaf_hashes))


def _check_proposer(block: Block, membership: Membership, node_keys: Mapping[str, bytes]) -> None:
    header = block.header
    key = node_keys.get(header.proposer) if membership.votes(header.proposer) else None
    if key is None:
        raise InvalidBlock(
            f"block {header.height}: its proposer {header.proposer} does not vote at this height"
        )
    try:
        verify(key, block.hash, block.signature)
    except BadSignature as error:
        raise InvalidBlock(f"block {header.height}: signature of {header.proposer}: {error}") from error


def _expect(header: Header, name: str, found: object, expected: object) -> None:
    if found != expected:
        shown = [value.hex() if isinstance(value, bytes) else value for value in (found, expected)]
        raise InvalidBlock(f"block {header.height}: {name} is {shown[0]}, it must be {shown[1]}")


def _leaf_hashes(body: Sequence[bytes]) -> tuple[bytes, ...]:
    sha256 = hashlib.sha256
    return tuple([sha256(b"\x00" + envelope).digest() for envelope in body])


def _block(raw: bytes, header: Header, header_raw: bytes, signature: bytes, body: tuple[bytes, ...]) -> Block:
    return Block(raw, header, header_raw, block_hash(header_raw), signature, body, _leaf_hashes(body))
