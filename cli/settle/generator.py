"""Makes realistic payment orders from a seed: the same seed, the same orders, on every machine.

Shapes follow the published figures of the PKDD'99 financial data set (6,471 standing orders of a Czech bank,
Berka and Sochorova, 1999): shares of categories and banks, quantiles of the amounts by category, orders a
payer, lengths of account numbers. It holds these figures, none of the records; it must not know what becomes
of an order.
"""

import csv
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TextIO, TypeVar

from ledger.amounts import parse_amount

T = TypeVar("T")

MAX_ORDERS = 10_000_000
COLUMNS = ("order_id", "account_id", "bank_to", "account_to", "amount", "k_symbol")
AMOUNT = COLUMNS.index("amount")
SCALE = 2
"""The decimals of an amount: hellers."""
TOLD_EVERY_ORDERS = 1_000
"""Progress is told once for so many: to tell it for each takes longer than to make one."""
BANKS = {
    "AB": 519, "CD": 458, "EF": 483, "GH": 487, "IJ": 496, "KL": 500, "MN": 466,
    "OP": 485, "QR": 531, "ST": 511, "UV": 499, "WX": 515, "YZ": 521,
}  # fmt: skip
ORDERS_A_PAYER = {1: 2103, 2: 949, 3: 416, 4: 228, 5: 62}
ACCOUNT_DIGITS = {8: 5786, 7: 631, 6: 47, 5: 5, 4: 1, 3: 1}
QUANTILE_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Category:
    """A category of orders: its count in the published data, and the amounts (whole crowns) at
    `QUANTILE_LEVELS`.
    """

    symbol: str
    count: int
    quantiles: tuple[float, ...]
    has_hellers: bool


CATEGORIES = (
    Category("SIPO", 3502, (1, 480, 2003, 3190, 5530, 9546, 14882), has_hellers=False),
    Category(" ", 1379, (1, 44, 475, 1339, 2872, 6395, 12925), has_hellers=False),
    Category("UVER", 717, (304, 962, 2482, 3991, 5902, 8094, 9910), has_hellers=True),
    Category("POJISTNE", 532, (1, 17, 176, 629, 1652, 5187, 12504), has_hellers=False),
    Category("LEASING", 341, (397, 658, 1279, 1951, 3073, 4561, 4975), has_hellers=True),
)


def generate(count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """`count` orders as rows of `COLUMNS`, amounts in crowns with two decimals."""
    if not 1 <= count <= MAX_ORDERS:
        raise ValueError(f"the number of orders must be 1 to {MAX_ORDERS:,}, not {count:,}")
    source = random.Random(f"nostro orders {seed}")
    order_id, payer, left = 0, 0, 0
    for _ in range(count):
        if left == 0:
            payer, left = payer + 1, _pick(source, ORDERS_A_PAYER)
        order_id, left = order_id + 1, left - 1
        yield _row(source, order_id, payer)


def write_orders(
    out: TextIO, count: int, seed: int, progress: Callable[[int, int], None] = lambda written, total: None
) -> int:
    """Write the orders as delimited text (semicolons, a header line); what they come to, in hellers.

    `progress(written, total)` counts orders.
    """
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerow(COLUMNS)
    hellers = 0
    for written, row in enumerate(generate(count, seed), start=1):
        writer.writerow(row)
        hellers += parse_amount(row[AMOUNT], SCALE)
        if written % TOLD_EVERY_ORDERS == 0 or written == count:
            progress(written, count)
    return hellers


def _row(source: random.Random, order_id: int, payer: int) -> tuple[str, ...]:
    category = CATEGORIES[_pick_index(source, [category.count for category in CATEGORIES])]
    digits = _pick(source, ACCOUNT_DIGITS)
    payee = source.randrange(10 ** (digits - 1), 10**digits)
    return (
        str(order_id),
        str(payer),
        _pick(source, BANKS),
        str(payee),
        _amount(source, category),
        category.symbol,
    )


def _amount(source: random.Random, category: Category) -> str:
    """Straight lines between the published quantiles; tenths of a crown where the category has them."""
    level = source.random()
    step = min(bisect_right(QUANTILE_LEVELS, level) - 1, len(QUANTILE_LEVELS) - 2)
    low, high = category.quantiles[step], category.quantiles[step + 1]
    share = (level - QUANTILE_LEVELS[step]) / (QUANTILE_LEVELS[step + 1] - QUANTILE_LEVELS[step])
    crowns = low + share * (high - low)
    tenths = round(crowns * 10) if category.has_hellers else round(crowns) * 10
    return f"{tenths // 10}.{tenths % 10}0"


def _pick(source: random.Random, counts: dict[T, int]) -> T:
    return list(counts)[_pick_index(source, list(counts.values()))]


def _pick_index(source: random.Random, counts: list[int]) -> int:
    steps = list(accumulate(counts))
    return bisect_right(steps, source.randrange(steps[-1]))
