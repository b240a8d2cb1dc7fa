"""The OpenAPI document: FastAPI's for the reads, this page's for the submissions, schemas from the shapes.

Must not know how a request is answered, only what its answers look like.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import shapes
from api.documented import EVERY_PROBLEM, NO_QUORUM, REF, problem_responses, shape_ref
from api.examples import (
    bytes_examples,
    envelope_example,
    executed_example,
    pending_example,
    refused_example,
    shape_examples,
)
from api.limits import DEFAULT_TIMEOUT_MS, MAX_BATCH_ENVELOPES, MAX_TIMEOUT_MS, MIN_TIMEOUT_MS
from api.ports import Wait
from api.problem_examples import problem_examples
from api.problems import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    OUTCOME_KINDS,
    OWN_KINDS,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    ProblemKind,
)
from api.readable import readable
from api.reading import JSON, MSGPACK
from api.submit import BATCH_PATH, PAYMENTS_PATH, SIMULATE_PATH
from ledger.outcome import Outcome

DESCRIPTION: Final = (
    "Settlement between banks on a permissioned chain. Submissions carry envelopes signed by their "
    "author; reads say in Ledger-Height how new they are. Errors are problems (RFC 9457) with stable types."
)
BATCH_PROBLEMS: Final = (*EVERY_PROBLEM, BODY_TOO_SLOW, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
SIMULATE_PROBLEMS: Final = (
    *BATCH_PROBLEMS,
    NO_QUORUM,
    *(OUTCOME_KINDS[outcome] for outcome in (Outcome.NOT_CANONICAL, Outcome.BAD_FIELD, Outcome.TOO_LARGE)),
    *(OUTCOME_KINDS[outcome] for outcome in (Outcome.TOO_MANY_PENDING, Outcome.STOPPING, Outcome.UNKNOWN)),
)
SUBMIT_PROBLEMS: Final = (
    *SIMULATE_PROBLEMS,
    *(OUTCOME_KINDS[outcome] for outcome in (Outcome.BAD_SIGNATURE, Outcome.ID_USED_WITH_OTHER_CONTENT)),
    OUTCOME_KINDS[Outcome.EXPIRED],
)

_IN_HEX: Final = "Shown in hexadecimal; it comes as bytes."
_NOT_OURS: Final = frozenset({"HTTPValidationError", "ValidationError"})


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
    _show_answers(document["paths"])
    # What FastAPI says of its own form of errors is left behind.
    of_queries = {
        name: value for name, value in document["components"]["schemas"].items() if name not in _NOT_OURS
    }
    document["components"] = {
        "schemas": {**of_queries, **_schemas()},
        "examples": problem_examples((*OWN_KINDS, *OUTCOME_KINDS.values())),
    }
    return readable(document)


def _show_answers(paths: dict[str, Any]) -> None:
    """Give every answer an example: its shape's, or its operation's where it comes in canonical bytes."""
    raw = bytes_examples()
    for methods in paths.values():
        for operation in methods.values():
            content = operation["responses"]["200"]["content"]
            if JSON in content and "examples" not in content[JSON]:
                shape = content[JSON]["schema"]["$ref"].rpartition("/")[2]
                content[JSON]["example"] = shape_examples()[shape]
            if MSGPACK in content:
                shown = {"summary": _IN_HEX, "value": raw[operation["operationId"]].hex()}
                content[MSGPACK]["examples"] = {"hex": shown}


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


def _operation(operation_id: str, description: str, problems: tuple[ProblemKind, ...]) -> dict[str, Any]:
    return {
        "tags": ["payments"],
        "operationId": operation_id,
        "description": description,
        "responses": {str(status): found for status, found in problem_responses(problems).items()},
    }


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
