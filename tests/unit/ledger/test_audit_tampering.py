"""Tampering: no byte of a chain can be changed, moved or left out without an audit finding it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import keys
from ledger.audit import audit
from tests.unit.ledger.audited import BUILT, Chain, copy_of_built, run


@pytest.fixture
def chain() -> Chain:
    """The chain, a copy for each test to spoil."""
    return copy_of_built()


Part = tuple[str, int | bytes]
"""One stored value of a chain: which of its collections, and the key there."""

PARTS: list[Part] = [
    *((name, key) for name in ("blocks", "certificates", "rows") for key in getattr(BUILT, name)),
    *((name, height) for name in ("seal", "seal_signature") for height in BUILT.seals),
]


def value_of(chain: Chain, part: Part) -> bytes:
    """The bytes of a part."""
    name, key = part
    if name.startswith("seal"):
        return chain.seals[int(key)][name == "seal_signature"]
    value: bytes = getattr(chain, name)[key]
    return value


def spoil(chain: Chain, part: Part, value: bytes) -> None:
    """Put other bytes in place of a part."""
    name, key = part
    if name.startswith("seal"):
        raw, signature = chain.seals[int(key)]
        chain.seals[int(key)] = (raw, value) if name == "seal_signature" else (value, signature)
    else:
        getattr(chain, name)[key] = value


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(PARTS), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(part: Part, position: int, change: int) -> None:
    """Whichever byte of a block, certificate, seal, signature or row is changed, something is found."""
    chain = copy_of_built()
    value = bytearray(value_of(chain, part))
    value[position % len(value)] ^= change
    spoil(chain, part, bytes(value))
    assert not run(chain).clean


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(BUILT.genesis_raw) - 1), st.integers(1, 255), st.booleans())
def test_any_changed_byte_of_genesis_is_found(position: int, change: int, trusted: bool) -> None:
    """Also by who knows no network id to trust: then the blocks are of another network."""
    chain = copy_of_built()
    value = bytearray(chain.genesis_raw)
    value[position] ^= change
    chain.genesis_raw = bytes(value)
    network = keys.tagged_hash("genesis", BUILT.genesis_raw) if trusted else None
    assert not audit(chain, own_node="alpha-1", network_id=network).clean


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PARTS), st.sampled_from(PARTS))
def test_any_swapped_values_are_found(one: Part, other: Part) -> None:
    """Good bytes in another's place are found too, as when blocks, seals or rows are reordered."""
    chain = copy_of_built()
    values = value_of(chain, one), value_of(chain, other)
    spoil(chain, one, values[1])
    spoil(chain, other, values[0])
    assert run(chain).clean is (values[0] == values[1])


def test_anything_left_out_is_found(chain: Chain) -> None:
    """Every block, seal and row is missed; a certificate is not, for not every height has one."""
    for name in ("blocks", "seals", "rows", "certificates"):
        for key, value in list(getattr(chain, name).items()):
            if name == "seals" and key == 8:
                continue  # The chain of these tests tells its tip by its last seal.
            del getattr(chain, name)[key]
            assert run(chain).clean is (name == "certificates"), (name, key)
            getattr(chain, name)[key] = value
