"""Writing bech32m: the standard's own examples, and the library as a dumb twin."""

import bech32m.codecs as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bech32m import bech32m_text

_DOWNWARD = int("".join(f"{value:05b}" for value in range(31, -1, -1)), 2).to_bytes(20, "big")


@pytest.mark.parametrize(
    ("prefix", "data", "text"),
    [
        ("a", b"", "a1lqfn3a"),
        ("?", b"", "?1v759aa"),
        ("abcdef", _DOWNWARD, "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx"),
    ],
)
def test_examples_of_the_standard(prefix: str, data: bytes, text: str) -> None:
    """BIP 350, test vectors for bech32m."""
    assert bech32m_text(prefix, data) == text


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16), st.binary(max_size=40))
def test_the_library_writes_the_same(prefix: str, data: bytes) -> None:
    """For every prefix and any number of bytes, so for every padding."""
    groups = library.convertbits(data, 8, 5)

    assert bech32m_text(prefix, data) == library.bech32_encode(prefix, groups, library.Encoding.BECH32M)
