"""The JSON form: both ways for every kind, and every wrong form refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bodies import BODIES, Body, Kind, OpenAccount, SetLimit, SetParameters, Transfer
from ledger.codec import MAX_INTEGER, Malformed
from ledger.envelope import decode_envelope, decode_payload
from ledger.json_form import (
    KIND_NAMES,
    Names,
    envelope_from_json,
    envelope_to_json,
    format_uuid,
    parse_author,
    parse_hex,
    parse_kind,
    parse_uuid,
    payload_bytes_to_json,
    payload_from_json,
)
from ledger.keys import address
from ledger.outcome import Outcome
from tests.unit.ledger import sample
from tests.unit.ledger.test_bodies import EXAMPLES

NAMES = Names(sample.NETWORK_NAME, {"EUR": 2, "JPY": 0}.get)


def _payload(body: Body, kind: int) -> bytes:
    return sample.payload(body, kind=kind, author=b"beta")


def _form(**changes: object) -> dict[str, Any]:
    return {**payload_bytes_to_json(sample.payload(), NAMES), **changes}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_both_ways(kind: Kind) -> None:
    """Through real JSON text and back, the bytes are the same."""
    body = EXAMPLES[kind]
    assert isinstance(body, BODIES[kind])
    raw = _payload(body, kind)
    form = json.loads(json.dumps(payload_bytes_to_json(raw, NAMES)))
    assert form["kind"] == KIND_NAMES[kind]
    assert payload_from_json(form, NAMES) == raw


def test_form_of_a_transfer() -> None:
    """Amounts in decimals, accounts as addresses, ids as UUIDs, bytes in hex, nothing for absent fields."""
    form = envelope_to_json(decode_envelope(sample.envelope(), sample.LIMITS), NAMES)
    assert form["body"] == {
        "credit": address(sample.NETWORK_NAME, sample.CUSTOMER_ACCOUNT),
        "asset": "EUR",
        "amount": "12.50",
    }
    assert form["author"] == address(sample.NETWORK_NAME, sample.ISSUANCE_ACCOUNT)
    assert form["tx_id"] == "00000000-0000-0000-0000-000000000001"
    assert (form["version"], form["kind"]) == (1, "transfer")
    assert form["signers"] == [sample.public_key(12).hex()]


def test_envelope_both_ways() -> None:
    """Signatures travel with the form; the bytes that come back verify as before."""
    raw = sample.envelope()
    form = json.loads(json.dumps(envelope_to_json(decode_envelope(raw, sample.LIMITS), NAMES)))
    assert envelope_from_json(form, NAMES) == raw


@given(st.integers(1, MAX_INTEGER), st.sampled_from(["EUR", "JPY"]))
def test_amounts_survive(amount: int, asset: str) -> None:
    """No amount is rounded on its way through JSON."""
    raw = _payload(Transfer(bytes(21), asset, amount), Kind.TRANSFER)
    again = payload_from_json(json.loads(json.dumps(payload_bytes_to_json(raw, NAMES))), NAMES)
    body = decode_payload(again)[1]
    assert isinstance(body, Transfer)
    assert body.amount == amount


def test_limits_are_shown_in_minor_units() -> None:
    """The body does not name the asset, so the key says which unit it is."""
    form = payload_bytes_to_json(_payload(SetLimit(bytes(21), 1, 5_000), Kind.SET_LIMIT), NAMES)
    assert isinstance(form["body"], dict)
    assert form["body"]["limit_minor_units"] == "5000"


def test_nested_records() -> None:
    """Policies and parameters are objects in the body."""
    opened = EXAMPLES[Kind.OPEN_ACCOUNT]
    assert isinstance(opened, OpenAccount)
    form: Any = payload_bytes_to_json(_payload(opened, Kind.OPEN_ACCOUNT), NAMES)
    assert form["body"]["policy"] == {
        "threshold": 1,
        "keys": [{"key": sample.public_key(1).hex(), "weight": 1}],
    }
    assert form["body"]["reference"] == "00" * 32
    changed = EXAMPLES[Kind.SET_PARAMETERS]
    assert isinstance(changed, SetParameters)
    form = payload_bytes_to_json(_payload(changed, Kind.SET_PARAMETERS), NAMES)
    assert form["body"]["parameters"]["block_bytes"] == 1_048_576


def _transfer(**changes: object) -> dict[str, object]:
    body = _form()["body"]
    return {key: value for key, value in {**body, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (_form(extra=1), "extra is not known here"),
        ({key: value for key, value in _form().items() if key != "kind"}, "kind is missing"),
        (_form(version=2), "version"),
        (_form(version=True), "version"),
        (_form(network_id="zz"), "network_id"),
        (_form(network_id="AB" * 32), "lower case"),
        (_form(network_id="00"), r"Payload\.network_id"),
        (_form(tx_id="1"), "tx_id: '1' is not a UUID"),
        (_form(tx_id=7), "tx_id"),
        (_form(author="nobody here"), "author"),
        (_form(author=5), "author"),
        (_form(author=address("nostro", bytes(21))), "network 'nostro'"),
        (_form(kind="gift"), "kind 'gift' is not known"),
        (_form(kind=2), "kind 2 is not known"),
        (_form(valid_from_ms="1"), "valid_from_ms: must be a whole number"),
        (_form(valid_from_ms=True), "valid_from_ms: must be a whole number"),
        (_form(valid_from_ms=1.0), "valid_from_ms: must be a whole number"),
        (_form(valid_from_ms=-1), "-1"),
        (_form(valid_until_ms=0), "must be before"),
        (_form(signers="04"), "signers: must be a list"),
        (_form(signers=[5]), r"signers\[0\]"),
        (_form(signers=sorted(["04" * 65, "05" * 65], reverse=True)), "ascending"),
        (_form(body=[]), "body: must be an object"),
        (_form(body=_transfer(amount=12.5)), r"body\.amount: must be a string"),
        (_form(body=_transfer(amount="12.505")), r"body\.amount: .* 3 decimals"),
        (_form(body=_transfer(amount="0")), r"Transfer\.amount"),
        (_form(body=_transfer(amount=None)), "body: amount is missing"),
        (_form(body=_transfer(asset="USD")), "asset 'USD' is not known"),
        (_form(body=_transfer(asset=5)), "asset"),
        (_form(body=_transfer(credit="x")), "copy it again"),
        (_form(body=_transfer(uetr="x")), r"body\.uetr: 'x' is not a UUID"),
        (_form(body=_transfer(reference="00")), r"Transfer\.reference"),
        (_form(body=_transfer(note="hello")), "body: note is not known here"),
        (
            _form(
                kind="set_limit",
                body={"account": _transfer()["credit"], "expected_version": 1, "limit_minor_units": 5},
            ),
            "minor units",
        ),
        (
            _form(
                kind="set_limit",
                body={"account": _transfer()["credit"], "expected_version": 1, "limit": "5.00"},
            ),
            "limit is not known here",
        ),
        (
            _form(kind="open_account", body={"asset": "EUR", "policy": {"threshold": 1, "keys": 5}}),
            r"body\.policy\.keys",
        ),
        (
            _form(
                kind="open_account",
                body={"asset": "EUR", "policy": {"threshold": 1, "keys": [{"key": "04"}]}},
            ),
            r"body\.policy\.keys\[0\]: weight is missing",
        ),
    ],
)
def test_wrong_forms_are_refused_by_name(form: dict[str, object], words: str) -> None:
    """The message says which key is wrong."""
    with pytest.raises(Malformed, match=words):
        payload_from_json(form, NAMES)


def test_signatures_must_be_a_list_of_hex() -> None:
    """A signed form without them is not one."""
    form = envelope_to_json(decode_envelope(sample.envelope(), sample.LIMITS), NAMES)
    with pytest.raises(Malformed, match="signatures: must be a list"):
        envelope_from_json({key: value for key, value in form.items() if key != "signatures"}, NAMES)
    with pytest.raises(Malformed, match=r"signatures\[0\]"):
        envelope_from_json({**form, "signatures": ["no"]}, NAMES)


@given(st.binary(min_size=16, max_size=16))
def test_uuids_both_ways(value: bytes) -> None:
    """In the text form of RFC 9562, either case when read."""
    text = format_uuid(value)
    assert parse_uuid(text) == parse_uuid(text.upper()) == value
    with pytest.raises(Malformed, match="not a UUID"):
        parse_uuid(text + "\n")


def test_small_parsers() -> None:
    """Hex, kinds and authors, at what they refuse."""
    assert parse_hex("") == b""
    with pytest.raises(Malformed, match="two digits"):
        parse_hex("0")
    assert parse_kind("transfer") == 2
    with pytest.raises(Malformed) as refused:
        parse_kind(None)
    assert refused.value.outcome is Outcome.UNKNOWN_KIND
    assert parse_author("beta", NAMES) == b"beta"
    with pytest.raises(Malformed, match="author"):
        parse_author("\ud800", NAMES)
