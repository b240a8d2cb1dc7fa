"""Policies: who meets them, and which can't stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import Malformed, decode, encode
from ledger.policy import MAX_KEYS, MAX_WEIGHT, Policy, PolicyKey, check_policy, is_met, single_key
from tests.unit.ledger.sample import public_key

KEYS = sorted(public_key(number) for number in range(1, 18))


def _policy(threshold: int, *weights: int) -> Policy:
    return Policy(threshold, tuple(map(PolicyKey, KEYS, weights)))


@given(st.lists(st.integers(1, 255), min_size=1, max_size=16), st.data())
def test_met_exactly_when_weights_reach_the_threshold(weights: list[int], data: st.DataObject) -> None:
    """Against the sum, for any set of signers."""
    threshold = data.draw(st.integers(1, sum(weights)))
    signed = data.draw(st.sets(st.integers(0, len(weights) - 1)))
    met = is_met(_policy(threshold, *weights), [KEYS[index] for index in signed])
    assert met is (sum(weights[index] for index in signed) >= threshold)


def test_strangers_weigh_nothing() -> None:
    """A signature by a key outside the policy counts for nothing."""
    assert not is_met(single_key(KEYS[0]), [KEYS[1]])
    assert is_met(single_key(KEYS[0]), [KEYS[1], KEYS[0]])


def test_threshold_at_its_boundaries() -> None:
    """From 1 to the sum of the weights."""
    assert decode(encode(_policy(1, 2, 3)), Policy).threshold == 1
    assert decode(encode(_policy(5, 2, 3)), Policy).threshold == 5
    with pytest.raises(Malformed, match="more than all its weights"):
        _policy(6, 2, 3)
    with pytest.raises(Malformed, match="threshold"):
        decode(encode([0, [[KEYS[0], 1]]]), Policy)
    with pytest.raises(Malformed, match="less than 1"):
        check_policy(_policy(0, 1))


def test_number_of_keys_at_its_boundaries() -> None:
    """1 to 16 keys."""
    check_policy(_policy(1, *[1] * MAX_KEYS))
    decode(encode(_policy(1, *[1] * MAX_KEYS)), Policy)
    for count in (0, MAX_KEYS + 1):
        with pytest.raises(Malformed, match="keys"):
            decode(encode([1, [[key, 1] for key in KEYS[:count]]]), Policy)
    with pytest.raises(Malformed, match="1 to 16 keys"):
        check_policy(_policy(1, *[1] * (MAX_KEYS + 1)))


@pytest.mark.parametrize(
    ("weight", "good"), [(0, False), (1, True), (MAX_WEIGHT, True), (MAX_WEIGHT + 1, False)]
)
def test_weights_at_their_boundaries(weight: int, good: bool) -> None:
    """1 to 255, both when decoded and when made here."""
    raw = encode([1, [[KEYS[0], weight], [KEYS[1], 1]]])
    if good:
        check_policy(decode(raw, Policy))
    else:
        with pytest.raises(Malformed):
            decode(raw, Policy)
        with pytest.raises(Malformed, match="weight"):
            check_policy(_policy(1, weight, 1))


@pytest.mark.parametrize("keys", [(KEYS[0], KEYS[0]), (KEYS[1], KEYS[0])])
def test_keys_stand_ascending_each_once(keys: tuple[bytes, bytes]) -> None:
    """A key named twice can't count twice."""
    with pytest.raises(Malformed, match="ascending"):
        decode(encode([1, [[key, 1] for key in keys]]), Policy)


def test_keys_must_be_points_on_the_curve() -> None:
    """A policy with a key that nobody can have is a mistake."""
    with pytest.raises(Malformed, match="public key"):
        check_policy(single_key(b"\x04" + bytes(64)))
