"""The OpenAPI document: FastAPI's for the reads, this page's for the submissions, schemas from the shapes.

Must not know how a request is answered, only what its answers look like.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import shapes
from api.documented import REF, problem_response, shape_ref
from api.examples import (
    envelope_example,
    executed_example,
    pending_example,
    problem_example,
    refused_example,
)
from api.limits import DEFAULT_TIMEOUT_MS, MAX_BATCH_ENVELOPES, MAX_TIMEOUT_MS, MIN_TIMEOUT_MS
from api.ports import Wait
from api.problems import MEDIA_TYPE, Problem
from api.readable import readable
from api.reading import JSON, MSGPACK
from api.submit import BATCH_PATH, PAYMENTS_PATH, SIMULATE_PATH
from ledger.outcome import Outcome

DESCRIPTION: Final = (
    "Settlement between banks on a permissioned chain. Submissions carry envelopes signed by their "
    "author; reads say in Ledger-Height how new they are. Errors are problems (RFC 9457) with stable types."
)
SUBMIT_PROBLEMS: Final = (400, 403, 406, 408, 409, 413, 415, 422, 429, 503, 504)
SIMULATE_PROBLEMS: Final = (400, 406, 408, 413, 415, 429, 503, 504)
BATCH_PROBLEMS: Final = (400, 406, 408, 413, 415)

_NOT_OURS: Final = frozenset({"HTTPValidationError", "ValidationError"})
_PROBLEM_EXAMPLES: Final = {
    400: Outcome.NOT_CANONICAL,
    403: Outcome.BAD_SIGNATURE,
    409: Outcome.ID_USED_WITH_OTHER_CONTENT,
    422: Outcome.INSUFFICIENT_FUNDS,
    429: Outcome.TOO_MANY_PENDING,
    503: Outcome.NO_QUORUM,
    504: Outcome.UNKNOWN,
}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The whole document for this application."""
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    reads = document["paths"]
    for path in reads.values():
        for operation in path.values():
            # FastAPI adds its own answer to a bad query; ours is 400.
            operation["responses"].pop("422", None)
    submissions = {
        PAYMENTS_PATH: {"post": _submit_operation()},
        BATCH_PATH: {"post": _batch_operation()},
        SIMULATE_PATH: {"post": _simulate_operation()},
    }
    document["paths"] = {**submissions, **reads}
    # What FastAPI says of its own form of errors is left behind.
    of_queries = {
        name: value for name, value in document["components"]["schemas"].items() if name not in _NOT_OURS
    }
    document["components"] = {"schemas": {**of_queries, **_schemas()}}
    return readable(document)


def _schemas() -> dict[str, Any]:
    found = [value for value in vars(shapes).values() if _is_shape(value)]
    _, components = msgspec.json.schema_components([*found, Problem], ref_template=REF)
    components["Envelope"] = _envelope_schema()
    return components


def _is_shape(value: object) -> bool:
    if not isinstance(value, type) or not issubclass(value, msgspec.Struct):
        return False
    return value.__module__ == shapes.__name__


def _envelope_schema() -> dict[str, Any]:
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    number = {"type": "integer", "minimum": 0}
    fields = {
        "version": {"const": 1},
        "network_id": text,
        "tx_id": text,
        "author": text,
        "kind": text,
        "body": {"type": "object"},
        "valid_from_ms": number,
        "valid_until_ms": number,
        "signers": texts,
        "signatures": texts,
    }
    return {
        "type": "object",
        "description": "An envelope in its human form; what is signed are the bytes it stands for.",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
        "examples": [envelope_example()],
    }


def _operation(operation_id: str, description: str, problems: tuple[int, ...]) -> dict[str, Any]:
    return {
        "tags": ["payments"],
        "operationId": operation_id,
        "description": description,
        "responses": {str(status): _problem(status) for status in problems},
    }


def _problem(status: int) -> dict[str, Any]:
    response = problem_response(status)
    if status in _PROBLEM_EXAMPLES:
        response["content"][MEDIA_TYPE]["example"] = problem_example(_PROBLEM_EXAMPLES[status])
    return response


def _envelope_body() -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": REF.format(name="Envelope")}}, MSGPACK: {"schema": _BYTES}}
    return {"required": True, "content": content}


_BYTES: Final = {"type": "string", "format": "binary"}

_SUBMIT_PARAMETERS: Final = [
    {
        "name": "wait",
        "in": "query",
        "description": "How far to wait: not at all, until executed, or until a majority has certified it.",
        "schema": {"type": "string", "enum": [wait.value for wait in Wait], "default": Wait.EXECUTED.value},
    },
    {
        "name": "timeout_ms",
        "in": "query",
        "description": "How long to wait, in milliseconds; then the answer is 504, unknown.",
        "schema": {
            "type": "integer",
            "minimum": MIN_TIMEOUT_MS,
            "maximum": MAX_TIMEOUT_MS,
            "default": DEFAULT_TIMEOUT_MS,
        },
    },
]


def _submit_operation() -> dict[str, Any]:
    operation = _operation(
        "submitPayment",
        "Submit one envelope. A refusal by the chain is an answer like any other; a refusal by the node is a "
        "problem. Submitting the same bytes again is always safe: they are executed once.",
        SUBMIT_PROBLEMS,
    )
    schema = shape_ref(shapes.SubmitShape)
    answers = {"executed": {"value": executed_example()}, "refused": {"value": refused_example()}}
    operation["responses"]["200"] = {
        "description": "Decided by the chain.",
        "content": {JSON: {"schema": schema, "examples": answers}},
    }
    operation["responses"]["202"] = {
        "description": "Taken, not decided yet.",
        "headers": {"Location": {"description": "Where to ask by id.", "schema": {"type": "string"}}},
        "content": {JSON: {"schema": schema, "example": pending_example()}},
    }
    return {**operation, "parameters": _SUBMIT_PARAMETERS, "requestBody": _envelope_body()}


def _batch_operation() -> dict[str, Any]:
    operation = _operation(
        "submitBatch",
        f"Submit up to {MAX_BATCH_ENVELOPES:,} envelopes: a JSON array of them, or a canonical MessagePack "
        "array of byte strings. The results are in the same order; each is an answer or a problem.",
        BATCH_PROBLEMS,
    )
    operation["responses"]["200"] = {
        "description": "A result for each envelope.",
        "content": {JSON: {"schema": shape_ref(shapes.BatchShape)}},
    }
    envelopes = {
        "type": "array",
        "items": {"$ref": REF.format(name="Envelope")},
        "maxItems": MAX_BATCH_ENVELOPES,
    }
    body = {"required": True, "content": {JSON: {"schema": envelopes}, MSGPACK: {"schema": _BYTES}}}
    return {**operation, "parameters": _SUBMIT_PARAMETERS, "requestBody": body}


def _simulate_operation() -> dict[str, Any]:
    operation = _operation(
        "simulatePayment",
        "The outcome that the envelope would have if it came next. Nothing is submitted.",
        SIMULATE_PROBLEMS,
    )
    operation["responses"]["200"] = {
        "description": "The outcome it would have.",
        "content": {JSON: {"schema": shape_ref(shapes.SimulateShape)}},
    }
    return {**operation, "requestBody": _envelope_body()}
