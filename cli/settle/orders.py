"""Reads payment orders from delimited text: one order a line, columns mapped by name.

Knows only the file. It must not know accounts, keys or the network: what an order turns into is planned
elsewhere.
"""

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cli.errors import CommandError
from ledger.amounts import AmountError, parse_amount

MAX_LINE_CHARACTERS = 4_096
MAX_REFERENCE_CHARACTERS = 64
FIELDS = ("order", "payer", "payer_bank", "payee", "payee_bank", "amount", "category")
REQUIRED = ("payer", "payee", "payee_bank", "amount")
NO_DELIMITERS = '"\r\n'
"""What a cell is quoted with, and what ends a line; csv splits at every other character."""


@dataclass(frozen=True, slots=True)
class Order:
    """One payment order; `amount` in minor units, `line` counted from 1 (the header) in the file."""

    line: int
    order: str
    payer_bank: str
    payer: str
    payee_bank: str
    payee: str
    amount: int
    category: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no order, and why; the other lines go on."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class OrderFile:
    """All of a file: its orders and bad lines in order."""

    orders: tuple[Order, ...]
    bad_lines: tuple[BadLine, ...]


class OrderFileError(CommandError):
    """The file as a whole can't be read as payment orders."""


class _LineError(ValueError):
    """One line can't be read as an order."""


@dataclass(frozen=True, slots=True)
class OrderFormat:
    """How a file is laid out.

    `delimiter` is one character, none of `NO_DELIMITERS`; `columns` maps our field names (`FIELDS`) to the
    file's column names; `payer_bank` names the bank of every payer where the file has no such column; `scale`
    is the asset's number of decimals.
    """

    delimiter: str
    columns: Mapping[str, str]
    payer_bank: str | None
    scale: int


def read_orders(path: Path, layout: OrderFormat) -> OrderFile:
    """The orders of a file, which is UTF-8 text, with a byte order mark or without.

    Raises OrderFileError where the header can't be read, lacks a mapped column or names one twice.
    """
    orders: list[Order] = []
    bad_lines: list[BadLine] = []
    with path.open("rb") as file:
        for row in _rows(path, file, layout):
            (bad_lines if isinstance(row, BadLine) else orders).append(row)  # type: ignore[arg-type]  # told apart above
    return OrderFile(tuple(orders), tuple(bad_lines))


def _rows(path: Path, file: BinaryIO, layout: OrderFormat) -> Iterator[Order | BadLine]:
    first = file.readline().removeprefix(BOM_UTF8)
    if not first:
        raise OrderFileError(f"{path} is empty.", "Its first line must name the columns.")
    try:
        header = _cells(_text(first), layout.delimiter)
    except _LineError as error:
        raise OrderFileError(
            f"The first line of {path} doesn't name columns: {error}.",
            "Look at the file, which must be UTF-8 text, and at --delimiter.",
        ) from error
    positions = _positions(path, header, layout)
    for number, raw in enumerate(file, start=2):
        try:
            line = _text(raw)
            if not line.strip():
                continue
            cells = _cells(line, layout.delimiter)
            if len(cells) != len(header):
                raise _LineError(f"the line has {len(cells)} columns, the first line {len(header)}")
            yield _order(number, cells, positions, layout)
        except (_LineError, AmountError) as error:
            yield BadLine(number, str(error))


def _text(raw: bytes) -> str:
    """One line without its end, which is LF or CRLF.

    Lines are split as bytes, at LF alone: other characters that Python's splitlines() breaks at may stand in
    a cell, and a break there would shift the numbers of all later lines, and with them their ids. Each is
    decoded by itself: a byte that isn't UTF-8 spoils its own line.
    """
    try:
        return raw.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise _LineError(f"the line is not UTF-8 text (its byte {error.start + 1})") from error


def _cells(line: str, delimiter: str) -> list[str]:
    """One line's cells.

    Each line is read by itself: an unbalanced quote spoils its own line, never the rest.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise _LineError(f"the line is longer than {MAX_LINE_CHARACTERS} characters")
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _LineError(f"not delimited text: {error}") from error


def _positions(path: Path, header: list[str], layout: OrderFormat) -> dict[str, int]:
    repeated = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if repeated:
        raise OrderFileError(
            f"The first line of {path} names the column {repeated[0]!r} more than once.",
            "Give every column a name of its own.",
        )
    positions = {field: header.index(column) for field, column in layout.columns.items() if column in header}
    needed = [*REQUIRED, *([] if layout.payer_bank else ["payer_bank"])]
    for field in needed:
        if field not in positions:
            raise OrderFileError(
                f"{path} has no column {layout.columns.get(field, field)!r} "
                f"for the {field.replace('_', ' ')}; its columns are {', '.join(header)}.",
                f"Map one with --column {field}=NAME.",
            )
    return positions


def _order(line: int, cells: list[str], positions: Mapping[str, int], layout: OrderFormat) -> Order:
    def cell(field: str) -> str:
        position = positions.get(field)
        return "" if position is None else cells[position].strip()

    order = Order(
        line=line,
        order=_short(cell("order"), "order"),
        payer_bank=_bank(cell("payer_bank") or layout.payer_bank or "", "payer bank"),
        payer=_given(cell("payer"), "payer"),
        payee_bank=_bank(cell("payee_bank"), "payee bank"),
        payee=_given(cell("payee"), "payee"),
        amount=parse_amount(cell("amount"), layout.scale),
        category=_short(cell("category"), "category"),
    )
    if order.amount == 0:
        raise _LineError("the amount is zero")
    if (order.payer_bank, order.payer) == (order.payee_bank, order.payee):
        raise _LineError("payer and payee are the same account")
    return order


def _bank(text: str, what: str) -> str:
    return _given(text, what).lower()


def _given(text: str, what: str) -> str:
    if not text:
        raise _LineError(f"the {what} is empty")
    return _short(text, what)


def _short(text: str, what: str) -> str:
    if len(text) > MAX_REFERENCE_CHARACTERS:
        raise _LineError(f"the {what} is longer than {MAX_REFERENCE_CHARACTERS} characters")
    if not text.isprintable():
        raise _LineError(f"the {what} has characters that can't be printed")
    return text
