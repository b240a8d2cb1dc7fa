"""Reads over HTTP, from a real server around a real ledger."""

from __future__ import annotations

import base64

import pytest

from api.limits import MAX_HEIGHT, MAX_PLACE_HEIGHT, MAX_PLACE_INDEX
from ledger.block import decode_block
from ledger.certificate import decode_certificate, decode_seal, verify_certificate
from ledger.keys import address
from ledger.outcome import Outcome
from ledger.receipt import verify_receipt
from ledger.state_proof import verify_account_proof
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import (
    CUSTOMER,
    CUSTOMER_ADDRESS,
    ISSUANCE_ADDRESS,
    OPEN_TX,
    issue,
    open_customer,
    pay_back,
    tx_text,
)
from tests.unit.ledger import sample

IMMUTABLE = "public, max-age=31536000, immutable"
READS = [
    f"/v1/payments/{tx_text(1)}",
    f"/v1/payments/{tx_text(1)}/receipt",
    f"/v1/accounts/{CUSTOMER_ADDRESS}",
    f"/v1/accounts/{CUSTOMER_ADDRESS}/payments",
    f"/v1/accounts/{CUSTOMER_ADDRESS}/proof",
    "/v1/blocks",
    "/v1/blocks/3",
    "/v1/blocks/latest",
    "/v1/blocks/3/raw",
    "/v1/blocks/3/header",
    "/v1/blocks/3/certificate",
    "/v1/members",
    "/v1/nodes",
    "/v1/assets",
    "/v1/parameters",
    "/v1/outcomes",
    "/v1/network",
    "/v1/network/genesis",
    "/v1/cluster",
]


@pytest.fixture
def paid(api: Api) -> Api:
    """A ledger of three blocks: the opening, the customer's account, and EUR 12.50 paid to it."""
    api.post("/v1/payments", open_customer())
    api.post("/v1/payments", issue(1))
    return api


@pytest.mark.parametrize("path", READS)
def test_every_read_says_how_new_it_is(paid: Api, path: str) -> None:
    """Height and time of the newest executed block go with every answer."""
    answer = paid.get(path)
    assert answer.status == 200
    assert answer.headers["ledger-height"] == "3"
    assert answer.headers["ledger-time"] == str(sample.GENESIS_TIME_MS + 3_000)


@pytest.mark.parametrize("path", READS)
def test_reads_answer_without_a_quorum(paid: Api, host: InstantHost, path: str) -> None:
    """What is executed stays readable; only a strong read needs a majority."""
    host.quorum = False
    assert paid.get(path).status == 200
    answer = paid.get(f"{path}?consistency=strong")
    assert answer.status == 503
    assert answer.problem == "urn:nostro:outcome:no_quorum"
    assert answer.json["leader"] == "node-alpha"
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("path", READS)
def test_a_read_waits_for_a_height_or_says_it_did_not_come(paid: Api, path: str) -> None:
    """The executed height is enough; one above it is a problem that says where the node is."""
    assert paid.get(f"{path}?min_height=3&consistency=strong").status == 200
    answer = paid.get(f"{path}?min_height=4&timeout_ms=1")
    assert answer.status == 503
    assert answer.problem == "urn:nostro:problem:height_not_reached"
    assert answer.headers["ledger-height"] == "3"


@pytest.mark.parametrize("path", READS)
def test_a_retired_node_answers_no_read(paid: Api, host: InstantHost, path: str) -> None:
    """What it knows has stopped, so clients turn to another node; it says where it stopped."""
    host.retired = True
    answer = paid.get(path)
    assert answer.status == 503
    assert answer.problem == "urn:nostro:problem:retired"
    assert answer.headers["ledger-height"] == "3"


@pytest.mark.parametrize("path", READS)
def test_an_unknown_query_parameter_is_refused_by_name(paid: Api, path: str) -> None:
    """A misspelt parameter is never ignored."""
    answer = paid.get(f"{path}?min_heigth=3")
    assert answer.status == 400
    assert answer.problem == "urn:nostro:problem:bad_request"
    assert answer.json["field"] == "min_heigth"


@pytest.mark.parametrize("path", READS)
def test_an_accept_header_that_takes_nothing_is_refused(paid: Api, path: str) -> None:
    """406 names the forms that there are."""
    answer = paid.get(path, accept="image/png")
    assert answer.status == 406
    assert answer.problem == "urn:nostro:problem:not_acceptable"


@pytest.mark.parametrize("path", READS)
def test_other_methods_are_refused(paid: Api, path: str) -> None:
    """405 with the methods that there are."""
    answer = paid.request("DELETE", path)
    assert answer.status == 405
    assert answer.problem == "urn:nostro:problem:method_not_allowed"
    assert answer.headers["allow"] == "GET"


def test_a_payment_is_found_by_its_id(paid: Api) -> None:
    """Outcome, place, and the envelope as people read it."""
    found = paid.get(f"/v1/payments/{tx_text(1)}").json
    assert (found["outcome"]["name"], found["height"], found["index"]) == ("executed", 3, 0)
    assert found["envelope"]["body"] == {"credit": CUSTOMER_ADDRESS, "asset": "EUR", "amount": "12.50"}
    assert found["envelope"]["author"] == found["author"] == ISSUANCE_ADDRESS
    assert paid.get(f"/v1/payments/{tx_text(1)}?author={ISSUANCE_ADDRESS}").json == found


def test_an_unknown_payment_is_not_found(paid: Api) -> None:
    """404 carries the height, so that the client knows how new that is."""
    answer = paid.get(f"/v1/payments/{tx_text(99)}")
    assert answer.status == 404
    assert answer.problem == "urn:nostro:problem:not_found"
    assert answer.headers["ledger-height"] == "3"
    assert paid.get(f"/v1/payments/{tx_text(1)}?author=beta").status == 404


def test_an_id_of_several_authors_needs_the_author(paid: Api) -> None:
    """409 lists them; with one of them the payment is found."""
    paid.post("/v1/payments", issue(OPEN_TX))
    answer = paid.get(f"/v1/payments/{tx_text(OPEN_TX)}")
    assert answer.status == 409
    assert answer.problem == "urn:nostro:problem:ambiguous_id"
    assert sorted(answer.json["authors"]) == ["beta", ISSUANCE_ADDRESS]
    found = paid.get(f"/v1/payments/{tx_text(OPEN_TX)}?author=beta")
    assert found.json["envelope"]["kind"] == "open_account"


def test_a_receipt_proves_its_payment(paid: Api) -> None:
    """The bytes, or base64 of them in JSON, verify against the network id alone."""
    path = f"/v1/payments/{tx_text(1)}/receipt"
    raw = paid.get(path)
    assert raw.headers["content-type"] == "application/msgpack"
    verified = verify_receipt(raw.body, sample.network())
    assert (verified.height, verified.outcome) == (3, Outcome.EXECUTED)
    as_json = paid.get(path, accept="application/json")
    assert base64.b64decode(as_json.json["receipt"]) == raw.body


def test_a_receipt_waits_for_a_certificate(api: Api, host: InstantHost) -> None:
    """409 until a certificate covers the payment."""
    host.certifying = False
    api.post("/v1/payments", open_customer())
    answer = api.get(f"/v1/payments/{tx_text(OPEN_TX)}/receipt")
    assert answer.status == 409
    assert answer.problem == "urn:nostro:problem:not_certified"


def test_an_account_shows_its_balances(paid: Api) -> None:
    """Amounts have the asset's decimals; an issuer's balance goes below zero."""
    customer = paid.get(f"/v1/accounts/{CUSTOMER_ADDRESS}").json
    assert (customer["balance"], customer["available"], customer["limit"]) == ("12.50", "12.50", "0.00")
    assert (customer["member"], customer["asset"], customer["height"]) == ("beta", "EUR", 3)
    assert customer["last"] == {"height": 3, "index": 0}
    issuer = paid.get(f"/v1/accounts/{ISSUANCE_ADDRESS}").json
    assert issuer["balance"] == "-12.50"
    assert issuer["flag_names"] == []


def test_an_account_that_does_not_exist_is_not_found(api: Api, host: InstantHost) -> None:
    """404 for its record and history, while its absence is proved."""
    host.execute([])
    for path in ("", "/payments"):
        assert api.get(f"/v1/accounts/{CUSTOMER_ADDRESS}{path}").status == 404
    found = api.get(f"/v1/accounts/{CUSTOMER_ADDRESS}/proof").json
    assert found["seals"] == []
    seal = decode_seal(base64.b64decode(found["seal"]))
    assert verify_account_proof(base64.b64decode(found["proof"]), CUSTOMER, seal.state_root) is None


@pytest.mark.parametrize(
    "text",
    [
        CUSTOMER_ADDRESS[:-1] + ("q" if CUSTOMER_ADDRESS[-1] != "q" else "p"),
        address("othernet", CUSTOMER),
        "beta",
        "%00",
    ],
)
def test_a_wrong_address_is_refused(api: Api, text: str) -> None:
    """Checksum and network are checked, and the answer says which."""
    answer = api.get(f"/v1/accounts/{text}")
    assert answer.status == 400
    assert answer.json["field"] == "address"


def test_an_account_s_proof_leads_to_a_certified_seal(paid: Api) -> None:
    """Record, seal and certificate hold together, offline."""
    found = paid.get(f"/v1/accounts/{CUSTOMER_ADDRESS}/proof").json
    certificate = decode_certificate(base64.b64decode(found["certificate"]))
    seal = verify_certificate(certificate, sample.certifiers())
    account = verify_account_proof(base64.b64decode(found["proof"]), CUSTOMER, seal.state_root)
    assert account is not None
    assert (account.balance, seal.height) == (1_250, found["height"])


def test_an_account_s_proof_waits_for_a_certificate_as_long_as_asked(paid: Api, host: InstantHost) -> None:
    """Then 409 says what to do; the record itself is answered meanwhile."""
    host.certifying = False
    paid.post("/v1/payments", pay_back(2, 100))
    answer = paid.get(f"/v1/accounts/{CUSTOMER_ADDRESS}/proof?timeout_ms=7")
    assert answer.status == 409
    assert answer.problem == "urn:nostro:problem:not_certified"
    assert "within 7 ms" in answer.json["detail"]
    assert "Ask again" in answer.json["remedy"]
    assert answer.headers["ledger-height"] == "4"
    assert paid.get(f"/v1/accounts/{CUSTOMER_ADDRESS}").json["balance"] == "11.50"


def test_history_is_newest_first_and_its_pages_join(paid: Api) -> None:
    """Pages by cursor give the same as one large page, refused payments included."""
    for number in range(20, 25):
        paid.post("/v1/payments", pay_back(number, 100))
    paid.post("/v1/payments", pay_back(30, 100_000))
    path = f"/v1/accounts/{CUSTOMER_ADDRESS}/payments"
    whole = paid.get(f"{path}?limit=200").json
    assert "next" not in whole
    assert [entry["entry"] for entry in whole["payments"]] == list(range(8, 0, -1))
    assert whole["payments"][0]["outcome"]["name"] == "insufficient_funds"
    assert [entry["debit"] for entry in whole["payments"][:2]] == ["0.00", "1.00"]
    assert whole["payments"][6]["credit"] == "12.50"
    assert "forgotten" not in whole
    pages, cursor = [], ""
    while True:
        page = paid.get(f"{path}?limit=3{cursor}").json
        pages += page["payments"]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    assert pages == whole["payments"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1", 200),
        ("limit=200", 200),
        ("limit=0", 400),
        ("limit=201", 400),
        ("limit=ten", 400),
        ("cursor=3.0", 200),
        ("cursor=3", 400),
        ("cursor=03.0", 400),
        (f"cursor={MAX_PLACE_HEIGHT}.{MAX_PLACE_INDEX}", 404),
        (f"cursor={MAX_PLACE_HEIGHT + 1}.0", 400),
        (f"cursor=3.{MAX_PLACE_INDEX + 1}", 400),
        ("cursor=1.0", 404),
        ("timeout_ms=1", 200),
        ("timeout_ms=60000", 200),
        ("timeout_ms=0", 400),
        ("timeout_ms=60001", 400),
        ("min_height=-1", 400),
        (f"min_height={MAX_HEIGHT + 1}", 400),
        ("consistency=eventual", 400),
    ],
)
def test_the_limits_of_a_page(paid: Api, query: str, status: int) -> None:
    """Each parameter is taken at its bounds and refused one beyond."""
    assert paid.get(f"/v1/accounts/{CUSTOMER_ADDRESS}/payments?{query}").status == status


def test_a_block_is_the_same_by_height_hash_and_latest(paid: Api, host: InstantHost) -> None:
    """All three name it; only `latest` may become another."""
    by_height = paid.get("/v1/blocks/3")
    by_hash = paid.get(f"/v1/blocks/{host.blocks[3].hash.hex()}")
    latest = paid.get("/v1/blocks/latest")
    assert by_height.json == by_hash.json == latest.json
    assert by_height.json["hash"] == host.blocks[3].hash.hex()
    assert by_height.headers["etag"] == f'"{host.blocks[3].hash.hex()}"'
    assert by_height.headers["cache-control"] == by_hash.headers["cache-control"] == IMMUTABLE
    assert latest.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("block", ["0", "4", str(MAX_HEIGHT), "ab" * 32])
def test_a_block_that_is_not_executed_is_not_found(paid: Api, block: str) -> None:
    """404 beyond the executed heights, for height 0, and for an unknown hash."""
    for path in ("", "/raw", "/header", "/certificate"):
        answer = paid.get(f"/v1/blocks/{block}{path}")
        assert answer.status == 404
        assert answer.problem == "urn:nostro:problem:not_found"


@pytest.mark.parametrize("block", ["newest", "-1", "01", str(MAX_HEIGHT + 1), "AB" * 32, "ab" * 31])
def test_what_names_no_block_is_refused(paid: Api, block: str) -> None:
    """400 says what names a block."""
    answer = paid.get(f"/v1/blocks/{block}")
    assert answer.status == 400
    assert answer.json["field"] == "block"


def test_before_the_first_block_there_is_no_latest(api: Api) -> None:
    """A ledger at height 0 has no block, and an empty list."""
    assert api.get("/v1/blocks/latest").status == 404
    assert api.get("/v1/blocks").json == {"blocks": []}


def test_raw_bytes_are_the_block_s_own(paid: Api, host: InstantHost) -> None:
    """Block and header come as they are stored; the header's hash is the block's."""
    raw = paid.get("/v1/blocks/3/raw")
    assert decode_block(raw.body) == host.blocks[3]
    assert paid.get("/v1/blocks/3/header").body == host.blocks[3].header_raw


@pytest.mark.parametrize(
    "path", ["/v1/blocks/3", "/v1/blocks/3/raw", "/v1/blocks/3/header", "/v1/network/genesis"]
)
def test_what_never_changes_is_sent_once(paid: Api, path: str) -> None:
    """With its entity tag the answer is 304 and empty; with another tag it is whole."""
    tag = paid.get(path).headers["etag"]
    for condition in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = paid.get(path, If_None_Match=condition)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == IMMUTABLE
    assert paid.get(path, If_None_Match='"other"').status == 200


def test_the_network_is_sent_once(paid: Api) -> None:
    """Its id is the entity tag; who has it is told so, and asks again next time."""
    tag = paid.get("/v1/network").headers["etag"]
    again = paid.get("/v1/network", If_None_Match=tag)
    assert (tag, again.status, again.body) == (f'"{sample.network().hex()}"', 304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_blocks_are_listed_newest_first(paid: Api) -> None:
    """Pages by `before` join."""
    first = paid.get("/v1/blocks?limit=2").json
    assert [block["height"] for block in first["blocks"]] == [3, 2]
    second = paid.get(f"/v1/blocks?limit=2&before={first['next']}").json
    assert [block["height"] for block in second["blocks"]] == [1]
    assert "next" not in second
    assert paid.get("/v1/blocks?before=1").json == {"blocks": []}
    assert paid.get("/v1/blocks?before=0").status == 400
    assert paid.get(f"/v1/blocks?before={MAX_HEIGHT}").json["blocks"][0]["height"] == 3


def test_a_certificate_verifies(paid: Api, host: InstantHost) -> None:
    """Its bytes verify against the certifiers; its JSON shows the same seal."""
    raw = paid.get("/v1/blocks/3/certificate")
    seal = verify_certificate(decode_certificate(raw.body), sample.certifiers())
    shown = paid.get("/v1/blocks/3/certificate", accept="application/json").json
    assert shown["state_root"] == seal.state_root.hex()
    assert shown["header_hash"] == host.blocks[3].hash.hex()
    assert [signature["node"] for signature in shown["signatures"]] == ["node-alpha", "node-beta"]


def test_an_uncertified_height_has_no_certificate(api: Api, host: InstantHost) -> None:
    """404 says that the block is there and its certificate not yet."""
    host.certifying = False
    api.post("/v1/payments", open_customer())
    answer = api.get("/v1/blocks/2/certificate")
    assert answer.status == 404
    assert "no certificate" in answer.json["detail"]


def test_the_network_is_described(paid: Api) -> None:
    """Members, nodes, assets, parameters, genesis and the outcome table."""
    assert [member["id"] for member in paid.get("/v1/members").json["members"]] == ["alpha", "beta", "gamma"]
    assert [node["status"] for node in paid.get("/v1/nodes").json["nodes"]] == ["voting"] * 3
    assets = paid.get("/v1/assets").json["assets"]
    assert [(asset["code"], asset["scale"], asset["account"]) for asset in assets] == [
        ("EUR", 2, ISSUANCE_ADDRESS)
    ]
    parameters = paid.get("/v1/parameters").json
    assert parameters["current"]["certificate_rule"] == "majority"
    assert parameters["schedule"] == [{"from_height": 0, "parameters": parameters["current"]}]
    network = paid.get("/v1/network").json
    assert (
        base64.b64decode(network["genesis"]) == paid.get("/v1/network/genesis").body == sample.genesis_raw()
    )
    assert network["network_id"] == sample.network().hex()
    outcomes = paid.get("/v1/outcomes").json["outcomes"]
    assert [outcome["number"] for outcome in outcomes] == [int(outcome) for outcome in Outcome]


def test_the_cluster_shows_a_lost_quorum(paid: Api, host: InstantHost) -> None:
    """With a quorum it names the leader; without one it says so."""
    found = paid.get("/v1/cluster").json
    assert (found["quorum"], found["leader"], found["executed_height"]) == (True, "node-alpha", 3)
    assert [(peer["node"], peer["votes"]) for peer in found["peers"]] == [
        ("node-beta", True),
        ("node-gamma", True),
    ]
    assert (found["votes"], found["membership_version"]) == (True, 1)
    host.quorum = False
    found = paid.get("/v1/cluster").json
    assert found["quorum"] is False
    assert "leader" not in found


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/blocks", "/v1/payments/a/b", "/v1/blocks/", "/v1/blocks/3/"]
)
def test_an_unknown_path_is_a_problem(api: Api, path: str) -> None:
    """404 of its own type, so that it is not taken for a payment that does not exist."""
    answer = api.get(path)
    assert answer.status == 404
    assert answer.problem == "urn:nostro:problem:unknown_path"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/msgpack"),
        ("application/*", "application/msgpack"),
        ("application/json", "application/json"),
        ("application/msgpack;q=0.2, application/json;q=0.9", "application/json"),
        ("application/msgpack;q=0, */*", "application/json"),
        ("text/html, */*;q=0.1", "application/msgpack"),
    ],
)
def test_the_form_of_a_receipt_goes_by_accept(paid: Api, accept: str, media: str) -> None:
    """The media type that the client likes best, bytes where it doesn't matter."""
    answer = paid.get(f"/v1/payments/{tx_text(1)}/receipt", accept=accept)
    assert answer.headers["content-type"] == media
