"""Bech32m as we write it, against BIP 350 and against the library that reads it."""

import bech32m.codecs as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bech32m_text import encode


@given(st.from_regex(r"[a-z]{1,16}", fullmatch=True), st.binary(max_size=40))
def test_the_library_writes_the_same(prefix: str, data: bytes) -> None:
    """For every prefix and length that a text of 90 characters holds."""
    symbols = library.convertbits(data, 8, 5)
    assert encode(prefix, data) == library.bech32_encode(prefix, symbols, library.Encoding.BECH32M)


@pytest.mark.parametrize(
    ("prefix", "data", "text"),
    [
        ("a", "", "a1lqfn3a"),
        (
            "abcdef",
            "ffbbcdeb38bdab49ca307b9ac5a928398a418820",
            "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
        ),
        (
            "split",
            "c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d",
            "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
        ),
    ],
)
def test_published_texts(prefix: str, data: str, text: str) -> None:
    """Valid strings of BIP 350."""
    assert encode(prefix, bytes.fromhex(data)) == text
