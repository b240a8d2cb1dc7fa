"""Reading what came back: which replies answer a request, and which are not a node's at all.

It must not know sockets, retries or time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

import msgspec

from wallet.answers import Answer, Batch, BatchItem, Problem, Submitted
from wallet.errors import ProtocolError, WalletError
from wallet.submission import RETRY_STATUSES, Submission
from wallet.transport import Lost, Reply

T = TypeVar("T")
_SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})


class Refused(WalletError):
    """A node refused a request; `problem` is what it said."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} {problem.detail}", problem.remedy)
        self.problem = problem


class NotFound(Refused):
    """The node that answered has executed nothing of that name."""


def decode_json(type_: type[T]) -> Callable[[Reply], T]:
    """A decoder of JSON answers; it raises ProtocolError."""

    def decode(reply: Reply) -> T:
        try:
            return msgspec.json.decode(reply.body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_a_node(reply) from error

    return decode


def decode_bytes(reply: Reply) -> bytes:
    """The body of an answer in canonical MessagePack; raises ProtocolError for another media type."""
    if reply.media_type != "application/msgpack":
        raise not_a_node(reply)
    return reply.body


def success(reply: Reply, decode: Callable[[Reply], T]) -> T:
    """The decoded answer of a read. Raises NotFound, Refused, ProtocolError; Lost where a proxy failed."""
    if reply.status == HTTPStatus.OK:
        return decode(reply)
    problem = _problem(reply)
    if problem is None and reply.status in RETRY_STATUSES:
        raise Lost(f"{reply.url} answered with status {reply.status} from something in front of it")
    if problem is None:
        raise not_a_node(reply)
    raise NotFound(problem) if problem.status == HTTPStatus.NOT_FOUND else Refused(problem)


def judge(reply: Reply, submission: Submission) -> tuple[Answer | None, Problem | None]:
    """The result that a reply settles, if it does, and the problem that it told, if any."""
    submitted = _decoded(reply, Submitted) if reply.status in _SUCCESS else None
    if submitted is not None:
        return submission.answered(submitted), None
    problem = _problem(reply)
    if problem is not None:
        return submission.refused(problem), problem
    if not is_strange(reply):
        submission.lost()
    return None, None


def judge_batch(
    reply: Reply, submissions: Sequence[Submission]
) -> tuple[Sequence[Answer | None], Problem | None]:
    """As `judge`, one result a submission; the problem is the first that was told."""
    batch = _decoded(reply, Batch) if reply.status in _SUCCESS else None
    if batch is not None and len(batch.results) == len(submissions):
        problems = [item.problem for item in batch.results if item.problem is not None]
        judged = [_judge_item(item, its) for item, its in zip(batch.results, submissions, strict=True)]
        return judged, next(iter(problems), None)
    problem = _problem(reply)
    if problem is not None:
        # What is wrong with the whole request says nothing about the outcome of a single payment.
        passing = problem.status in RETRY_STATUSES
        whole = problem if passing else msgspec.structs.replace(problem, outcome=None)
        return [its.refused(whole) for its in submissions], problem
    if not is_strange(reply):
        for submission in submissions:
            submission.lost()
    return [None] * len(submissions), None


def is_strange(reply: Reply) -> bool:
    """Whether neither a node wrote this nor anything in front of one that may have passed the request on."""
    ours = reply.status in _SUCCESS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return not ours and reply.status not in RETRY_STATUSES and _problem(reply) is None


def not_a_node(reply: Reply) -> ProtocolError:
    """What to raise for such a reply."""
    return ProtocolError(
        f"{reply.url} answered with status {reply.status} and {reply.media_type}, not as a Nostro node does.",
        "Check that the URL is that of a node's API, and that the node is no older than this wallet.",
    )


def _judge_item(item: BatchItem, submission: Submission) -> Answer | None:
    if item.answer is not None:
        return submission.answered(item.answer)
    if item.problem is not None:
        return submission.refused(item.problem)
    submission.lost()
    return None


def _problem(reply: Reply) -> Problem | None:
    return _decoded(reply, Problem) if reply.media_type == "application/problem+json" else None


def _decoded(reply: Reply, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(reply.body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
