"""Bytes written as bech32m text (BIP 350): a prefix, the data in 32 letters, and a checksum of six.

It must not know what is written. Only writing is here, five times as fast as by the library that reads it:
nodes name the author's account in every answer.
"""

from functools import cache
from typing import Final

_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FINAL: Final = 0x2BC830A3
"""What makes it bech32m and not bech32 (BIP 350)."""
_CHECKSUM_SHIFTS: Final = (25, 20, 15, 10, 5, 0)
_LOW_25: Final = 0x1FFFFFF


def _reduction(top: int) -> int:
    """What the five bits that leave the checksum's top add to the rest."""
    result = 0
    for bit, term in enumerate(_GENERATOR):
        if top >> bit & 1:
            result ^= term
    return result


_REDUCTIONS: Final = tuple(_reduction(top) for top in range(32))


def encode(prefix: str, data: bytes) -> str:
    """The text of `data` after a prefix of lower-case letters."""
    symbols = _symbols(data)
    checksum = _FINAL ^ _fed(_prefix_checksum(prefix), (*symbols, 0, 0, 0, 0, 0, 0))
    symbols += [checksum >> shift & 31 for shift in _CHECKSUM_SHIFTS]
    return prefix + "1" + "".join([_LETTERS[symbol] for symbol in symbols])


def _symbols(data: bytes) -> list[int]:
    """The bits of `data` by fives, filled up with zeros at the end."""
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return [number >> shift & 31 for shift in range(count * 5 - 5, -1, -5)]


@cache
def _prefix_checksum(prefix: str) -> int:
    """The checksum after the prefix: the letters' high bits, a zero, and their low bits. A node has one."""
    codes = prefix.encode("ascii")
    return _fed(1, (*[code >> 5 for code in codes], 0, *[code & 31 for code in codes]))


def _fed(checksum: int, symbols: tuple[int, ...]) -> int:
    """The checksum (a polynomial over GF(32), in 30 bits) after these symbols."""
    for symbol in symbols:
        checksum = _REDUCTIONS[checksum >> 25] ^ (checksum & _LOW_25) << 5 ^ symbol
    return checksum
