"""Envelopes: what is signed, what is refused, and that signatures can be neither stripped nor added."""

from collections.abc import Mapping

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bodies import Body, Kind, OpenAccount, SetMember, Transfer
from ledger.codec import Malformed
from ledger.envelope import (
    MAX_SIGNERS,
    EnvelopeLimits,
    build_payload,
    check_author,
    decode_envelope,
    decode_payload,
    encode_envelope,
    signature_checks,
    signing_hash,
    verify_envelope,
)
from ledger.keys import BadSignature, verify
from ledger.merkle import leaf_hash
from ledger.outcome import Outcome
from ledger.policy import single_key
from tests.unit.ledger import sample
from tests.unit.ledger.sample import LIMITS

VERSION, NETWORK, TX_ID, AUTHOR, KIND, BODY, FROM, UNTIL, SIGNERS = range(9)


def _changed(changes: Mapping[int, object], signatures: int | None = None) -> bytes:
    """The sample's envelope with fields of its payload replaced; its signatures are then not good."""
    fields = msgpack.unpackb(sample.payload())
    for place, value in changes.items():
        fields[place] = value
    count = len(fields[SIGNERS]) if signatures is None else signatures
    return bytes(msgpack.packb([msgpack.packb(fields), [bytes(64)] * count]))


def _refused(raw: bytes, limits: EnvelopeLimits = LIMITS) -> Malformed:
    with pytest.raises(Malformed) as refused:
        decode_envelope(raw, limits)
    return refused.value


def test_round_trip_and_hashes() -> None:
    """The fields come back, and the hashes are those of the bytes."""
    raw = sample.envelope()
    envelope = decode_envelope(raw, LIMITS)
    verify_envelope(envelope)
    assert envelope.raw == raw
    assert envelope.body == Transfer(sample.CUSTOMER_ACCOUNT, "EUR", 1_250)
    assert envelope.author_account == sample.ISSUANCE_ACCOUNT
    assert envelope.author_member is None
    assert envelope.signing_hash == signing_hash(sample.payload())
    assert envelope.leaf_hash == leaf_hash(raw)
    assert encode_envelope(sample.payload(), envelope.signatures) == raw


def test_members_are_authors_too() -> None:
    """A member speaks under its id."""
    body = OpenAccount("EUR", single_key(sample.public_key(50)))
    raw = sample.payload(body, kind=Kind.OPEN_ACCOUNT, author=b"beta", signers=(21,))
    envelope = decode_envelope(sample.signed(raw, (21,)), LIMITS)
    assert envelope.author_member == "beta"
    assert envelope.author_account is None
    assert decode_payload(raw) == (envelope.payload, body)


def test_signature_checks_are_what_verifies() -> None:
    """One check a signer; all of them good is what verify_envelope says."""
    signers = (12, 5, 6)
    envelope = decode_envelope(sample.signed(sample.payload(signers=signers), signers), LIMITS)
    verify_envelope(envelope)
    checks = signature_checks(envelope)
    assert [key for key, _, _ in checks] == sorted(sample.public_key(signer) for signer in signers)
    for key, digest, signature in checks:
        verify(key, digest, signature)


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    """Any altered envelope is malformed or badly signed."""
    raw = bytearray(sample.envelope())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((Malformed, BadSignature)):
        verify_envelope(decode_envelope(bytes(raw), LIMITS))


def test_signatures_in_the_wrong_order_are_bad() -> None:
    """Each signature belongs to the signer in its place."""
    envelope = decode_envelope(sample.signed(sample.payload(signers=(5, 6)), (5, 6)), LIMITS)
    swapped = encode_envelope(sample.payload(signers=(5, 6)), reversed(envelope.signatures))
    with pytest.raises(BadSignature):
        verify_envelope(decode_envelope(swapped, LIMITS))


@pytest.mark.parametrize("signatures", [0, 1, 3])
def test_signatures_are_as_many_as_signers(signatures: int) -> None:
    """None can be stripped or added."""
    signers = sorted([sample.public_key(1), sample.public_key(2)])
    assert "one each" in _refused(_changed({SIGNERS: signers}, signatures)).reason


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({VERSION: 2}, Outcome.BAD_FIELD, "Payload.version"),
        ({VERSION: True}, Outcome.BAD_FIELD, "Payload.version"),
        ({NETWORK: bytes(31)}, Outcome.BAD_FIELD, "Payload.network_id"),
        ({TX_ID: bytes(17)}, Outcome.BAD_FIELD, "Payload.tx_id"),
        ({AUTHOR: b""}, Outcome.BAD_FIELD, "Payload.author"),
        ({AUTHOR: bytes(22)}, Outcome.BAD_FIELD, "Payload.author"),
        ({AUTHOR: b"\x01" + bytes(20)}, Outcome.BAD_FIELD, "starts with 00"),
        ({AUTHOR: b"Beta"}, Outcome.BAD_FIELD, "neither an account"),
        ({AUTHOR: b"a" * 17}, Outcome.BAD_FIELD, "neither an account"),
        ({AUTHOR: "beta"}, Outcome.BAD_FIELD, "Payload.author"),
        ({KIND: 0}, Outcome.UNKNOWN_KIND, "kind 0"),
        ({KIND: 7}, Outcome.UNKNOWN_KIND, "kind 7"),
        ({KIND: -1}, Outcome.BAD_FIELD, "Payload.kind"),
        ({BODY: []}, Outcome.BAD_FIELD, "Transfer"),
        ({BODY: {}}, Outcome.BAD_FIELD, "Transfer"),
        ({BODY: None}, Outcome.BAD_FIELD, "Transfer"),
        ({FROM: 5, UNTIL: 5}, Outcome.BAD_FIELD, "must be before"),
        ({FROM: 6, UNTIL: 5}, Outcome.BAD_FIELD, "must be before"),
        ({UNTIL: 2**63}, Outcome.BAD_FIELD, "Payload.valid_until_ms"),
        ({UNTIL: 1.5}, Outcome.BAD_FIELD, "Payload.valid_until_ms"),
        ({SIGNERS: []}, Outcome.BAD_FIELD, "Payload.signers"),
        ({SIGNERS: [sample.public_key(1)] * 2}, Outcome.BAD_FIELD, "ascending"),
        ({SIGNERS: sorted(map(sample.public_key, (1, 2)), reverse=True)}, Outcome.BAD_FIELD, "ascending"),
        ({SIGNERS: [sample.public_key(1)[:33]]}, Outcome.BAD_FIELD, "Payload.signers"),
    ],
)
def test_wrong_payloads_are_refused(changes: Mapping[int, object], outcome: Outcome, words: str) -> None:
    """Each field that is wrong is named, and the sort of error is right."""
    refused = _refused(_changed(changes))
    assert words in refused.reason
    assert refused.outcome is outcome


def test_time_window_of_one_millisecond_is_the_smallest() -> None:
    """valid_from_ms < valid_until_ms."""
    assert decode_envelope(_changed({FROM: 4, UNTIL: 5}), LIMITS).payload.valid_until_ms == 5


def test_size_at_its_boundary() -> None:
    """An envelope of exactly the allowed size is taken, one byte more is not."""
    raw = sample.envelope()
    decode_envelope(raw, EnvelopeLimits(len(raw), 1))
    assert _refused(raw, EnvelopeLimits(len(raw) - 1, 1)).outcome is Outcome.TOO_LARGE


def test_number_of_signers_at_its_boundary() -> None:
    """As many signers as the parameter says, and not one more."""
    signers = sorted(sample.public_key(number) for number in range(1, 18))
    limits = EnvelopeLimits(65_536, 16)
    assert len(decode_envelope(_changed({SIGNERS: signers[:16]}), limits).signatures) == 16
    assert _refused(_changed({SIGNERS: signers}), limits).outcome is Outcome.TOO_MANY_SIGNERS


def test_more_signers_than_any_parameter_allows_are_refused() -> None:
    """64 is the most that there can be."""
    signers = sorted(sample.public_key(number) for number in range(1, MAX_SIGNERS + 2))
    limits = EnvelopeLimits(65_536, MAX_SIGNERS)
    assert len(decode_envelope(_changed({SIGNERS: signers[1:]}), limits).signatures) == MAX_SIGNERS
    assert "Payload.signers" in _refused(_changed({SIGNERS: signers}), limits).reason


def test_body_that_is_not_canonical_is_refused() -> None:
    """The body's encoding is checked as the payload's is: here the amount is written too long."""
    fields = msgpack.unpackb(sample.payload())
    body = fields.pop(BODY)
    body[2] = 1
    long = msgpack.packb(body).replace(b"\x01\x90\x90", b"\xcc\x01\x90\x90")
    packed = [msgpack.packb(field) for field in fields]
    payload = b"\x99" + b"".join([*packed[:BODY], long, *packed[BODY:]])
    raw = bytes(msgpack.packb([payload, [bytes(64)]]))
    assert _refused(raw).outcome is Outcome.NOT_CANONICAL


def test_kinds_can_be_narrowed() -> None:
    """A kind that the rules in force don't know is refused."""
    only: Mapping[int, type[Body]] = {1: OpenAccount}
    with pytest.raises(Malformed, match="only these are: 1"):
        decode_envelope(sample.envelope(), LIMITS, only)


def test_build_payload_refuses_a_body_of_another_kind() -> None:
    """The number and the body must go together."""
    with pytest.raises(Malformed, match="does not go with"):
        sample.payload(Transfer(bytes(21), "EUR", 1), kind=Kind.OPEN_ACCOUNT)
    with pytest.raises(Malformed, match="does not go with"):
        sample.payload(Transfer(bytes(21), "EUR", 1), kind=99)


def test_build_payload_checks_what_a_node_will_check() -> None:
    """A wallet learns at once what would be refused."""
    with pytest.raises(Malformed, match=r"Transfer\.amount"):
        sample.payload(Transfer(bytes(21), "EUR", 0))
    with pytest.raises(Malformed, match="ascending"):
        sample.payload(signers=(5, 5))
    with pytest.raises(Malformed, match="must be before"):
        build_payload(
            network_id=bytes(32),
            tx_id=bytes(16),
            author=b"beta",
            kind=Kind.SET_MEMBER,
            body=SetMember("a", "A", single_key(sample.public_key(1)), single_key(sample.public_key(2)), 0),
            valid_from_ms=1,
            valid_until_ms=1,
            signers=[sample.public_key(1)],
        )


@pytest.mark.parametrize(
    ("author", "good"),
    [
        (b"a", True),
        (b"a" * 16, True),
        (b"bank-1", True),
        (bytes(21), True),
        (b"a" * 17, False),
        (b"", False),
        (b"a b", False),
        (b"a\n", False),
        ("é".encode(), False),
        (bytes(20), False),
    ],
)
def test_authors_at_their_boundaries(author: bytes, good: bool) -> None:
    """A member's id of 1 to 16 characters, or an account id of 21 bytes."""
    if good:
        check_author(author)
    else:
        with pytest.raises(Malformed, match="author"):
            check_author(author)
