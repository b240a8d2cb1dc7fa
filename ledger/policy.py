"""Policies: which keys, by weight and threshold, may act for an account or a member (formats.md, section 3).

It must not know whose policy it is, nor whether the signatures are good.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Malformed, Record
from ledger.fields import Bin65
from ledger.keys import check_public_key

MAX_KEYS: Final = 16
MAX_WEIGHT: Final = 255


class PolicyKey(Record, frozen=True):
    """One key of a policy and what its signature weighs."""

    key: Bin65
    weight: Annotated[int, Meta(ge=1, le=MAX_WEIGHT)] = 1


class Policy(Record, frozen=True):
    """Met by signers whose weights add up to the threshold. Raises Malformed when it could never be met.

    Keys stand strictly ascending by their bytes.
    """

    threshold: Annotated[int, Meta(ge=1, le=MAX_KEYS * MAX_WEIGHT)]
    keys: Annotated[tuple[PolicyKey, ...], Meta(min_length=1, max_length=MAX_KEYS)]

    def __post_init__(self) -> None:
        """Check what no single field shows: the order of the keys, and that the threshold can be reached."""
        keys = self.keys
        if len(keys) > 1 and any(a.key >= b.key for a, b in pairwise(keys)):
            raise Malformed("the policy's keys must be strictly ascending, each named once")
        if self.threshold > sum(key.weight for key in keys):
            raise Malformed("the policy's threshold is more than all its weights together")


def check_policy(policy: Policy) -> None:
    """Check counts, weights and that every key is a point on the curve; raises Malformed."""
    if not 1 <= len(policy.keys) <= MAX_KEYS:
        raise Malformed(f"a policy has 1 to {MAX_KEYS} keys, this one {len(policy.keys)}")
    if policy.threshold < 1:
        raise Malformed("the policy's threshold is less than 1")
    for entry in policy.keys:
        if not 1 <= entry.weight <= MAX_WEIGHT:
            raise Malformed(f"a weight is 1 to {MAX_WEIGHT}, not {entry.weight}")
        check_public_key(entry.key)


def is_met(policy: Policy, signers: Collection[bytes]) -> bool:
    """Whether the weights of `signers` (public keys that have signed) add up to the threshold."""
    weight = 0
    for entry in policy.keys:
        if entry.key in signers:
            weight += entry.weight
    return weight >= policy.threshold


def single_key(key: bytes) -> Policy:
    """The policy of one key that acts alone."""
    return Policy(1, (PolicyKey(key, 1),))
