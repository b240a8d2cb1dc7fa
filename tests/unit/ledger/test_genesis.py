"""Genesis and its parameters: what a network may start with."""

from typing import Any

import msgpack
import pytest
from msgspec.structs import replace

from ledger.codec import Malformed
from ledger.genesis import (
    decode_genesis,
    encode_genesis,
    issuance_tx_id,
    network_id,
)
from ledger.keys import tagged_hash
from ledger.outcome import Outcome
from ledger.parameters import (
    DEFAULT_PARAMETERS,
    PARAMETER_RANGES,
    CertificateRule,
    Parameters,
    check_parameters,
    quorum,
)
from ledger.policy import single_key
from tests.unit.ledger.sample import genesis_raw

NO_POINT = single_key(b"\x04" + bytes(64))
GENESIS = decode_genesis(genesis_raw())
MEMBERS, ASSETS, NODES = GENESIS.members, GENESIS.assets, GENESIS.nodes
OFF_CURVE = b"\x04" + bytes(64)


def test_round_trip_and_network_id() -> None:
    """The document gives itself back; its hash names the network."""
    assert encode_genesis(GENESIS) == genesis_raw()
    assert network_id(genesis_raw()) == tagged_hash("genesis", genesis_raw())
    assert network_id(genesis_raw()) != network_id(genesis_raw(4))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": MEMBERS[::-1]}, "members: "),
        ({"members": (MEMBERS[0], MEMBERS[0])}, "members: "),
        ({"assets": (ASSETS[0], ASSETS[0])}, "assets: "),
        ({"nodes": NODES[::-1]}, "nodes: "),
        ({"members": ()}, "Genesis.members"),
        ({"nodes": ()}, "Genesis.nodes"),
        ({"members": MEMBERS[1:]}, "its issuer 'alpha' is not a member"),
        ({"members": MEMBERS[:2]}, "node node-gamma: its member 'gamma' is not a member"),
        ({"nodes": (NODES[0], replace(NODES[1], member="alpha"))}, "has another node already"),
        ({"nodes": (NODES[0], replace(NODES[1], key=NODES[0].key))}, "the same key"),
        ({"nodes": (replace(NODES[0], key=OFF_CURVE),)}, "not a point"),
        ({"members": (replace(MEMBERS[0], admin_policy=NO_POINT), *MEMBERS[1:])}, "not a point"),
        (
            {"members": (*MEMBERS[:2], replace(MEMBERS[2], teller_policy=NO_POINT))},
            "not a point",
        ),
        ({"assets": (replace(ASSETS[0], issuance_policy=NO_POINT),)}, "not a point"),
        ({"name": "ab"}, "Genesis.name"),
        ({"name": "a" * 17}, "Genesis.name"),
        ({"name": "Nostro"}, "Genesis.name"),
        ({"format": 2}, "Genesis.format"),
        ({"rules": 0}, "Genesis.rules"),
        ({"parameters": replace(DEFAULT_PARAMETERS, signers=65)}, "parameter signers is 65"),
        ({"parameters": replace(DEFAULT_PARAMETERS, certificate_rule=1)}, "takes 4 certifiers"),
    ],
)
def test_what_a_network_must_not_start_with(changes: dict[str, Any], words: str) -> None:
    """Order, references, keys, names and ranges."""
    with pytest.raises(Malformed, match=words):
        encode_genesis(replace(GENESIS, **changes))


def test_byzantine_rule_with_four_nodes() -> None:
    """Four is the least number of certifiers for it."""
    four = decode_genesis(genesis_raw(4))
    encode_genesis(replace(four, parameters=replace(DEFAULT_PARAMETERS, certificate_rule=1)))


def test_assets_may_come_later() -> None:
    """A network may start without any."""
    assert decode_genesis(encode_genesis(replace(GENESIS, assets=()))).assets == ()


def test_extra_items_are_refused() -> None:
    """Nothing hides in a genesis document."""
    fields = msgpack.unpackb(genesis_raw())
    with pytest.raises(Malformed, match="Genesis"):
        decode_genesis(msgpack.packb([*fields, 0]))


def test_issuance_tx_ids_count_from_zero() -> None:
    """Asset 0 has 16 zero bytes."""
    assert issuance_tx_id(0) == bytes(16)
    assert issuance_tx_id(258) == bytes(14) + b"\x01\x02"


@pytest.mark.parametrize("name", list(PARAMETER_RANGES))
def test_parameters_at_their_boundaries(name: str) -> None:
    """The least and the most are allowed, one beyond is not."""
    least, most = PARAMETER_RANGES[name]
    for value in (least, most):
        check_parameters(replace(DEFAULT_PARAMETERS, **{name: value}))
    for value in (least - 1, most + 1):
        with pytest.raises(Malformed, match=f"parameter {name}") as refused:
            check_parameters(replace(DEFAULT_PARAMETERS, **{name: value}))
        assert refused.value.outcome is Outcome.PARAMETER_OUT_OF_RANGE


def test_defaults_are_those_of_the_formats() -> None:
    """The numbers of formats.md, section 5, and every parameter has a range."""
    assert Parameters(1_048_576, 5_000, 4_096, 16, 0) == DEFAULT_PARAMETERS
    assert tuple(PARAMETER_RANGES) == Parameters.__struct_fields__


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (CertificateRule.MAJORITY, {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4}),
        (CertificateRule.BYZANTINE, {4: 3, 5: 4, 6: 5, 7: 5, 10: 7}),
    ],
)
def test_quorums(rule: CertificateRule, expected: dict[int, int]) -> None:
    """More than half; more than two thirds."""
    assert {count: quorum(rule, count) for count in expected} == expected


def test_byzantine_rule_below_four_is_refused() -> None:
    """Three certifiers tolerate no lie."""
    with pytest.raises(Malformed, match="takes 4 certifiers, there are 3"):
        quorum(CertificateRule.BYZANTINE, 3)
