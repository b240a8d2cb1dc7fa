"""Blocks: each rule of validity broken alone, and its boundary kept."""

from collections.abc import Callable
from dataclasses import replace as replace_value

import pytest
from msgspec.structs import replace

from ledger.block import (
    Block,
    Header,
    InvalidBlock,
    Parent,
    Scheduled,
    block_hash,
    check_header,
    decode_block,
    decode_body,
    encode_block,
    genesis_parent,
    is_opening,
    make_block,
    parent_of,
)
from ledger.bodies import BODIES
from ledger.codec import Malformed, encode
from ledger.envelope import decode_envelope
from ledger.keys import sign
from ledger.membership import Change, Decision, Membership
from ledger.parameters import DEFAULT_PARAMETERS
from tests.unit.ledger import sample

PARENT = replace_value(sample.first_parent(), term=1)
ENVELOPES = (sample.envelope(1), sample.envelope(2))
BLOCK = sample.block(ENVELOPES, parent=PARENT)
SCHEDULED = sample.scheduled()


def _resigned(header: Header, body: tuple[bytes, ...] = ENVELOPES, node: str = "node-alpha") -> Block:
    """The block with another header, signed by that node: wrong in nothing but what was changed."""
    raw = encode(header)
    signature = sign(sample.private_key(sample.NODE_KEYS[node]), block_hash(raw))
    return decode_block(encode_block(raw, signature, body))


def _invalid(block: Block, parent: Parent = PARENT, scheduled: Scheduled = SCHEDULED) -> str:
    with pytest.raises(InvalidBlock) as invalid:
        check_header(block, parent, scheduled)
    return invalid.value.reason


def test_good_block_round_trip() -> None:
    """A made block decodes to itself, is valid, and carries its envelopes."""
    assert decode_block(BLOCK.raw) == BLOCK
    check_header(BLOCK, PARENT, SCHEDULED)
    assert [envelope.raw for envelope in decode_body(BLOCK, SCHEDULED, BODIES)] == list(ENVELOPES)
    assert not is_opening(BLOCK, PARENT)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network_id": bytes(32)}, "network_id"),
        ({"epoch": 1}, "epoch is 1, it must be 0"),
        ({"height": 2}, "height is 2, it must be 1"),
        ({"height": 0}, "height is 0"),
        ({"parent_hash": bytes(32)}, "parent_hash"),
        ({"term": 0}, "term 0 is below its parent's 1"),
        ({"time_ms": sample.GENESIS_TIME_MS - 1}, "before its parent's"),
        ({"rules": 2}, "rules is 2"),
        ({"membership_version": 2}, "membership_version is 2"),
        ({"tx_count": 1}, "tx_count is 1, it must be 2"),
        ({"body_bytes": 1}, "body_bytes is 1"),
        ({"tx_root": bytes(32)}, "tx_root"),
        ({"proposer": "node-delta"}, "node-delta does not vote"),
        ({"proposer": "node-beta"}, "signature of node-beta"),
    ],
)
def test_one_wrong_field_makes_the_block_invalid(changes: dict[str, object], words: str) -> None:
    """Every header field that has a rule is checked."""
    assert words in _invalid(_resigned(replace(BLOCK.header, **changes)))


def test_time_may_stand_still() -> None:
    """The parent's time is the least."""
    check_header(_resigned(replace(BLOCK.header, time_ms=sample.GENESIS_TIME_MS)), PARENT, SCHEDULED)


def test_made_block_never_goes_back_in_time() -> None:
    """A proposer whose clock is behind takes its parent's time."""
    made = make_block(
        parent=PARENT,
        scheduled=SCHEDULED,
        term=1,
        time_ms=5,
        proposer="node-alpha",
        boot=sample.BOOT,
        body=ENVELOPES,
        sign=lambda digest: sign(sample.private_key(13), digest),
    )
    assert made.header.time_ms == PARENT.time_ms
    check_header(made, PARENT, SCHEDULED)


def test_opening_blocks_are_empty() -> None:
    """A block of a higher term opens it, and carries nothing."""
    empty = sample.block([], parent=PARENT, term=2)
    assert is_opening(empty, PARENT)
    check_header(empty, PARENT, SCHEDULED)
    assert "opens term 2: it must be empty" in _invalid(sample.block(ENVELOPES, parent=PARENT, term=2))


def test_validity_depends_on_nothing_that_a_slower_node_may_not_know() -> None:
    """A block that fills up to an activation is valid also to a node that has not executed its decision."""
    empty = sample.block([], parent=PARENT)
    check_header(empty, PARENT, sample.scheduled(activation_waits=False))
    check_header(empty, PARENT, sample.scheduled(activation_waits=True))


@pytest.mark.parametrize("name", ["block_bytes", "block_envelopes"])
def test_block_limits_at_their_boundaries(name: str) -> None:
    """As much as the parameters allow, and not one more."""
    most = sum(map(len, ENVELOPES)) if name == "block_bytes" else len(ENVELOPES)
    for limit, good in ((most, True), (most - 1, False)):
        parameters = replace(DEFAULT_PARAMETERS, **{name: limit})
        scheduled = replace_value(SCHEDULED, parameters=parameters)
        if good:
            check_header(BLOCK, PARENT, scheduled)
        else:
            assert f"at most {limit}" in _invalid(BLOCK, scheduled=scheduled)


def test_only_voting_nodes_propose() -> None:
    """A learner may not propose."""
    others = Membership(PARENT.membership.voters[1:], (), ("node-alpha",))
    assert "node-alpha does not vote" in _invalid(BLOCK, parent=replace_value(PARENT, membership=others))


def test_body_that_is_not_the_headers_is_noticed() -> None:
    """Another body under the same header has another root; a shorter one another count."""
    swapped = decode_block(encode_block(BLOCK.header_raw, BLOCK.signature, ENVELOPES[::-1]))
    assert "tx_root" in _invalid(swapped)
    short = decode_block(encode_block(BLOCK.header_raw, BLOCK.signature, ENVELOPES[:1]))
    assert "tx_count" in _invalid(short)


def _body_invalid(block: Block, scheduled: Scheduled = SCHEDULED) -> str:
    with pytest.raises(InvalidBlock) as invalid:
        decode_body(block, scheduled, BODIES)
    return invalid.value.reason


def test_malformed_envelope_is_named_by_its_index() -> None:
    """The second transaction is no envelope."""
    assert "block 1, transaction 1" in _body_invalid(sample.block([ENVELOPES[0], b"\x90"]))


def test_envelope_of_another_network_is_invalid() -> None:
    """Even in a block that is right in all else."""
    other = replace_value(SCHEDULED, network_id=bytes(32))
    assert "signed for network" in _body_invalid(BLOCK, other)


@pytest.mark.parametrize(
    ("time_ms", "good"),
    [
        (sample.GENESIS_TIME_MS - 1, False),
        (sample.GENESIS_TIME_MS, True),
        (sample.GENESIS_TIME_MS + 3_599_999, True),
        (sample.GENESIS_TIME_MS + 3_600_000, False),
    ],
)
def test_envelopes_are_valid_at_the_blocks_time(time_ms: int, good: bool) -> None:
    """From valid_from on, until just before valid_until."""
    block = _resigned(replace(BLOCK.header, time_ms=time_ms))
    if good:
        assert len(decode_body(block, SCHEDULED, BODIES)) == 2
    else:
        assert "transaction 0: not valid at the block's time" in _body_invalid(block)


@pytest.mark.parametrize(("name", "least"), [("envelope_bytes", len(ENVELOPES[0])), ("signers", 1)])
def test_envelope_limits_hold_for_cached_envelopes_too(name: str, least: int) -> None:
    """What was decoded under larger limits is still checked against those in force."""
    decoded = [decode_envelope(raw, sample.LIMITS) for raw in ENVELOPES]
    cache = {envelope.leaf_hash: envelope for envelope in decoded}
    for limit, good in ((least, True), (least - 1, False)):
        scheduled = replace_value(SCHEDULED, parameters=replace(DEFAULT_PARAMETERS, **{name: limit}))
        if good:
            assert decode_body(BLOCK, scheduled, BODIES, cache)[0] is cache[BLOCK.leaf_hashes[0]]
        else:
            with pytest.raises(InvalidBlock, match="transaction 0"):
                decode_body(BLOCK, scheduled, BODIES, cache)


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1], lambda raw: raw + b"\x00", lambda raw: b"", lambda raw: b"\x92" + raw[1:]],
)
def test_blocks_that_are_no_blocks(change: Callable[[bytes], bytes]) -> None:
    """Truncated, trailing, empty, another layout."""
    with pytest.raises(Malformed):
        decode_block(change(BLOCK.raw))


def test_parents() -> None:
    """A block is the next one's parent; genesis is the first, with all its nodes as voters."""
    parent = parent_of(BLOCK, PARENT)
    check_header(sample.block(ENVELOPES, parent=parent), parent, SCHEDULED)
    voters = Membership(("node-alpha", "node-beta", "node-gamma"))
    first = Parent(sample.network(), 0, 0, sample.GENESIS_TIME_MS, 0, voters, 1)
    assert genesis_parent(sample.genesis_raw()) == first


WANTED = replace_value(SCHEDULED, membership_decision=(2, Decision(("node-delta",))))
LEARN = Change(2, ("node-alpha", "node-beta", "node-gamma"), (), ("node-delta",))


def test_a_block_may_take_the_step_that_is_due() -> None:
    """With it or without it the block is valid; with it the next one's parent has the new membership."""
    made = sample.block(ENVELOPES, parent=PARENT, change=LEARN)
    check_header(made, PARENT, WANTED)
    check_header(BLOCK, PARENT, WANTED)
    following = parent_of(made, PARENT)
    assert (following.membership, following.membership_version) == (LEARN.membership, 2)
    assert decode_block(made.raw).header.change == (LEARN,)


@pytest.mark.parametrize(
    ("change", "scheduled"),
    [
        (LEARN, SCHEDULED),
        (replace(LEARN, decision_version=1), WANTED),
        (replace(LEARN, learners=()), WANTED),
        (replace(LEARN, voters=("node-alpha",)), WANTED),
    ],
)
def test_no_other_step_is_valid(change: Change, scheduled: Scheduled) -> None:
    """Nothing decided, another decision, none at all, another membership."""
    made = sample.block(ENVELOPES, parent=PARENT, change=change)
    assert "not the next step of decision" in _invalid(made, scheduled=scheduled)


def test_an_opening_block_changes_no_membership() -> None:
    """Its leader may not have executed what was decided."""
    made = sample.block([], parent=PARENT, term=2, change=LEARN)
    assert "must not change the membership" in _invalid(made, scheduled=WANTED)
