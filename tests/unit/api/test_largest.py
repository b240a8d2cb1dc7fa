"""Envelopes as large as the members can allow: what the parameters take, the HTTP face takes too."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.bodies import Kind, OpenAccount, SetParameters
from ledger.envelope import EnvelopeLimits, decode_envelope
from ledger.json_form import envelope_to_json
from ledger.parameters import DEFAULT_PARAMETERS, PARAMETER_RANGES
from ledger.policy import single_key
from ledger.schedule import LOOK_BACK
from tests.unit.api.client import Api
from tests.unit.api.instant_host import InstantHost
from tests.unit.api.payments import TELLER_OF_BETA
from tests.unit.ledger import sample

MAJORITY = (10, 20)
LARGEST = EnvelopeLimits(PARAMETER_RANGES["envelope_bytes"][1], PARAMETER_RANGES["signers"][1])
SIGNERS = (TELLER_OF_BETA, *range(1_000, 1_000 + LARGEST.signers - 1))


@pytest.fixture
def generous(host: InstantHost) -> InstantHost:
    """A network whose members allow as large envelopes and as many signers as there may be."""
    parameters = replace(DEFAULT_PARAMETERS, envelope_bytes=LARGEST.envelope_bytes, signers=LARGEST.signers)
    from_height = host.position().height + 2 + LOOK_BACK
    body = SetParameters(parameters, from_height, 1)
    raw = sample.payload(body, kind=Kind.SET_PARAMETERS, author=b"beta", number=50, signers=MAJORITY)
    host.execute([decode_envelope(sample.signed(raw, MAJORITY), sample.LIMITS)])
    while host.position().height < from_height:
        host.execute([])
    return host


def signed_by_all(number: int) -> bytes:
    """An account's opening, signed by as many keys as there may be."""
    body = OpenAccount("EUR", single_key(sample.public_key(101)))
    raw = sample.payload(body, kind=Kind.OPEN_ACCOUNT, author=b"beta", number=number, signers=SIGNERS)
    return sample.signed(raw, SIGNERS)


def test_as_many_signers_as_there_may_be(api: Api, generous: InstantHost) -> None:
    """64 signatures are taken and executed, as bytes and in the human form."""
    first, second = signed_by_all(1), signed_by_all(2)
    assert len(first) > 8_192
    assert api.post("/v1/payments", first).json["outcome"]["name"] == "executed"
    form = envelope_to_json(decode_envelope(second, LARGEST), generous.names())
    assert api.post_json("/v1/payments", form).json["outcome"]["name"] == "executed"


def test_too_many_for_the_parameters_is_told_as_an_outcome(api: Api, host: InstantHost) -> None:
    """Where the members allow less, the outcome says so: the body is not what is too large."""
    answer = api.post("/v1/payments", signed_by_all(1))
    assert (answer.status, answer.problem) == (413, "urn:nostro:outcome:too_large")
