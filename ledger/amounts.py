"""Money as integers of an asset's minor unit, and as the decimal text that people see.

It must not know floats or any rounding: a text with more decimals than the asset has is refused.
"""

import re
from typing import Final

from ledger.codec import MAX_INTEGER
from ledger.fields import MAX_SCALE

_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?\Z")


class AmountError(ValueError):
    """A text that is not an amount of the asset; says why and what to write."""


def parse_amount(text: str, scale: int) -> int:
    """The minor units that `text` says: digits, at most `scale` decimals after a point, nothing else."""
    found = _DECIMAL.match(text) if len(text) <= 40 else None
    if found is None:
        raise AmountError(f"{text[:40]!r} is not an amount: write digits and at most one point, as in 12.50")
    whole, decimals = found[1], found[2] or ""
    if len(decimals) > _checked_scale(scale):
        raise AmountError(
            f"{text!r} has {len(decimals)} decimals, the asset has {scale}: leave the others out"
        )
    amount = int(whole + decimals.ljust(scale, "0"))
    if amount > MAX_INTEGER:
        raise AmountError(
            f"{text!r} is more than the ledger counts, which is {format_amount(MAX_INTEGER, scale)}"
        )
    return amount


def format_amount(amount: int, scale: int) -> str:
    """The decimal text of `amount` minor units, with exactly `scale` decimals; a minus sign for a debt."""
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(_checked_scale(scale) + 1, "0")
    return sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)


def _checked_scale(scale: int) -> int:
    if not 0 <= scale <= MAX_SCALE:
        raise AmountError(f"a scale is between 0 and {MAX_SCALE}, not {scale}")
    return scale
