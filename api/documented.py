"""What a route's description in OpenAPI is made from: operation id, the shape of its answer, its problems.

Must not know the routes; api.openapi puts the schemas and the examples of answers in.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
from starlette.responses import Response

from api.problem_examples import example_name
from api.problems import (
    BAD_REQUEST,
    HEAD_TOO_LARGE,
    HEAD_TOO_SLOW,
    HEIGHT_NOT_REACHED,
    INTERNAL,
    MEDIA_TYPE,
    NOT_ACCEPTABLE,
    OUTCOME_KINDS,
    RETIRED,
    ProblemKind,
)
from api.reading import JSON, MSGPACK
from ledger.outcome import Outcome

REF: Final = "#/components/schemas/{name}"
EXAMPLE_REF: Final = "#/components/examples/{name}"
OVERLOADED: Final = OUTCOME_KINDS[Outcome.OVERLOADED]
NO_QUORUM: Final = OUTCOME_KINDS[Outcome.NO_QUORUM]

EVERY_PROBLEM: Final = (BAD_REQUEST, NOT_ACCEPTABLE, HEAD_TOO_SLOW, HEAD_TOO_LARGE, INTERNAL, OVERLOADED)
"""What any operation may answer with."""
READ_PROBLEMS: Final = (*EVERY_PROBLEM, NO_QUORUM, HEIGHT_NOT_REACHED, RETIRED)
"""What any read may."""

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


def problem_responses(kinds: Iterable[ProblemKind]) -> dict[int | str, dict[str, Any]]:
    """The descriptions of some problems' responses, by status, each with an example of every type."""
    by_status = attrgetter("status")
    return {
        status: _problem_response(status, tuple(same))
        for status, same in groupby(sorted(kinds, key=by_status), by_status)
    }


def _problem_response(status: int, kinds: tuple[ProblemKind, ...]) -> dict[str, Any]:
    names = [example_name(kind) for kind in kinds]
    examples = {name: {"$ref": EXAMPLE_REF.format(name=name)} for name in names}
    content = {"schema": {"$ref": REF.format(name="Problem")}, "examples": examples}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: content}}


def documented(
    operation_id: str,
    shape: type[msgspec.Struct] | None,
    *problems: ProblemKind,
    also_msgpack: bool = False,
    cached: bool = False,
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route of a read. Without a shape its answer is canonical bytes only.

    `problems` are those beside the ones that any read may answer with.
    """
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
    responses |= problem_responses((*READ_PROBLEMS, *problems))
    return {"operation_id": operation_id, "responses": responses, "response_class": Response}
