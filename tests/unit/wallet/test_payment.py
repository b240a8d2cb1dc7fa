"""Payments offline: built, signed apart, merged, completed; checked against the `ecdsa` package."""

from __future__ import annotations

import hashlib

import ecdsa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.bodies import Kind, SetFlags, Transfer
from ledger.envelope import EnvelopeLimits, decode_envelope, verify_envelope
from ledger.json_form import Names
from ledger.keys import account_id, address, public_bytes
from wallet.errors import NotASigner, PaymentMalformed, SignaturesMissing
from wallet.payment import (
    Draft,
    build_draft,
    build_transfer,
    complete_envelope,
    merge_drafts,
    sign_draft,
    sign_payload,
    validity,
    with_signature,
)

NETWORK_ID = bytes(range(32))
NAMES = Names("nostrodev", {"EUR": 2}.get)
KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (5, 6, 7)]
ALICE = account_id("alpha", "EUR", bytes(16))
BOB = account_id("beta", "EUR", bytes(16))
LIMITS = EnvelopeLimits(4_096, 16)


def transfer(
    amount: str = "12.50",
    signers: list[ec.EllipticCurvePrivateKey] = KEYS[:2],
    asset: str = "EUR",
    credit: str = address("nostrodev", BOB),
) -> Draft:
    return build_transfer(
        NAMES,
        network_id=NETWORK_ID,
        tx_id=bytes(16),
        debit=address("nostrodev", ALICE),
        credit=credit,
        asset=asset,
        amount=amount,
        valid_from_ms=1_000,
        valid_until_ms=2_000,
        signers=[public_bytes(key) for key in signers],
    )


def test_signed_apart_and_merged() -> None:
    """Two signers sign two copies; merged they make one envelope that verifies."""
    draft = transfer()
    merged = merge_drafts(sign_draft(draft, KEYS[1]), sign_draft(draft, KEYS[0]))
    envelope = decode_envelope(complete_envelope(merged), LIMITS)
    verify_envelope(envelope)
    assert envelope.body == Transfer(BOB, "EUR", 1_250)
    assert set(envelope.payload.signers) == {public_bytes(KEYS[0]), public_bytes(KEYS[1])}


def test_signed_one_after_the_other_is_the_same() -> None:
    """The order of signing doesn't show in the envelope, and signing at once gives the same bytes."""
    draft = transfer()
    one = complete_envelope(sign_draft(sign_draft(draft, KEYS[0]), KEYS[1]))
    other = complete_envelope(sign_draft(sign_draft(draft, KEYS[1]), KEYS[0]))
    assert one == other == sign_payload(draft.payload, KEYS[:2]) == sign_payload(draft.payload, KEYS[1::-1])


def test_signature_verifies_elsewhere() -> None:
    """The independent `ecdsa` package accepts the signature over the tagged payload."""
    draft = sign_draft(transfer(signers=KEYS[:1]), KEYS[0])
    ((key, signature),) = draft.signatures.items()
    message = b"nostro/envelope/v1\x00" + draft.payload
    verifier = ecdsa.VerifyingKey.from_string(key, curve=ecdsa.NIST256p, hashfunc=hashlib.sha256)
    assert verifier.verify(signature, message)


def test_signature_made_elsewhere() -> None:
    """A low-S signature by the `ecdsa` package completes the payment; its high-S twin is refused."""
    draft = transfer(signers=KEYS[:1])
    signer = ecdsa.SigningKey.from_secret_exponent(5, ecdsa.NIST256p, hashlib.sha256)
    message = b"nostro/envelope/v1\x00" + draft.payload
    low = signer.sign_deterministic(message, sigencode=ecdsa.util.sigencode_string_canonize)
    order = ecdsa.NIST256p.order
    high = low[:32] + (order - int.from_bytes(low[32:])).to_bytes(32)
    key = public_bytes(KEYS[0])
    verify_envelope(decode_envelope(complete_envelope(with_signature(draft, key, low)), LIMITS))
    with pytest.raises(PaymentMalformed, match="high-S"):
        with_signature(draft, key, high)


def test_incomplete() -> None:
    """While a signer lacks, there is no envelope, and the error names the key."""
    draft = sign_draft(transfer(), KEYS[0])
    lacking = public_bytes(KEYS[1])
    assert draft.missing_signers == (lacking,)
    with pytest.raises(SignaturesMissing, match=lacking.hex()):
        complete_envelope(draft)
    with pytest.raises(SignaturesMissing, match=lacking.hex()):
        sign_payload(draft.payload, KEYS[:1])


def test_not_a_signer() -> None:
    """A key that the payment wasn't built for signs nothing."""
    with pytest.raises(NotASigner):
        sign_draft(transfer(), KEYS[2])
    with pytest.raises(NotASigner):
        sign_payload(transfer().payload, KEYS)
    with pytest.raises(PaymentMalformed, match="not one of its signers"):
        with_signature(transfer(), public_bytes(KEYS[2]), bytes(64))


def test_signature_of_another_payment() -> None:
    """A good signature over another payment is not one over this."""
    other = sign_draft(transfer("12.51"), KEYS[0])
    ((key, signature),) = other.signatures.items()
    with pytest.raises(PaymentMalformed, match="not good"):
        with_signature(transfer(), key, signature)


def test_merge_of_different_payments() -> None:
    """Files of two payments can't be merged."""
    with pytest.raises(PaymentMalformed, match="not copies"):
        merge_drafts(transfer("1.00"), transfer("1.01"))


@pytest.mark.parametrize("amount", ["", "0", "0.00", "-1", "1.234", "1e2", "92233720368547758.08", "1,5"])
def test_amount_refused(amount: str) -> None:
    """What isn't an amount of the asset's decimals from one minor unit up builds nothing."""
    with pytest.raises(PaymentMalformed):
        transfer(amount)


@pytest.mark.parametrize(
    ("amount", "minor_units"), [("0.01", 1), ("92233720368547758.07", 2**63 - 1), ("3", 300)]
)
def test_amount_bounds(amount: str, minor_units: int) -> None:
    """The least and the greatest amounts, and one without decimals."""
    body = transfer(amount).decoded()[1]
    assert isinstance(body, Transfer)
    assert body.amount == minor_units


def test_unknown_asset() -> None:
    """An asset whose decimals aren't known can't be paid."""
    with pytest.raises(PaymentMalformed, match="USD"):
        transfer(asset="USD")


def test_address_of_another_network() -> None:
    """An address of another network is refused by its name, a mistyped one by its checksum."""
    with pytest.raises(PaymentMalformed, match="othernet"):
        transfer(credit=address("othernet", BOB))
    text = address("nostrodev", BOB)
    with pytest.raises(PaymentMalformed, match="checksum"):
        transfer(credit=text[:-1] + ("q" if text[-1] != "q" else "p"))


def test_other_kinds() -> None:
    """Any kind is built; a body of another kind than said, or a malformed field, is refused."""

    def flags(kind: Kind, until_ms: int) -> Draft:
        return build_draft(
            NAMES,
            network_id=NETWORK_ID,
            tx_id=bytes(16),
            author=b"alpha",
            kind=kind,
            body=SetFlags(ALICE, 1, 3),
            valid_from_ms=1_000,
            valid_until_ms=until_ms,
            signers=[public_bytes(KEYS[0])],
        )

    verify_envelope(
        decode_envelope(complete_envelope(sign_draft(flags(Kind.SET_FLAGS, 1_001), KEYS[0])), LIMITS)
    )
    with pytest.raises(PaymentMalformed, match="SetFlags"):
        flags(Kind.TRANSFER, 2_000)
    with pytest.raises(PaymentMalformed, match="valid_from_ms"):
        flags(Kind.SET_FLAGS, 1_000)


def test_validity() -> None:
    """A payment is good from a minute ago, never before 1970, for as long as was asked."""
    assert validity(100_000, 5_000) == (40_000, 105_000)
    assert validity(10, 1) == (0, 11)
