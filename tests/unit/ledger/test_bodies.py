"""Bodies and single fields: every alphabet, length and range, at its boundary."""

import msgpack
import pytest

from ledger.bodies import (
    ALL_FLAGS,
    BODIES,
    CloseAccount,
    CreateAsset,
    Flag,
    Kind,
    OpenAccount,
    Recover,
    SetFlags,
    SetLimit,
    SetMember,
    SetMembership,
    SetNode,
    SetParameters,
    SetPolicy,
    SetRules,
    Transfer,
)
from ledger.codec import Malformed, Record, decode, encode
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.policy import single_key
from tests.unit.ledger.sample import certifiers_of, public_key

ACCOUNT = b"\x00" + b"a" * 20
POLICY = single_key(public_key(1))
OFF_CURVE = [1, [[b"\x04" + bytes(64), 1]]]


def _node(node: str, member: str, key: int) -> list[object]:
    return [node, member, public_key(key)]


A_1, B_1 = _node("a-1", "a", 1), _node("b-1", "b", 2)
FOUR = [_node(name, name, number) for number, name in enumerate("abcd", 1)]

EXAMPLES: dict[int, Record] = {
    Kind.OPEN_ACCOUNT: OpenAccount("EUR", POLICY, (bytes(32),)),
    Kind.TRANSFER: Transfer(ACCOUNT, "EUR", 1, (bytes(16),), (bytes(32),)),
    Kind.SET_POLICY: SetPolicy(ACCOUNT, 1, POLICY),
    Kind.SET_LIMIT: SetLimit(ACCOUNT, 1, 0),
    Kind.SET_FLAGS: SetFlags(ACCOUNT, 1, Flag.NO_DEBIT.value),
    Kind.CLOSE_ACCOUNT: CloseAccount(ACCOUNT, 1),
    Kind.SET_MEMBER: SetMember("beta", "Bank Beta", POLICY, POLICY, 0),
    Kind.SET_NODE: SetNode("node-1", "beta", public_key(1), "beta.example:7000", 0),
    Kind.CREATE_ASSET: CreateAsset("USD", 2, "beta", POLICY),
    Kind.SET_PARAMETERS: SetParameters(DEFAULT_PARAMETERS, 100, 1),
    Kind.RECOVER: Recover(1, 70, bytes(32), 3, certifiers_of(["node-alpha"]), 69, rehearsal=False),
    Kind.SET_RULES: SetRules(2, 100, 1),
    Kind.SET_MEMBERSHIP: SetMembership(("node-2",), True, ("node-1",), 1),
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_body_that_round_trips(kind: Kind) -> None:
    """Each kind has its body, written as msgpack writes it."""
    body = EXAMPLES[kind]
    raw = encode(body)
    assert type(body) is BODIES[kind]
    assert decode(raw, BODIES[kind]) == body
    assert msgpack.packb(msgpack.unpackb(raw)) == raw


def _with(kind: Kind, place: int, value: object) -> bytes:
    fields = msgpack.unpackb(encode(EXAMPLES[kind]))
    fields[place] = value
    return bytes(msgpack.packb(fields))


@pytest.mark.parametrize(
    ("kind", "place", "good", "bad"),
    [
        (Kind.OPEN_ACCOUNT, 0, "A1C", "AB"),
        (Kind.OPEN_ACCOUNT, 0, "A" * 12, "A" * 13),
        (Kind.OPEN_ACCOUNT, 0, "EUR", "eur"),
        (Kind.OPEN_ACCOUNT, 0, "EUR", "EUR\n"),
        (Kind.OPEN_ACCOUNT, 1, [1, [[public_key(1), 1]]], OFF_CURVE),
        (Kind.OPEN_ACCOUNT, 2, [], [bytes(32), bytes(32)]),
        (Kind.OPEN_ACCOUNT, 2, [bytes(32)], [bytes(31)]),
        (Kind.TRANSFER, 0, ACCOUNT, b"\x01" + bytes(20)),
        (Kind.TRANSFER, 0, ACCOUNT, bytes(20)),
        (Kind.TRANSFER, 2, 1, 0),
        (Kind.TRANSFER, 2, 2**63 - 1, 2**63),
        (Kind.TRANSFER, 3, [], [bytes(15)]),
        (Kind.TRANSFER, 4, [], [bytes(33)]),
        (Kind.SET_POLICY, 0, ACCOUNT, b"\x02" + bytes(20)),
        (Kind.SET_POLICY, 1, 0, -1),
        (Kind.SET_POLICY, 2, [1, [[public_key(1), 1]]], OFF_CURVE),
        (Kind.SET_LIMIT, 0, ACCOUNT, b"\x02" + bytes(20)),
        (Kind.SET_LIMIT, 2, 2**63 - 1, 2**63),
        (Kind.SET_FLAGS, 0, ACCOUNT, b"\x02" + bytes(20)),
        (Kind.SET_FLAGS, 2, ALL_FLAGS, ALL_FLAGS + 1),
        (Kind.CLOSE_ACCOUNT, 0, ACCOUNT, b"\x02" + bytes(20)),
        (Kind.SET_MEMBER, 0, "a" * 16, "a" * 17),
        (Kind.SET_MEMBER, 0, "a-1", "a_1"),
        (Kind.SET_MEMBER, 0, "a", ""),
        (Kind.SET_MEMBER, 1, "x" * 70, "x" * 71),
        (Kind.SET_MEMBER, 1, "Österreichische Bank", ""),
        (Kind.SET_MEMBER, 1, "a b", "a\tb"),
        (Kind.SET_MEMBER, 1, "a b", "a b\n"),
        (Kind.SET_MEMBER, 1, "a b", "a\x00b"),
        (Kind.SET_MEMBER, 1, "a b", "a\x7fb"),
        (Kind.SET_MEMBER, 1, "a b", "a\x85b"),
        (Kind.SET_MEMBER, 2, [1, [[public_key(1), 1]]], OFF_CURVE),
        (Kind.SET_MEMBER, 3, [1, [[public_key(1), 1]]], OFF_CURVE),
        (Kind.SET_NODE, 0, "n" * 32, "n" * 33),
        (Kind.SET_NODE, 2, public_key(2), b"\x04" + bytes(64)),
        (Kind.SET_NODE, 3, "a:1", "a:0"),
        (Kind.SET_NODE, 3, "a:65535", "a:65536"),
        (Kind.SET_NODE, 3, "10.0.0.1:70", "a:070"),
        (Kind.SET_NODE, 3, "[fd00::1]:7000", "fd00::1:7000"),
        (Kind.SET_NODE, 3, "a:1", "a"),
        (Kind.SET_NODE, 3, "a:1", "a:1\n"),
        (Kind.SET_NODE, 3, "a" * 253 + ":1", "a" * 254 + ":1"),
        (Kind.CREATE_ASSET, 1, 18, 19),
        (Kind.CREATE_ASSET, 3, [1, [[public_key(1), 1]]], OFF_CURVE),
        (Kind.SET_PARAMETERS, 0, [1, 2, 3, 4, 5], [1, 2, 3, 4]),
        (Kind.RECOVER, 4, [0, [A_1]], [0, []]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [0, [B_1, A_1]]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [0, [A_1, A_1]]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [0, [A_1, _node("b-1", "a", 2)]]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [0, [A_1, _node("b-1", "b", 1)]]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [2, [A_1, B_1]]),
        (Kind.RECOVER, 4, [0, [A_1, B_1]], [1, [A_1, B_1]]),
        (Kind.RECOVER, 4, [1, FOUR], [1, FOUR[:3]]),
        (Kind.RECOVER, 4, [0, [A_1]], [0, [["a-1", "a", b"\x04" + bytes(64)]]]),
        (Kind.RECOVER, 2, bytes(32), bytes(31)),
        (Kind.RECOVER, 6, True, 1),
        (Kind.SET_RULES, 0, 1, 0),
        (Kind.SET_RULES, 0, 65_535, 65_536),
        (Kind.SET_MEMBERSHIP, 0, ["n" * 32], ["n" * 33]),
        (Kind.SET_MEMBERSHIP, 0, ["node-2"], ["node-2", "node-3"]),
        (Kind.SET_MEMBERSHIP, 0, ["node-2"], ["node-1"]),
        (Kind.SET_MEMBERSHIP, 0, ["node-2"], []),
        (Kind.SET_MEMBERSHIP, 1, False, 0),
        (Kind.SET_MEMBERSHIP, 2, [], ["node-1", "node-3"]),
    ],
)
def test_fields_at_their_boundaries(kind: Kind, place: int, good: object, bad: object) -> None:
    """The last good value is taken, the next one is not."""
    decode(_with(kind, place, good), BODIES[kind])
    with pytest.raises(Malformed, match=BODIES[kind].__name__):
        decode(_with(kind, place, bad), BODIES[kind])


@pytest.mark.parametrize("kind", list(Kind))
def test_no_item_may_be_missing_or_extra(kind: Kind) -> None:
    """A body has as many items as its layout, optional ones as empty arrays."""
    fields = msgpack.unpackb(encode(EXAMPLES[kind]))
    for wrong in (fields[:-1], [*fields, []]):
        with pytest.raises(Malformed, match=BODIES[kind].__name__):
            decode(msgpack.packb(wrong), BODIES[kind])


def test_flags_are_their_bits() -> None:
    """The numbers of formats.md, section 4, which stand on the chain."""
    assert [flag.value for flag in Flag] == [1, 2, 4, 8, 16]
    assert sum(flag.value for flag in Flag) == ALL_FLAGS
