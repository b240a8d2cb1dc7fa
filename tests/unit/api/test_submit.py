"""Submissions over HTTP, to a real server around a real ledger."""

from __future__ import annotations

import json

import pytest

from ledger.bodies import Kind, Transfer
from ledger.codec import encode
from ledger.envelope import decode_envelope
from ledger.json_form import envelope_to_json
from ledger.outcome import OUTCOMES, Outcome
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import (
    ISSUANCE_ADDRESS,
    issue,
    open_customer,
    pay_back,
    transaction,
    tx_text,
)
from tests.unit.ledger import sample

PAYMENTS = "/v1/payments"
BATCH = "/v1/payments/batch"


def as_json(host: InstantHost, raw: bytes) -> dict[str, object]:
    """An envelope's JSON form."""
    return envelope_to_json(decode_envelope(raw, sample.LIMITS), host.names())


def test_an_executed_payment_is_answered_with_its_place(api: Api) -> None:
    """200, the outcome from the table, and where it stands."""
    api.post(PAYMENTS, open_customer())
    answer = api.post(PAYMENTS, issue(1))
    assert answer.status == 200
    found = answer.json
    assert found["outcome"]["name"] == "executed"
    assert found["outcome"]["class"] == "success"
    assert (found["tx_id"], found["author"]) == (tx_text(1), ISSUANCE_ADDRESS)
    assert (found["status"], found["decided_by"]) == ("certified", "chain")
    assert (found["height"], found["index"]) == (3, 0)
    assert found["time_ms"] == sample.GENESIS_TIME_MS + 3_000


def test_json_means_the_same_as_the_bytes(api: Api, host: InstantHost) -> None:
    """The JSON form of an envelope is executed as that very envelope."""
    api.post_json(PAYMENTS, as_json(host, open_customer()))
    answer = api.post_json(PAYMENTS, as_json(host, issue(1)))
    assert answer.json["outcome"]["name"] == "executed"
    assert host.blocks[3].body == (issue(1),)


def test_a_refusal_by_the_chain_is_an_answer(api: Api) -> None:
    """200: the chain has decided, and the outcome says against."""
    api.post(PAYMENTS, open_customer())
    answer = api.post(PAYMENTS, pay_back(2, 1))
    assert answer.status == 200
    assert answer.json["outcome"]["name"] == "insufficient_funds"
    assert answer.json["decided_by"] == "chain"


def test_the_same_bytes_again_give_the_first_answer(api: Api, host: InstantHost) -> None:
    """A retry is answered with the first outcome and adds no block."""
    api.post(PAYMENTS, open_customer())
    first = api.post(PAYMENTS, issue(1))
    height = host.position().height
    assert api.post(PAYMENTS, issue(1)).json == first.json
    assert host.position().height == height


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"pay me", "not_canonical"),
        (b"\xc0", "not_canonical"),
        (b"\x93\x01", "not_canonical"),
        (b"", "not_canonical"),
        (open_customer() + b"\x00", "not_canonical"),
        (encode((b"payload", 7)), "bad_field"),
    ],
)
def test_malformed_bytes_are_a_problem(api: Api, body: bytes, name: str) -> None:
    """400 with the outcome's type, and nothing on the chain."""
    answer = api.post(PAYMENTS, body)
    assert answer.status == 400
    assert answer.problem == f"urn:nostro:outcome:{name}"
    assert answer.json["decided_by"] == "node"


def test_a_bad_signature_is_forbidden(api: Api) -> None:
    """403 from the node, with the id so that the client knows which."""
    raw = bytearray(issue(1))
    raw[-1] ^= 1
    answer = api.post(PAYMENTS, bytes(raw))
    assert answer.status == 403
    assert answer.problem == "urn:nostro:outcome:bad_signature"
    assert answer.json["tx_id"] == tx_text(1)


def test_an_id_used_for_something_else_is_a_conflict(api: Api) -> None:
    """409 from the node."""
    api.post(PAYMENTS, open_customer())
    api.post(PAYMENTS, issue(1))
    answer = api.post(PAYMENTS, issue(1, amount=9))
    assert answer.status == 409
    assert answer.problem == "urn:nostro:outcome:id_used_with_other_content"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.EXECUTED])
def test_every_refusal_by_a_node_has_its_status(api: Api, host: InstantHost, outcome: Outcome) -> None:
    """The status goes by the outcome's class; waiting can help where it says Retry-After."""
    host.refuse_with = outcome
    answer = api.post(PAYMENTS, issue(1))
    expected = {1: 400, 2: 403, 3: 409, 4: 422, 5: 503}[outcome // 100]
    special = {101: 413, 500: 422, 501: 422, 504: 504, 505: 429}
    assert answer.status == special.get(outcome, expected)
    assert answer.problem == f"urn:nostro:outcome:{OUTCOMES[outcome].name}"
    assert answer.json["outcome"] == outcome
    assert ("retry-after" in answer.headers) == (answer.status in (429, 503))


def test_without_a_quorum_the_leader_is_hinted_at(api: Api, host: InstantHost) -> None:
    """503 names the leader last heard of and its URL."""
    host.quorum = False
    answer = api.post(PAYMENTS, issue(1))
    assert answer.status == 503
    assert answer.problem == "urn:nostro:outcome:no_quorum"
    assert answer.json["leader"] == "node-alpha"
    assert answer.json["leader_url"] == "https://alpha.example:7100"


def test_a_payment_not_waited_for_is_accepted_with_its_place_to_ask(api: Api, host: InstantHost) -> None:
    """202 and a Location that leads to the payment."""
    host.holding = True
    answer = api.post(f"{PAYMENTS}?wait=none", issue(1))
    assert answer.status == 202
    assert not {"outcome", "decided_by"} & answer.json.keys()
    assert answer.headers["location"] == f"{PAYMENTS}/{tx_text(1)}?author={ISSUANCE_ADDRESS}"
    found = api.get(answer.headers["location"])
    assert (found.status, found.json["status"]) == (200, "pending")
    assert "decided_by" not in found.json
    batch = api.post(f"{PAYMENTS}/batch?wait=none", encode([issue(1)]))
    assert batch.json == {"results": [{"answer": answer.json}]}


def test_time_out_leaves_the_outcome_unknown(api: Api, host: InstantHost) -> None:
    """504 carries the id and says that the same bytes may be sent again."""
    host.holding = True
    answer = api.post(f"{PAYMENTS}?timeout_ms=1", issue(1))
    assert answer.status == 504
    assert answer.problem == "urn:nostro:outcome:unknown"
    assert answer.json["tx_id"] == tx_text(1)
    assert "same bytes again" in answer.json["remedy"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait=soon", "wait"),
        ("wait=", "wait"),
        ("timeout_ms=0", "timeout_ms"),
        ("timeout_ms=60001", "timeout_ms"),
        ("timeout_ms=-1", "timeout_ms"),
        ("timeout_ms=%C2%B2", "timeout_ms"),
        ("timeout_ms=1e3", "timeout_ms"),
        ("colour=red", "'colour'"),
        ("wait=none&wait=none", "wait"),
    ],
)
def test_a_wrong_query_is_refused_by_name(api: Api, query: str, field: str) -> None:
    """400 names the parameter."""
    answer = api.post(f"{PAYMENTS}?{query}", issue(1))
    assert answer.status == 400
    assert answer.problem == "urn:nostro:problem:bad_request"
    assert answer.json["field"] == field


@pytest.mark.parametrize("query", ["timeout_ms=1", "timeout_ms=60000", "wait=none", "wait=certified"])
def test_the_ends_of_the_query_s_ranges_are_taken(api: Api, query: str) -> None:
    """The least and the most are within."""
    assert api.post(f"{PAYMENTS}?{query}", open_customer()).status == 200


@pytest.mark.parametrize("media", ["text/plain", "", "application/x-msgpack"])
def test_other_media_types_are_refused(api: Api, media: str) -> None:
    """415, with the types that are taken."""
    answer = api.post(PAYMENTS, issue(1), media)
    assert answer.status == 415
    assert answer.problem == "urn:nostro:problem:unsupported_media_type"
    assert "application/msgpack" in answer.headers["accept-post"]


def test_json_with_parameters_of_its_media_type_is_taken(api: Api, host: InstantHost) -> None:
    """A charset after the media type does no harm."""
    answer = api.request(
        "POST",
        PAYMENTS,
        json.dumps(as_json(host, open_customer())).encode(),
        {"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert answer.status == 200


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b'{"a": "\xff"}', b"null", b""])
def test_json_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    """400 with what is wrong."""
    answer = api.post(PAYMENTS, body, "application/json")
    assert answer.status == 400
    assert answer.problem == "urn:nostro:outcome:not_canonical"


def test_an_unknown_field_in_json_is_refused_by_name(api: Api, host: InstantHost) -> None:
    """What the form doesn't know is never dropped in silence."""
    answer = api.post_json(PAYMENTS, {**as_json(host, issue(1)), "memo": "rent"})
    assert answer.status == 400
    assert "memo" in answer.json["detail"]


def test_a_batch_answers_each_in_order(api: Api) -> None:
    """Answers and problems stand where their envelopes stood."""
    raws = (open_customer(), issue(1), b"\xc0", pay_back(2, 9_999_999))
    answer = api.post(BATCH, encode(raws))
    assert answer.status == 200
    results = answer.json["results"]
    assert [result["answer"]["outcome"]["name"] for result in results if "answer" in result] == [
        "executed",
        "executed",
        "insufficient_funds",
    ]
    assert results[2]["problem"]["type"] == "urn:nostro:outcome:not_canonical"


def test_a_batch_in_json_keeps_its_order_round_a_bad_item(api: Api, host: InstantHost) -> None:
    """An item that makes no envelope is a problem; the others are executed."""
    items = [as_json(host, open_customer()), {"version": 1}, 7, as_json(host, issue(1))]
    results = api.post_json(BATCH, items).json["results"]
    assert ["answer" in result for result in results] == [True, False, False, True]
    assert results[3]["answer"]["outcome"]["name"] == "executed"
    assert results[1]["problem"]["detail"].startswith("signatures: ")


def test_a_batch_holds_a_thousand_and_no_more(api: Api, host: InstantHost) -> None:
    """1,000 are answered; with one more none is submitted."""
    host.refuse_with = Outcome.OVERLOADED
    raw = issue(1)
    assert len(api.post(BATCH, encode((raw,) * 1_000)).json["results"]) == 1_000
    answer = api.post(BATCH, encode((raw,) * 1_001))
    assert answer.status == 400
    assert answer.problem == "urn:nostro:problem:bad_request"
    assert "1001" in answer.json["detail"]


def test_an_empty_batch_has_no_results(api: Api) -> None:
    """Nothing to do is no error."""
    assert api.post(BATCH, encode(())).json == {"results": []}


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"\x00", "application/msgpack"),
        (encode((b"a",)) + b"\x00", "application/msgpack"),
        (b"\xdc\x00\x01\xc4\x01a", "application/msgpack"),
        (encode(("text",)), "application/msgpack"),
        (b"{}", "application/json"),
        (b"[", "application/json"),
    ],
)
def test_what_is_no_batch_is_refused_whole(api: Api, body: bytes, media: str) -> None:
    """Trailing bytes and other encodings of the array are refused too."""
    answer = api.post(BATCH, body, media)
    assert answer.status == 400
    assert answer.problem == "urn:nostro:problem:bad_request"


def test_simulation_tells_the_outcome_and_changes_nothing(api: Api, host: InstantHost) -> None:
    """What would be executed is; what would be refused says why; no block is made."""
    api.post(PAYMENTS, open_customer())
    height = host.position().height
    good = api.post("/v1/simulate", issue(1))
    bad = api.post("/v1/simulate", pay_back(2, 1))
    assert good.json["outcome"]["name"] == "executed"
    assert bad.json["outcome"]["name"] == "insufficient_funds"
    assert good.headers["ledger-height"] == str(height) == str(host.position().height)
    assert api.post("/v1/simulate?wait=none", issue(1)).status == 400


def test_simulating_a_duplicate_names_the_first(api: Api) -> None:
    """duplicate_of says where the first stands."""
    api.post(PAYMENTS, open_customer())
    api.post(PAYMENTS, issue(1))
    answer = api.post("/v1/simulate", issue(1))
    assert answer.json["outcome"]["name"] == "duplicate_of"
    assert answer.json["duplicate_of"] == {"height": 3, "index": 0}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.EXPIRED, 200), (Outcome.BAD_SIGNATURE, 200), (Outcome.UNKNOWN, 504), (Outcome.NO_QUORUM, 503)],
)
def test_a_trial_tells_what_a_node_foresees(
    api: Api, host: InstantHost, outcome: Outcome, status: int
) -> None:
    """A refusal of the envelope is its result; where the node can't try at all, that is a problem."""
    host.refuse_with = outcome
    answer = api.post("/v1/simulate", issue(1))
    assert answer.status == status
    found = answer.json["outcome"]
    assert (found if status != 200 else found["number"]) == outcome


def test_malformed_bytes_can_t_be_tried(api: Api) -> None:
    """400 as for a submission."""
    answer = api.post("/v1/simulate", b"\xc0")
    assert answer.status == 400
    assert answer.problem == "urn:nostro:outcome:not_canonical"


def test_a_stranger_s_account_is_not_an_author(api: Api) -> None:
    """An author that does not exist is refused by the node."""
    body = Transfer(sample.ISSUANCE_ACCOUNT, "EUR", 1, (), ())
    raw = transaction(Kind.TRANSFER, body, sample.CUSTOMER_ACCOUNT[:-1] + b"\x00", 5, 99)
    answer = api.post(PAYMENTS, raw)
    assert answer.status == 403
    assert answer.problem == "urn:nostro:outcome:unknown_author"
