"""Tests of the address book."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import address_book
from cli.address_book import Entry
from cli.errors import CommandError
from cli.exits import Exit
from ledger.keys import account_id, address

ADDRESS = address("testnet", account_id("ab", "EUR", bytes(16)))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The path of a book that doesn't exist yet."""
    return tmp_path / "wallet" / "accounts.json"


def test_missing_book_is_empty(book: Path) -> None:
    """Nobody has to make one first."""
    assert address_book.read(book) == {}


def test_what_is_added_is_read(book: Path) -> None:
    """Entries stay, and more join them."""
    entry = Entry(ADDRESS, "EUR", "ab", "alice")
    address_book.add(book, {"alice": entry})
    address_book.add(book, {"bob": Entry(ADDRESS)})
    assert address_book.read(book) == {"alice": entry, "bob": Entry(ADDRESS)}


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 65])
def test_unfit_names(book: Path, name: str) -> None:
    """A name is 1 to 64 characters without spaces or control characters."""
    with pytest.raises(CommandError, match="can't name"):
        address_book.add(book, {name: Entry(ADDRESS)})


def test_longest_name(book: Path) -> None:
    """64 characters are taken."""
    address_book.add(book, {"x" * 64: Entry(ADDRESS)})
    assert list(address_book.read(book)) == ["x" * 64]


def test_taken_name_changes_nothing(book: Path) -> None:
    """A name stands for one account: it is never put on another silently."""
    address_book.add(book, {"alice": Entry(ADDRESS)})
    with pytest.raises(CommandError, match="already"):
        address_book.add(book, {"carol": Entry(ADDRESS), "alice": Entry("other")})
    assert list(address_book.read(book)) == ["alice"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 2, "accounts": {}}', b"\xff"])
def test_other_files(book: Path, content: bytes) -> None:
    """A file of another form is named and left alone."""
    book.parent.mkdir()
    book.write_bytes(content)
    with pytest.raises(CommandError, match="not an address book"):
        address_book.read(book)


def test_too_large_a_book(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit isn't read; one at the limit is."""
    address_book.add(book, {"alice": Entry(ADDRESS)})
    size_bytes = book.stat().st_size
    monkeypatch.setattr(address_book, "BOOK_BYTES", size_bytes)
    assert "alice" in address_book.read(book)
    monkeypatch.setattr(address_book, "BOOK_BYTES", size_bytes - 1)
    with pytest.raises(CommandError, match="over"):
        address_book.read(book)


def test_resolve(book: Path) -> None:
    """An address is itself, a name its address, anything else not found."""
    address_book.add(book, {"alice": Entry(ADDRESS)})
    assert address_book.resolve(book, "alice") == ADDRESS
    assert address_book.resolve(book, ADDRESS) == ADDRESS
    with pytest.raises(CommandError) as caught:
        address_book.resolve(book, "zoe")
    assert caught.value.explained.exit is Exit.NOT_FOUND


def test_account_of_key(book: Path) -> None:
    """A key with one account stands for it; with none or several, one must be named."""
    address_book.add(book, {"salary": Entry(ADDRESS, key="alice")})
    assert address_book.account_of_key(book, "alice")[0] == "salary"
    with pytest.raises(CommandError, match="no account for the key"):
        address_book.account_of_key(book, "bob")
    address_book.add(book, {"savings": Entry(ADDRESS, key="alice")})
    with pytest.raises(CommandError, match="salary, savings"):
        address_book.account_of_key(book, "alice")
