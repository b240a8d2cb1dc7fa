"""Reading payment orders from delimited text."""

from pathlib import Path

import pytest

from cli.settle.orders import (
    MAX_LINE_CHARACTERS,
    MAX_REFERENCE_CHARACTERS,
    OrderFile,
    OrderFileError,
    OrderFormat,
    read_orders,
)

COLUMNS = {
    "order": "order_id",
    "payer": "account_id",
    "payee_bank": "bank_to",
    "payee": "account_to",
    "amount": "amount",
    "category": "k_symbol",
}
HEADER = '"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"'
LAYOUT = OrderFormat(delimiter=";", columns=COLUMNS, payer_bank="home", scale=2)


def read(tmp_path: Path, *lines: str, layout: OrderFormat = LAYOUT, end: str = "\r\n") -> OrderFile:
    """The orders of a file with these lines."""
    path = tmp_path / "orders.csv"
    path.write_bytes(end.join([*lines, ""]).encode())
    return read_orders(path, layout)


def test_reads_quoted_cells_crlf_and_leading_zeros(tmp_path: Path) -> None:
    """Account numbers are text: leading zeros stay; bank ids are lower case; a blank category is empty."""
    orders = read(tmp_path, HEADER, '7;12;"YZ";"0087";2452.00;" "').orders
    assert len(orders) == 1
    order = orders[0]
    assert (order.line, order.order, order.payer_bank, order.payer) == (2, "7", "home", "12")
    assert (order.payee_bank, order.payee, order.amount, order.category) == ("yz", "0087", 245200, "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('1;1;"YZ";"5";-1.00;""', "-1.00"),
        ('1;1;"YZ";"5";0.00;""', "zero"),
        ('1;1;"YZ";"5";1.005;""', "1.005"),
        ('1;1;"YZ";"5";many;""', "many"),
        ('1;1;"YZ";"5";92233720368547758.08;""', "92233720368547758.08"),
        ('1;;"YZ";"5";1.00;""', "payer is empty"),
        ('1;1;"YZ"', "3 columns, the first line 6"),
        ("1;1;YZ;5;1;000.00;SIPO", "7 columns, the first line 6"),
        ('1;1;"YZ";"5";1.00', "5 columns, the first line 6"),
        ('1;1;"Y\rZ";"5";1.00;""', "printed"),
        ('1;1;"YZ;"5";1.00;""', "delimited"),
        (f'1;{"9" * (MAX_REFERENCE_CHARACTERS + 1)};"YZ";"5";1.00;""', "longer than 64"),
        (f'1;1;"YZ";"5";1.00;"{"x" * MAX_LINE_CHARACTERS}"', "longer than 4096"),
        ('1;5;"HOME";"5";1.00;""', "same account"),
        ('1;1\x07;"YZ";"5";1.00;""', "printed"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, reason: str) -> None:
    """The line's number and the reason are kept; the lines around it are read."""
    good = '3;1;"YZ";"5";1.00;""'
    read_file = read(tmp_path, HEADER, good, line, good)
    assert [order.line for order in read_file.orders] == [2, 4]
    (bad,) = read_file.bad_lines
    assert bad.line == 3
    assert reason in bad.reason


def test_limits_are_inclusive(tmp_path: Path) -> None:
    """A reference of just the longest length, and the largest amount, are read."""
    longest = "9" * MAX_REFERENCE_CHARACTERS
    (order,) = read(tmp_path, HEADER, f'1;{longest};"YZ";"5";92233720368547758.07;""').orders
    assert (order.payer, order.amount) == (longest, 2**63 - 1)


def test_other_delimiters_and_columns(tmp_path: Path) -> None:
    """Columns are found by the names that the mapping gives."""
    layout = OrderFormat(
        ",", {"payer": "from", "payer_bank": "b1", "payee": "to", "payee_bank": "b2", "amount": "x"}, None, 0
    )
    (order,) = read(tmp_path, "x,to,from,b2,b1", "5,b,a,two,one", layout=layout, end="\n").orders
    assert (order.payer_bank, order.payer, order.payee_bank, order.payee) == ("one", "a", "two", "b")
    assert (order.amount, order.order) == (5, "")


def test_blank_lines_are_no_orders(tmp_path: Path) -> None:
    """Nothing is said of a blank line, and numbering goes on counting it."""
    read_file = read(tmp_path, HEADER, "", '3;1;"YZ";"5";1.00;""')
    assert [order.line for order in read_file.orders] == [3]
    assert read_file.bad_lines == ()


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, inside: str) -> None:
    """Whatever else stands in a line spoils that line at most: the numbers of those after it stay."""
    good = '3;1;"YZ";"5";1.00;""'
    read_file = read(tmp_path, HEADER, f'1;1;"Y{inside}Z";"5";1.00;""', good)
    assert [bad.line for bad in read_file.bad_lines] == [2]
    assert [order.line for order in read_file.orders] == [3]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_carriage_return_belongs_to_the_line_s_end(tmp_path: Path, end: str) -> None:
    """Files of both systems are read alike, with and without an end of the last line."""
    good = '3;1;"YZ";"5";1.00;""'
    read_file = read(tmp_path, HEADER, good, layout=LAYOUT, end=end)
    path = tmp_path / "unended.csv"
    path.write_bytes(end.join([HEADER, good]).encode())
    assert read_orders(path, LAYOUT) == read_file
    assert [order.category for order in read_file.orders] == [""]


def test_a_column_named_twice_spoils_the_file(tmp_path: Path) -> None:
    """Which of two amounts is meant is not guessed; columns without a name may be several."""
    with pytest.raises(OrderFileError, match="'amount' more than once"):
        read(tmp_path, HEADER + ";amount", '1;1;"YZ";"5";1.00;"";2.00')
    assert len(read(tmp_path, HEADER + ";;", '1;1;"YZ";"5";1.00;"";;').orders) == 1


def test_a_missing_column_says_which_and_how_to_map_it(tmp_path: Path) -> None:
    """The error names the column, those the file has, and the option."""
    with pytest.raises(OrderFileError, match=r"no column 'amount'.*account_to") as caught:
        read(tmp_path, '"order_id";"account_id";"bank_to";"account_to"')
    assert "--column amount=NAME" in caught.value.explained.remedy


def test_without_a_payer_bank_the_file_must_have_its_column(tmp_path: Path) -> None:
    """No bank is invented for payers."""
    layout = OrderFormat(";", COLUMNS, None, 2)
    with pytest.raises(OrderFileError, match="payer bank"):
        read(tmp_path, HEADER, layout=layout)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("line", "byte"),
    [
        (b'1;1;"YZ";"5";1.00;"\xe1"', 20),
        (b'\xff;1;"YZ\n";"5";1.00;""', 1),
        (b'1;1;"YZ";"5";1.00;"\xc5', 20),
        (b'1;1;"YZ";"5";1.00;"\xed\xa0\x80"', 20),
    ],
)
def test_a_line_that_is_not_utf_8_is_named_and_the_rest_goes_on(
    tmp_path: Path, bom: bytes, end: bytes, line: bytes, byte: int
) -> None:
    """Latin-2, half a character, a surrogate, a line's end in quotes: the numbers of those after it stay."""
    path = tmp_path / "orders.csv"
    good = '3;1;"YZ";"5";1.00;"\u010d"'.encode()
    path.write_bytes(bom + end.join([HEADER.encode(), good, line, good, good]))
    read_file = read_orders(path, LAYOUT)
    shift = line.count(b"\n")
    assert [order.line for order in read_file.orders] == [2, 4 + shift, 5 + shift]
    assert {order.category for order in read_file.orders} == {"\u010d"}
    assert [bad.line for bad in read_file.bad_lines] == [3, 4][: 1 + shift]
    assert read_file.bad_lines[0].reason == f"the line is not UTF-8 text (its byte {byte})"


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    """With it the same orders are read; alone it is an empty file."""
    good = '3;1;"YZ";"5";1.00;""'
    path = tmp_path / "marked.csv"
    path.write_bytes(f"\ufeff{HEADER}\n{good}\n".encode())
    assert read_orders(path, LAYOUT) == read(tmp_path, HEADER, good)
    path.write_bytes("\ufeff".encode())
    with pytest.raises(OrderFileError, match="empty"):
        read_orders(path, LAYOUT)


def test_an_empty_file_and_other_encodings_are_refused(tmp_path: Path) -> None:
    """Neither is taken for a file without orders: a header that can't be read spoils the file."""
    path = tmp_path / "orders.csv"
    path.write_bytes(b"")
    with pytest.raises(OrderFileError, match="empty"):
        read_orders(path, LAYOUT)
    path.write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(OrderFileError, match=r"first line of .* is not UTF-8") as caught:
        read_orders(path, LAYOUT)
    assert "must be UTF-8 text" in caught.value.explained.remedy


def test_an_overlong_or_unreadable_header_is_refused(tmp_path: Path) -> None:
    """A header that can't be read spoils the file, not one line."""
    with pytest.raises(OrderFileError, match="longer than"):
        read(tmp_path, "x" * (MAX_LINE_CHARACTERS + 1))
