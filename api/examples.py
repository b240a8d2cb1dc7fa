"""Examples for the API's description, computed with the ledger's own code so that they are true.

The keys here are of no network: their private numbers are 1, 2 and 3. Must not know of routes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from api.ports import DecidedBy, Place, Status, SubmitAnswer
from api.problems import OUTCOME_KINDS, problem_of
from api.render import stored_envelope, submit_shape
from api.text import author_text
from ledger.bodies import Kind, Transfer
from ledger.envelope import build_payload, encode_envelope, signing_hash
from ledger.json_form import Names, envelope_to_json, format_uuid
from ledger.keys import account_id, public_bytes, sign, tagged_hash
from ledger.outcome import OUTCOMES, Outcome

EXAMPLE_NAMES: Final = Names("nostrodev", {"CHF": 2}.get)
EXAMPLE_TIME_MS: Final = 1_770_000_000_000
_VALID_MS: Final = 60_000
_TX_ID: Final = bytes.fromhex("019c1b6f50007a3b8f005a1b2c3d4e5f")
_AMOUNT: Final = 125_000


def example_envelope() -> bytes:
    """A signed transfer of CHF 1,250.00 from one bank's account to another's."""
    key = ec.derive_private_key(1, ec.SECP256R1())
    payload = build_payload(
        network_id=tagged_hash("genesis", b"example"),
        tx_id=_TX_ID,
        author=account_id("alpha", "CHF", bytes(15) + b"\x02"),
        kind=Kind.TRANSFER,
        body=Transfer(account_id("beta", "CHF", bytes(15) + b"\x03"), "CHF", _AMOUNT, (), ()),
        valid_from_ms=EXAMPLE_TIME_MS,
        valid_until_ms=EXAMPLE_TIME_MS + _VALID_MS,
        signers=[public_bytes(key)],
    )
    return encode_envelope(payload, [sign(key, signing_hash(payload))])


def envelope_example() -> dict[str, Any]:
    """That transfer in its JSON form."""
    return envelope_to_json(stored_envelope(example_envelope()), EXAMPLE_NAMES)


def _answered(outcome: Outcome | None, status: Status) -> dict[str, Any]:
    payload = stored_envelope(example_envelope()).payload
    answer = SubmitAnswer(
        status=status,
        decided_by=DecidedBy.CHAIN,
        outcome=outcome,
        place=None if outcome is None else Place(1_042, 17),
        time_ms=None if outcome is None else EXAMPLE_TIME_MS + 250,
    )
    author = author_text(EXAMPLE_NAMES.network_name, payload.author)
    shape = submit_shape(answer, format_uuid(payload.tx_id), author)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shape))
    return decoded


def executed_example() -> dict[str, Any]:
    """The answer where it was executed."""
    return _answered(Outcome.EXECUTED, Status.EXECUTED)


def refused_example() -> dict[str, Any]:
    """The answer where the chain refused it."""
    return _answered(Outcome.INSUFFICIENT_FUNDS, Status.EXECUTED)


def pending_example() -> dict[str, Any]:
    """The answer to a submission that was not waited for."""
    return _answered(None, Status.PENDING)


def problem_example(outcome: Outcome) -> dict[str, Any]:
    """The problem that a node answers with for an outcome of its own."""
    problem = problem_of(OUTCOME_KINDS[outcome], OUTCOMES[outcome].sentence, "/v1/payments")
    shown = msgspec.structs.replace(
        problem, outcome=int(outcome), decided_by="node", tx_id=format_uuid(_TX_ID)
    )
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shown))
    return decoded
