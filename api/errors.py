"""Turns whatever ends a request early into a problem. Must not know which route it was."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.ports import Ambiguous, BlockPruned, Host, HostProblem, NoQuorum, NotCertified, NotFound
from api.problems import (
    AMBIGUOUS_ID,
    BAD_REQUEST,
    BLOCK_PRUNED,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_CERTIFIED,
    NOT_FOUND,
    OUTCOME_KINDS,
    UNKNOWN_PATH,
    Problem,
    ProblemKind,
    RequestProblem,
    problem_of,
    respond,
)
from api.reading import position_headers
from api.text import MAX_NAMED_CHARS, author_text, shown
from ledger.outcome import Outcome

_HOST_KINDS: Final[dict[type[HostProblem], ProblemKind]] = {
    NotFound: NOT_FOUND,
    Ambiguous: AMBIGUOUS_ID,
    NotCertified: NOT_CERTIFIED,
    BlockPruned: BLOCK_PRUNED,
    NoQuorum: OUTCOME_KINDS[Outcome.NO_QUORUM],
}


def add_error_answers(app: FastAPI) -> None:
    """Have the application answer every error with a problem."""
    app.add_exception_handler(RequestProblem, _on_request_problem)
    app.add_exception_handler(HostProblem, _on_host_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    # Starlette answers with this one and raises the exception again, so that the server logs it.
    app.add_exception_handler(500, _on_failure)


def _respond(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    sent = dict(headers or {})
    position = getattr(request.state, "position", None)
    if position is not None:
        sent.update(position_headers(position))
    return respond(problem, sent)


async def _on_request_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestProblem):
        raise error
    problem = problem_of(error.kind, error.detail, request.url.path)
    return _respond(request, msgspec.structs.replace(problem, field=error.field), error.headers)


async def _on_host_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HostProblem):
        raise error
    problem = problem_of(_HOST_KINDS[type(error)], error.detail, request.url.path)
    host: Host = request.app.state.host
    match error:
        case Ambiguous(authors=authors):
            network_name = host.names().network_name
            named = tuple(author_text(network_name, author) for author in authors)
            problem = msgspec.structs.replace(problem, authors=named)
        case NoQuorum(leader=leader):
            problem = msgspec.structs.replace(
                problem,
                outcome=int(Outcome.NO_QUORUM),
                decided_by="node",
                leader=None if leader is None else leader.node,
                leader_url=None if leader is None else leader.url,
            )
    return _respond(request, problem)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found: dict[str, Any] = error.errors()[0]
    field = ".".join(str(part) for part in found["loc"][1:])[:MAX_NAMED_CHARS]
    detail = f"The {found['loc'][0]}'s {shown(field)}: {found['msg']}."
    problem = problem_of(BAD_REQUEST, detail, request.url.path)
    return _respond(request, msgspec.structs.replace(problem, field=field))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path = shown(request.url.path)
    if error.status_code == METHOD_NOT_ALLOWED.status:
        problem = problem_of(METHOD_NOT_ALLOWED, f"{path} does not take {request.method}.", request.url.path)
    elif error.status_code == UNKNOWN_PATH.status:
        problem = problem_of(UNKNOWN_PATH, f"There is nothing at {path}.", request.url.path)
    else:
        problem = problem_of(BAD_REQUEST, f"{path}: {error.detail}", request.url.path)
    return _respond(request, problem, dict(error.headers or {}))


async def _on_failure(request: Request, error: Exception) -> Response:
    detail = f"{type(error).__name__} while answering {request.method} {shown(request.url.path)}."
    return _respond(request, problem_of(INTERNAL, detail, request.url.path))
