"""The API's description: complete, stable in its names, true in its examples, readable offline."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.describe import PAGE, routes_page, write_page
from api.examples import EXAMPLE_NAMES, envelope_example, example_envelope
from api.problems import MEDIA_TYPE, OUTCOME_KINDS, OWN_KINDS
from ledger.certificate import decode_certificate, decode_seal
from ledger.envelope import decode_envelope, verify_envelope
from ledger.json_form import envelope_from_json, format_uuid
from ledger.keys import parse_address
from ledger.outcome import Outcome
from ledger.receipt import verify_receipt
from ledger.state_proof import verify_account_proof
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import CUSTOMER_ADDRESS, OPEN_TX, open_customer, tx_text
from tests.unit.ledger import sample

OPERATIONS = {
    "submitPayment": "POST /v1/payments",
    "submitBatch": "POST /v1/payments/batch",
    "simulatePayment": "POST /v1/simulate",
    "getPayment": "GET /v1/payments/{tx_id}",
    "getReceipt": "GET /v1/payments/{tx_id}/receipt",
    "getAccount": "GET /v1/accounts/{address}",
    "listPayments": "GET /v1/accounts/{address}/payments",
    "getAccountProof": "GET /v1/accounts/{address}/proof",
    "listBlocks": "GET /v1/blocks",
    "getBlock": "GET /v1/blocks/{block}",
    "getBlockBytes": "GET /v1/blocks/{block}/raw",
    "getHeaderBytes": "GET /v1/blocks/{block}/header",
    "getCertificate": "GET /v1/blocks/{block}/certificate",
    "listMembers": "GET /v1/members",
    "listNodes": "GET /v1/nodes",
    "listAssets": "GET /v1/assets",
    "getParameters": "GET /v1/parameters",
    "getMembership": "GET /v1/membership",
    "getRules": "GET /v1/rules",
    "listOutcomes": "GET /v1/outcomes",
    "getNetwork": "GET /v1/network",
    "getGenesis": "GET /v1/network/genesis",
    "getCluster": "GET /v1/cluster",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return create_app(InstantHost()).openapi()


def operations(document: dict[str, Any]) -> dict[str, Any]:
    """Every operation, by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    """Generated clients name their methods after these: they are for ever."""
    found = {operation["operationId"]: where for where, operation in operations(document).items()}
    assert found == OPERATIONS


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Each schema that is referred to is there."""
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= set(document["components"]["schemas"])
    assert "Problem" in names


def test_every_error_is_a_problem_that_is_listed(document: dict[str, Any]) -> None:
    """No operation lists an error in another form, and none lists no errors."""
    for where, operation in operations(document).items():
        errors = {code: found for code, found in operation["responses"].items() if int(code) >= 400}
        assert {"400", "406"} <= set(errors), where
        for found in errors.values():
            assert list(found["content"]) == [MEDIA_TYPE], where


def resolved(document: dict[str, Any], example: dict[str, Any]) -> Any:
    """The value of an example, which may stand among the components."""
    if "$ref" in example:
        example = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
    return example["value"]


def shown(document: dict[str, Any], media: dict[str, Any]) -> list[Any]:
    """The examples of one form of an answer."""
    if "example" in media:
        return [media["example"]]
    return [resolved(document, example) for example in media.get("examples", {}).values()]


def test_every_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    """Each operation shows what it answers with, right or wrong, in every form that the answer has."""
    for where, operation in operations(document).items():
        for code, response in operation["responses"].items():
            for media_type, media in response.get("content", {}).items():
                examples = shown(document, media)
                assert examples, (where, code, media_type)
                schema = {**media["schema"], "components": document["components"]}
                for example in examples:
                    jsonschema_rs.validate(schema, example)


def test_every_problem_of_an_operation_has_its_status(document: dict[str, Any]) -> None:
    """What is shown under a status is a problem of that status, and no two of one type."""
    for where, operation in operations(document).items():
        for code, response in operation["responses"].items():
            if int(code) >= 400:
                problems = shown(document, response["content"][MEDIA_TYPE])
                types = [problem["type"] for problem in problems]
                assert {problem["status"] for problem in problems} == {int(code)}, (where, code)
                assert len(types) == len(set(types)), (where, code)


def test_what_any_request_may_get_is_declared_everywhere(document: dict[str, Any]) -> None:
    """Heads too slow or too large, a fault of the node and too many connections come on every route."""
    for where, operation in operations(document).items():
        assert {"408", "431", "500", "503"} <= set(operation["responses"]), where


def test_forgotten_blocks_are_declared_where_they_can_be_met(document: dict[str, Any]) -> None:
    """410 stands at every read of blocks or of what stands in them, and at no other."""
    found = {
        operation["operationId"]
        for operation in operations(document).values()
        if "410" in operation["responses"]
    }
    of_blocks = {"listBlocks", "getBlock", "getBlockBytes", "getHeaderBytes", "getCertificate"}
    assert found == {*of_blocks, "getPayment", "getReceipt", "listPayments"}


def test_what_has_an_entity_tag_is_declared_as_cached(document: dict[str, Any], api: Api) -> None:
    """304 and ETag stand at every read that sends one, and at no other."""
    api.post("/v1/payments", open_customer())
    for where, operation in operations(document).items():
        path = where.removeprefix("GET ").replace("{block}", "2").replace("{address}", CUSTOMER_ADDRESS)
        if where.startswith("GET "):
            answer = api.get(path.replace("{tx_id}", tx_text(OPEN_TX)))
            assert answer.status == 200, where
            assert ("304" in operation["responses"]) == ("etag" in answer.headers), where
            assert ("ETag" in operation["responses"]["200"]["headers"]) == ("etag" in answer.headers), where


def test_what_is_pending_is_decided_by_nobody(document: dict[str, Any]) -> None:
    """The example of a 202 has no `decided_by`, those of a 200 have."""
    responses = operations(document)["POST /v1/payments"]["responses"]
    (pending,) = shown(document, responses["202"]["content"]["application/json"])
    decided = shown(document, responses["200"]["content"]["application/json"])
    assert pending.keys() == {"tx_id", "author", "status"}
    assert [answer["decided_by"] for answer in decided] == ["chain", "chain"]


def test_the_examples_prove_what_they_show(document: dict[str, Any]) -> None:
    """The receipt and the proof of an account verify against the network that is shown."""
    reads = operations(document)

    def example(where: str) -> Any:
        return reads[f"GET {where}"]["responses"]["200"]["content"]["application/json"]["example"]

    network = bytes.fromhex(example("/v1/network")["network_id"])
    receipt = verify_receipt(b64decode(example("/v1/payments/{tx_id}/receipt")["receipt"]), network)
    assert receipt.outcome == Outcome.EXECUTED
    assert format_uuid(receipt.envelope.payload.tx_id) == example("/v1/payments/{tx_id}")["tx_id"]
    proof = example("/v1/accounts/{address}/proof")
    seal = decode_seal(b64decode(proof["seal"]))
    assert decode_certificate(b64decode(proof["certificate"])).seal == b64decode(proof["seal"])
    account = parse_address(proof["address"], EXAMPLE_NAMES.network_name)
    proved = verify_account_proof(b64decode(proof["proof"]), account, seal.state_root)
    assert proved is not None
    assert f"{proved.balance / 100:.2f}" == example("/v1/accounts/{address}")["balance"]


def test_the_example_is_a_good_envelope() -> None:
    """Its signature verifies, and its JSON form stands for the same bytes."""
    raw = example_envelope()
    verify_envelope(decode_envelope(raw, sample.LIMITS))
    assert envelope_from_json(envelope_example(), EXAMPLE_NAMES) == raw


def test_problem_types_are_one_each() -> None:
    """No two problems share a type, and each outcome but success has one."""
    urns = [kind.urn for kind in (*OWN_KINDS, *OUTCOME_KINDS.values())]
    assert len(urns) == len(set(urns))
    assert set(OUTCOME_KINDS) == set(Outcome) - {Outcome.EXECUTED}


def test_the_documentation_needs_no_other_server(api: Api) -> None:
    """The page and all it loads come from the node."""
    page = api.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert page.status == 200
    assert loaded
    for path in loaded:
        assert path.startswith("/")
        assert api.get(path).status == 200
    assert api.get("/openapi.json").json["openapi"].startswith("3.")


def test_the_page_of_the_documentation_is_as_generated(document: dict[str, Any]) -> None:
    """docs/api.md ends with the routes and problems as the code has them: `python -m api.describe`."""
    assert PAGE.read_text(encoding="utf-8").endswith(routes_page(document))


def test_writing_the_page_keeps_what_is_written_by_hand(tmp_path: Path, document: dict[str, Any]) -> None:
    """Only the part from the routes on is replaced."""
    page = tmp_path / "api.md"
    page.write_text("# By hand\n\n## Routes\n\nof long ago\n", encoding="utf-8")
    write_page(page)
    assert page.read_text(encoding="utf-8") == "# By hand\n\n" + routes_page(document)


def test_the_document_is_worth_reading(document: dict[str, Any]) -> None:
    """Submissions come first, each operation has a summary of its own, and schemas have plain names."""
    assert list(document["paths"])[:3] == ["/v1/payments", "/v1/payments/batch", "/v1/simulate"]
    every = operations(document).values()
    summaries = [operation["summary"] for operation in every]
    assert len(set(summaries)) == len(summaries)
    assert "An account's record" in summaries
    assert not any(name.endswith("Shape") for name in document["components"]["schemas"])
    assert {tag["name"] for tag in document["tags"]} == {tag for item in every for tag in item["tags"]}
