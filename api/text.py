"""Ids and numbers as they stand in paths and queries, from text and to text.

Parsing raises a bad request that names the field. Must not know of routes, nor whether what is named exists.
"""

from __future__ import annotations

import re
from typing import Final

from api.limits import MAX_HEIGHT, MAX_PLACE_HEIGHT, MAX_PLACE_INDEX
from api.ports import Place
from api.problems import bad_field
from ledger import json_form
from ledger.codec import Malformed
from ledger.fields import ACCOUNT_ID_BYTES
from ledger.json_form import Names, parse_uuid
from ledger.keys import address, parse_address

MAX_NAMED_CHARS: Final = 100
"""How much of a wrong value is repeated in a problem."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,18})\.(0|[1-9][0-9]{0,9})")


def author_text(network_name: str, author: bytes) -> str:
    """An author: an account's address, or a member's id."""
    if len(author) == ACCOUNT_ID_BYTES:
        return address(network_name, author)
    return author.decode("ascii")


def cursor_text(place: Place) -> str:
    """A place as the cursor of a page."""
    return f"{place.height}.{place.index}"


def shown(text: str) -> str:
    """A value that a client sent, short enough to be repeated to it."""
    return repr(text if len(text) <= MAX_NAMED_CHARS else text[:MAX_NAMED_CHARS] + "…")


def parse_tx_id(text: str) -> bytes:
    """The 16 bytes of a transaction id given as a UUID's text."""
    try:
        return parse_uuid(text[:MAX_NAMED_CHARS], "tx_id")
    except Malformed as error:
        raise bad_field("tx_id", str(error)) from error


def parse_account(text: str, network_name: str) -> bytes:
    """The 21 bytes of an account given by its address on this network."""
    try:
        return parse_address(text, network_name)
    except Malformed as error:
        raise bad_field("address", str(error)) from error


def parse_author(text: str, names: Names) -> bytes:
    """An author given as an account's address or a member's id."""
    try:
        return json_form.parse_author(text, names)
    except Malformed as error:
        raise bad_field("author", str(error)) from error


def parse_cursor(text: str) -> Place:
    """The place that a page's cursor names."""
    found = _CURSOR.fullmatch(text)
    if found is None or int(found[1]) > MAX_PLACE_HEIGHT or int(found[2]) > MAX_PLACE_INDEX:
        raise bad_field("cursor", f"{shown(text)} is not a cursor: take it from the page before, as `next`.")
    return Place(int(found[1]), int(found[2]))


def parse_block(text: str) -> int | bytes | None:
    """A block given as a height, as a hash of 64 hexadecimal digits, or as `latest` (None)."""
    if text == "latest":
        return None
    if _HASH.fullmatch(text) is not None:
        return bytes.fromhex(text)
    if _NUMBER.fullmatch(text) is not None and int(text) <= MAX_HEIGHT:
        return int(text)
    raise bad_field(
        "block",
        f"{shown(text)} is not a block: a height, a hash of 64 lower-case hexadecimal digits, or latest.",
    )
