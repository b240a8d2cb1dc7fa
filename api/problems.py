"""Problems (RFC 9457): one stable type for each thing that can go wrong.

Those of outcomes are made from the outcome table, the others are listed here.

Knows statuses, types, words and how a problem is written. Must not know which route met it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from ledger.outcome import OUTCOMES, Outcome, OutcomeClass

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
"""What a client is told to wait where the node knows nothing better."""


class ProblemKind(msgspec.Struct, frozen=True):
    """A type of problem: `urn` never changes; title and remedy are for people."""

    urn: str
    status: int
    title: str
    remedy: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent. `outcome` and the rest appear only where they are known."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str | None = None
    outcome: int | None = None
    decided_by: str | None = None
    tx_id: str | None = None
    author: str | None = None
    authors: tuple[str, ...] = ()
    field: str | None = None
    leader: str | None = None
    leader_url: str | None = None


def _own(name: str, status: int, title: str, remedy: str) -> ProblemKind:
    return ProblemKind(f"urn:nostro:problem:{name}", status, title, remedy)


BAD_REQUEST: Final = _own(
    "bad_request",
    400,
    "A part of the request is not what this route takes.",
    "Correct the field that is named; /docs shows what each route takes.",
)
UNKNOWN_PATH: Final = _own(
    "unknown_path", 404, "There is nothing at this path.", "See /docs for the paths that there are."
)
NOT_FOUND: Final = _own(
    "not_found",
    404,
    "The node has executed nothing of that name.",
    "Check the name; if it may be newer than Ledger-Height, ask again with min_height.",
)
METHOD_NOT_ALLOWED: Final = _own(
    "method_not_allowed",
    405,
    "This path does not take that method.",
    "Use one of the methods in the Allow header.",
)
NOT_ACCEPTABLE: Final = _own(
    "not_acceptable",
    406,
    "The answer has no form that the Accept header allows.",
    "Ask for one of the media types that are named.",
)
BODY_TOO_SLOW: Final = _own(
    "body_too_slow",
    408,
    "The request's body did not arrive in time.",
    "Send the whole body at once; nothing was submitted.",
)
HEAD_TOO_SLOW: Final = _own(
    "head_too_slow",
    408,
    "The request's headers did not arrive in time.",
    "Send the whole request at once; nothing was submitted.",
)
AMBIGUOUS_ID: Final = _own(
    "ambiguous_id",
    409,
    "Several authors have used this transaction id.",
    "Name the author in the query: ?author=, one of those listed.",
)
NOT_CERTIFIED: Final = _own(
    "not_certified",
    409,
    "What was asked for is executed, but no certificate covers it yet.",
    "Ask again in a moment: the banks certify each block shortly after executing it. If that goes on, see in "
    "/v1/cluster whether there is a quorum, or ask another node.",
)
BLOCK_PRUNED: Final = _own(
    "block_pruned",
    410,
    "This node holds the block's header and outcomes, but not its transactions any more.",
    "Ask one of the nodes that are named, or a node that keeps all blocks.",
)
BODY_TOO_LARGE: Final = _own(
    "body_too_large",
    413,
    "The request's body is larger than this route takes.",
    "Send less at once; larger sets of payments go in several batches.",
)
UNSUPPORTED_MEDIA_TYPE: Final = _own(
    "unsupported_media_type",
    415,
    "The body's media type is not one that this route takes.",
    "Send application/json, or application/msgpack with the envelope's canonical bytes.",
)
HEAD_TOO_LARGE: Final = _own(
    "head_too_large",
    431,
    "The request's line and headers are larger than the node takes.",
    "Send shorter headers and a shorter query.",
)
INTERNAL: Final = _own(
    "internal",
    500,
    "The node failed to answer; its log says why.",
    "Tell the bank that runs the node. A payment's outcome can be asked by id at any node.",
)
RETIRED: Final = _own(
    "retired",
    503,
    "The members let this node go: what it knows has stopped.",
    "Ask another node.",
)
HEIGHT_NOT_REACHED: Final = _own(
    "height_not_reached",
    503,
    "The node did not execute the height that was asked for in time.",
    "Ask again, allow a longer timeout_ms, or ask another node.",
)

OWN_KINDS: Final = (
    BAD_REQUEST,
    UNKNOWN_PATH,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    BODY_TOO_SLOW,
    HEAD_TOO_SLOW,
    AMBIGUOUS_ID,
    NOT_CERTIFIED,
    BLOCK_PRUNED,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    HEAD_TOO_LARGE,
    INTERNAL,
    RETIRED,
    HEIGHT_NOT_REACHED,
)

_STATUS_OF_CLASS: Final = {
    OutcomeClass.MALFORMED: 400,
    OutcomeClass.AUTH: 403,
    OutcomeClass.CONFLICT: 409,
    OutcomeClass.STATE: 422,
    OutcomeClass.NODE: 503,
}
_STATUS_OF_OUTCOME: Final = {
    Outcome.TOO_LARGE: 413,
    Outcome.EXPIRED: 422,
    Outcome.NOT_YET_VALID: 422,
    Outcome.UNKNOWN: 504,
    Outcome.TOO_MANY_PENDING: 429,
}


def _of_outcome(outcome: Outcome) -> ProblemKind:
    info = OUTCOMES[outcome]
    status = _STATUS_OF_OUTCOME.get(outcome, _STATUS_OF_CLASS[info.class_])
    return ProblemKind(f"urn:nostro:outcome:{info.name}", status, info.sentence, info.remedy)


OUTCOME_KINDS: Final[Mapping[Outcome, ProblemKind]] = {
    outcome: _of_outcome(outcome) for outcome in Outcome if outcome is not Outcome.EXECUTED
}


class RequestProblem(Exception):
    """Ends a request with a problem. `headers` go along, such as Allow and Retry-After."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})


def bad_field(field: str, detail: str) -> RequestProblem:
    """A bad request that names the part of it that is wrong."""
    return RequestProblem(BAD_REQUEST, detail, field=field)


def problem_of(kind: ProblemKind, detail: str, instance: str | None = None) -> Problem:
    """A problem of a kind; what else is known of it is added with msgspec.structs.replace."""
    return Problem(
        type=kind.urn,
        title=kind.title,
        status=kind.status,
        detail=detail,
        remedy=kind.remedy,
        instance=instance,
    )


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response that carries a problem; 429 and 503 say when to come back."""
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if problem.status in (429, 503) and "Retry-After" not in sent:
        sent["Retry-After"] = str(RETRY_AFTER_S)
    return Response(msgspec.json.encode(problem), problem.status, sent, MEDIA_TYPE)
