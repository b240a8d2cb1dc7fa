"""An example of each type of problem that an operation can answer with, for the API's description.

Must not know of routes, nor which of them answers with which problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from api.problems import (
    AMBIGUOUS_ID,
    BAD_REQUEST,
    BLOCK_PRUNED,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    HEAD_TOO_LARGE,
    HEAD_TOO_SLOW,
    HEIGHT_NOT_REACHED,
    INTERNAL,
    NOT_ACCEPTABLE,
    NOT_CERTIFIED,
    NOT_FOUND,
    OUTCOME_KINDS,
    RETIRED,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    ProblemKind,
    problem_of,
)
from ledger.outcome import Outcome

_DETAILS: Final[Mapping[ProblemKind, str]] = {
    BAD_REQUEST: "The query's 'timeout_ms': Input should be less than or equal to 60000.",
    NOT_FOUND: "There is no block 4 here: this node has executed heights 1 to 3.",
    NOT_ACCEPTABLE: "The answer comes as application/json.",
    BODY_TOO_SLOW: "The body was not complete 10000 ms after the headers.",
    HEAD_TOO_SLOW: "The headers were not complete after 10000 ms.",
    AMBIGUOUS_ID: "The id 019c1b6f-5000-7a3b-8f00-5a1b2c3d4e5f was used by 2 authors: name one of them.",
    NOT_CERTIFIED: "Payment 019c1b6f50007a3b8f005a1b2c3d4e5f stands in block 3; this node holds certificates "
    "up to height 2.",
    BLOCK_PRUNED: "Transactions of blocks up to 2 aren't held here; of block 2 beta-1 held it when they "
    "connected.",
    BODY_TOO_LARGE: "The body has more than the 69632 bytes that are taken here.",
    UNSUPPORTED_MEDIA_TYPE: "The body is 'text/plain', not application/json or application/msgpack.",
    HEAD_TOO_LARGE: "The request's line and headers have more than 16384 bytes.",
    INTERNAL: "LookupError while answering GET '/v1/blocks'.",
    RETIRED: "This node hears of no block after 3.",
    HEIGHT_NOT_REACHED: "Height 4 was not executed within 10000 ms; this node is at 3.",
}
_MORE: Final[Mapping[ProblemKind, Mapping[str, Any]]] = {
    BAD_REQUEST: {"field": "timeout_ms"},
    AMBIGUOUS_ID: {"authors": ("alpha", "beta")},
    OUTCOME_KINDS[Outcome.OVERLOADED]: {"leader": "alpha-1", "leader_url": "https://alpha.example:7100"},
}
_OUTCOMES: Final = {kind: outcome for outcome, kind in OUTCOME_KINDS.items()}


def example_problem(kind: ProblemKind) -> Problem:
    """A problem of this type, as a node sends it."""
    more = dict(_MORE.get(kind, {}))
    if kind in _OUTCOMES:
        more |= {"outcome": int(_OUTCOMES[kind]), "decided_by": "node"}
    return msgspec.structs.replace(problem_of(kind, _DETAILS.get(kind, kind.title)), **more)


def example_name(kind: ProblemKind) -> str:
    """The last word of a problem's type."""
    return kind.urn.rpartition(":")[2]


def problem_examples(kinds: Iterable[ProblemKind]) -> dict[str, Any]:
    """OpenAPI's named examples of some types."""
    return {
        example_name(kind): {
            "summary": kind.title,
            "value": msgspec.json.decode(msgspec.json.encode(example_problem(kind))),
        }
        for kind in kinds
    }
