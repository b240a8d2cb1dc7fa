"""Makes the OpenAPI document worth reading: a summary for each operation, schemas under plain names, tags.

Must not know what the routes or the shapes are.
"""

from __future__ import annotations

import re
from typing import Any, Final

TAGS: Final = (
    {"name": "payments", "description": "Submit signed envelopes, and ask what became of them."},
    {"name": "accounts", "description": "Balances, histories, and proofs of both."},
    {"name": "blocks", "description": "The chain itself, as auditors read it."},
    {"name": "network", "description": "Who takes part, under which rules, and how this node is."},
)
_SUFFIX: Final = "Shape"
_END_OF_CLAUSE: Final = re.compile(r"[.:;](?: |$)")


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its operations summed up, its tags described, its schemas named plainly."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["summary"] = summary(operation["description"])
    named: dict[str, Any] = _plain(document)
    schemas = named["components"]["schemas"]
    named["components"]["schemas"] = {_name(name): schema for name, schema in schemas.items()}
    return {**named, "tags": list(TAGS)}


def summary(description: str) -> str:
    """What stands before the first full stop, colon or semicolon."""
    return _END_OF_CLAUSE.split(description, maxsplit=1)[0]


def _plain(value: Any) -> Any:
    """The value with every reference to a schema, and every schema's title, without the suffix."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _name(item) if key in ("$ref", "title") and isinstance(item, str) else _plain(item)
        for key, item in value.items()
    }


def _name(text: str) -> str:
    return text.removesuffix(_SUFFIX)
