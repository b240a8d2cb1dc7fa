"""Submission: one envelope, a batch, or a trial. Starlette routes with msgspec, for these carry the load.

Knows the two forms of an envelope (canonical bytes, JSON) and what an answer looks like. Must not know how an
envelope is checked, ordered or executed: the Host says what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.guard import media_type
from api.limits import DEFAULT_TIMEOUT_MS, MAX_BATCH_ENVELOPES, MAX_TIMEOUT_MS, MIN_TIMEOUT_MS
from api.ports import DecidedBy, Host, Status, SubmitAnswer, Wait
from api.problems import (
    OUTCOME_KINDS,
    RETRY_AFTER_S,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    RequestProblem,
    bad_field,
    problem_of,
    respond,
)
from api.reading import JSON, MSGPACK, negotiate, position_headers
from api.render import simulate_shape, submit_shape
from api.shapes import BatchItemShape, BatchShape
from api.text import author_text, shown
from ledger.codec import Malformed, decode
from ledger.json_form import Names, envelope_from_json, format_uuid
from ledger.outcome import OUTCOMES, Outcome

PAYMENTS_PATH: Final = "/v1/payments"
BATCH_PATH: Final = "/v1/payments/batch"
SIMULATE_PATH: Final = "/v1/simulate"

T = TypeVar("T")

_FORESEEN: Final = frozenset({Outcome.BAD_SIGNATURE, Outcome.EXPIRED, Outcome.NOT_YET_VALID})
"""What a node would refuse by itself, and a trial can still tell; its other refusals end the trial."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def submit(request: Request) -> Response:
    """Submit one envelope and answer what became of it."""
    wait, timeout_ms = _submit_query(request)
    negotiate(request, (JSON,))
    host: Host = request.app.state.host
    names = host.names()
    try:
        raw = _one_envelope(request, await request.body(), names)
    except Malformed as error:
        return respond(_malformed(error, PAYMENTS_PATH))
    answer = await host.submit(raw, wait, timeout_ms)
    return _answer(answer, names.network_name)


async def submit_batch(request: Request) -> Response:
    """Submit up to 1,000 envelopes; a result for each, in their order."""
    wait, timeout_ms = _submit_query(request)
    negotiate(request, (JSON,))
    host: Host = request.app.state.host
    names = host.names()
    parsed = _envelopes(request, await request.body(), names)
    raws = [item for item in parsed if isinstance(item, bytes)]
    answers = iter(await host.submit_batch(raws, wait, timeout_ms) if raws else ())
    results = tuple(
        BatchItemShape(None, item) if isinstance(item, Problem) else _item(next(answers), names.network_name)
        for item in parsed
    )
    return Response(_encode(BatchShape(results)), 200, {"Cache-Control": "no-store"}, JSON)


async def simulate(request: Request) -> Response:
    """The outcome that an envelope would have now; nothing is submitted."""
    _query(request, frozenset())
    negotiate(request, (JSON,))
    host: Host = request.app.state.host
    names = host.names()
    try:
        raw = _one_envelope(request, await request.body(), names)
    except Malformed as error:
        return respond(_malformed(error, SIMULATE_PATH))
    answer = await host.simulate(raw)
    if not (OUTCOMES[answer.outcome].on_chain or answer.outcome in _FORESEEN):
        return respond(_by_node(answer.outcome, answer.detail, SIMULATE_PATH))
    headers = {**position_headers(answer.position), "Cache-Control": "no-store"}
    return Response(_encode(simulate_shape(answer, names.network_name)), 200, headers, JSON)


SUBMIT_ROUTES: Final = (
    Route(PAYMENTS_PATH, submit, methods=["POST"]),
    Route(BATCH_PATH, submit_batch, methods=["POST"]),
    Route(SIMULATE_PATH, simulate, methods=["POST"]),
)


def _query(request: Request, known: frozenset[str]) -> dict[str, str]:
    text = request.scope["query_string"]
    if not text:
        return {}
    found: dict[str, str] = {}
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            raise bad_field(shown(name), f"The query's {shown(name)} is not known here.")
        if name in found:
            raise bad_field(name, f"The query has {name} twice.")
        found[name] = value
    return found


_SUBMIT_QUERY: Final = frozenset({"wait", "timeout_ms"})
_WAITS: Final = {wait.value: wait for wait in Wait}


def _submit_query(request: Request) -> tuple[Wait, int]:
    query = _query(request, _SUBMIT_QUERY)
    wait = _WAITS.get(query.get("wait", Wait.EXECUTED))
    if wait is None:
        raise bad_field("wait", f"{shown(query['wait'])} is none of {', '.join(_WAITS)}.")
    timeout = query.get("timeout_ms", str(DEFAULT_TIMEOUT_MS))
    in_form = timeout.isascii() and timeout.isdecimal() and len(timeout) <= len(str(MAX_TIMEOUT_MS))
    if not in_form or not MIN_TIMEOUT_MS <= int(timeout) <= MAX_TIMEOUT_MS:
        raise bad_field(
            "timeout_ms", f"{shown(timeout)} is not a number from {MIN_TIMEOUT_MS} to {MAX_TIMEOUT_MS}."
        )
    return wait, int(timeout)


def _one_envelope(request: Request, body: bytes, names: Names) -> bytes:
    """The envelope's canonical bytes. Raises Malformed where the JSON form doesn't make an envelope."""
    media = media_type(request.scope)
    if media == MSGPACK:
        return body
    if media == JSON:
        return _from_json(body, names)
    raise _unsupported(media)


def _from_json(body: bytes | msgspec.Raw, names: Names) -> bytes:
    try:
        form = _decode_object(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not a JSON object: {error}", Outcome.NOT_CANONICAL) from error
    return envelope_from_json(form, names)


def _unsupported(media: str) -> RequestProblem:
    return RequestProblem(
        UNSUPPORTED_MEDIA_TYPE,
        f"The body is {shown(media) if media else 'of no declared type'}, not {JSON} or {MSGPACK}.",
        headers={"Accept-Post": f"{JSON}, {MSGPACK}"},
    )


def _envelopes(request: Request, body: bytes, names: Names) -> Sequence[bytes | Problem]:
    """A batch's envelopes; an item whose JSON form makes none is its problem instead."""
    media = media_type(request.scope)
    if media not in (MSGPACK, JSON):
        raise _unsupported(media)
    try:
        if media == MSGPACK:
            return _counted(decode(body, tuple[bytes, ...]))
        return [_from_json_item(item, names) for item in _counted(_decode_list(body))]
    except (Malformed, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_field("body", f"The body is not an array of envelopes: {error}") from error


def _counted(items: Sequence[T]) -> Sequence[T]:
    if len(items) > MAX_BATCH_ENVELOPES:
        raise bad_field(
            "body", f"The batch has {len(items)} envelopes; at most {MAX_BATCH_ENVELOPES} are taken at once."
        )
    return items


def _from_json_item(item: msgspec.Raw, names: Names) -> bytes | Problem:
    try:
        return _from_json(item, names)
    except Malformed as error:
        return _malformed(error, BATCH_PATH)


def _malformed(error: Malformed, instance: str) -> Problem:
    return _by_node(error.outcome, error.reason, instance)


def _by_node(outcome: Outcome, detail: str | None, instance: str) -> Problem:
    problem = problem_of(OUTCOME_KINDS[outcome], detail or OUTCOMES[outcome].sentence, instance)
    return msgspec.structs.replace(problem, outcome=int(outcome), decided_by=DecidedBy.NODE.value)


def _answer(answer: SubmitAnswer, network_name: str) -> Response:
    if answer.decided_by is DecidedBy.NODE:
        return respond(_problem(answer, network_name), _retry_headers(answer))
    tx_id, author = _names_of(answer, network_name)
    headers = {"Cache-Control": "no-store"}
    status = 200
    if answer.status is Status.PENDING:
        status = 202
        headers["Location"] = f"{PAYMENTS_PATH}/{tx_id}?author={quote(author)}"
    return Response(_encode(submit_shape(answer, tx_id, author)), status, headers, JSON)


def _item(answer: SubmitAnswer, network_name: str) -> BatchItemShape:
    if answer.decided_by is DecidedBy.NODE:
        return BatchItemShape(None, _problem(answer, network_name))
    return BatchItemShape(submit_shape(answer, *_names_of(answer, network_name)))


def _names_of(answer: SubmitAnswer, network_name: str) -> tuple[str, str]:
    """Id and author as text; empty for bytes so malformed that they have none."""
    tx_id = "" if answer.tx_id is None else format_uuid(answer.tx_id)
    return tx_id, "" if answer.author is None else author_text(network_name, answer.author)


def _problem(answer: SubmitAnswer, network_name: str) -> Problem:
    outcome = Outcome.UNKNOWN if answer.outcome is None else answer.outcome
    tx_id, author = _names_of(answer, network_name)
    return msgspec.structs.replace(
        _by_node(outcome, answer.detail, f"{PAYMENTS_PATH}/{tx_id}" if tx_id else PAYMENTS_PATH),
        tx_id=tx_id or None,
        author=author or None,
        leader=None if answer.leader is None else answer.leader.node,
        leader_url=None if answer.leader is None else answer.leader.url,
    )


def _retry_headers(answer: SubmitAnswer) -> dict[str, str]:
    if answer.retry_after_ms is None:
        return {}
    return {"Retry-After": str(max(RETRY_AFTER_S, -(-answer.retry_after_ms // 1000)))}
