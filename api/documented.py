"""What a route's description in OpenAPI is made from: operation id, the shape of its answer, its problems.

Must not know the routes; api.openapi puts the schemas and examples in.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from api.problems import MEDIA_TYPE
from api.reading import JSON, MSGPACK

REF: Final = "#/components/schemas/{name}"

READ_HEADERS: Final = {
    "Ledger-Height": {
        "description": "The height that the answer is at least as new as.",
        "schema": {"type": "integer"},
    },
    "Ledger-Time": {
        "description": "That block's time, in milliseconds since 1970.",
        "schema": {"type": "integer"},
    },
}
_ENTITY_TAG: Final = {"ETag": {"description": "Strong entity tag.", "schema": {"type": "string"}}}


def shape_ref(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """A reference to a shape's schema."""
    return {"$ref": REF.format(name=shape.__name__)}


def problem_response(status: int) -> dict[str, Any]:
    """The description of a problem's response."""
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}},
    }


def documented(
    operation_id: str,
    shape: type[msgspec.Struct] | None,
    *problems: int,
    also_msgpack: bool = False,
    cached: bool = False,
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route of a read. Without a shape its answer is canonical bytes only."""
    content: dict[str, Any] = {}
    if shape is not None:
        content[JSON] = {"schema": shape_ref(shape)}
    if shape is None or also_msgpack:
        content[MSGPACK] = {"schema": {"type": "string", "format": "binary"}}
    headers = {**READ_HEADERS, **(_ENTITY_TAG if cached else {})}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "OK", "content": content, "headers": headers}
    }
    if cached:
        responses[304] = {"description": "The client has it already.", "headers": headers}
    for status in problems:
        responses[status] = problem_response(status)
    return {"operation_id": operation_id, "responses": responses, "response_class": Response}
