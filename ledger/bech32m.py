"""Writing bech32m (BIP 350), the text form of account ids; the library reads it, and is the tests' oracle.

It must not know what the bytes mean. The library takes 70 to 90 us to write an account's address, as long
as a signature takes to verify, and a node names the author's account in every answer: each account that it
sees for the first time, or that a cache has let go, cost as much as another signature. Here the checksum
takes five bits a step from a table.
"""

from base64 import b32encode
from functools import lru_cache
from typing import Final

_CHARSET: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE32: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_CHARSET: Final = bytes.maketrans(_BASE32, _CHARSET)
_TO_VALUES: Final = bytes.maketrans(_BASE32, bytes(range(32)))
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FINAL: Final = 0x2BC830A3
_LOW_25_BITS: Final = 0x1FFFFFF
_CHECKSUM_CHARACTERS: Final = 6


def bech32m_text(prefix: str, data: bytes) -> str:
    """`prefix` (lower-case ASCII), `1`, `data` in characters of five bits padded with zeros, a checksum."""
    groups = b32encode(data).rstrip(b"=")
    state = _advance(_start(prefix), groups.translate(_TO_VALUES) + bytes(_CHECKSUM_CHARACTERS)) ^ _FINAL
    checksum = bytes([_CHARSET[state >> shift & 31] for shift in range(25, -1, -5)])
    return f"{prefix}1{(groups.translate(_TO_CHARSET) + checksum).decode('ascii')}"


def _advance(state: int, values: bytes) -> int:
    """The checksum's state after these values of five bits."""
    for value in values:
        state = (state & _LOW_25_BITS) << 5 ^ value ^ _REMAINDERS[state >> 25]
    return state


@lru_cache(maxsize=16)
def _start(prefix: str) -> int:
    """The checksum's state after the prefix: high bits, a zero, low bits."""
    characters = prefix.encode("ascii")
    return _advance(1, bytes([c >> 5 for c in characters] + [0] + [c & 31 for c in characters]))


def _remainder(top: int) -> int:
    """What the five bits that leave the state at the top put into it again."""
    remainder = 0
    for bit, generator in enumerate(_GENERATORS):
        remainder ^= generator if top >> bit & 1 else 0
    return remainder


_REMAINDERS: Final = tuple(_remainder(top) for top in range(32))
