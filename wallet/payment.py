"""A payment before it is submitted: built, signed by each signer, and completed, each step offline and alone.

The signers are part of what is signed, so they are fixed when it is built; then each adds a signature, on one
machine after another. `sign_payload` does it all at once for a program that has the keys at hand.
It must not know files, clocks or the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.amounts import AmountError, parse_amount
from ledger.bodies import Body, Kind, Transfer
from ledger.codec import Malformed, present
from ledger.envelope import Payload, build_payload, decode_payload, encode_envelope, signing_hash
from ledger.json_form import Names
from ledger.keys import BadSignature, parse_address, public_bytes, sign, verify
from wallet.errors import NotASigner, PaymentMalformed, SignaturesMissing

CLOCK_SLACK_MS = 60_000
"""How far the wallet's clock may run ahead of the nodes'."""
DEFAULT_VALIDITY_MS = 3_600_000

NO_SIGNATURES: Mapping[bytes, bytes] = MappingProxyType({})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be signed (canonical bytes), and the signatures so far: public key to signature, verified.

    `network_name` and `scales` (decimals by asset) are what its amounts and addresses are shown with.
    """

    payload: bytes
    network_name: str
    scales: Mapping[str, int]
    signatures: Mapping[bytes, bytes]

    @property
    def names(self) -> Names:
        """For the JSON form."""
        return Names(self.network_name, self.scales.get)

    @property
    def missing_signers(self) -> tuple[bytes, ...]:
        """The public keys that are still to sign."""
        signers = self.decoded()[0].signers
        return tuple(key for key in signers if key not in self.signatures)

    def decoded(self) -> tuple[Payload, Body]:
        """The payload and its body."""
        return decode_payload(self.payload)


def build_draft(
    names: Names,
    *,
    network_id: bytes,
    tx_id: bytes,
    author: bytes,
    body: Body,
    kind: Kind,
    valid_from_ms: int,
    valid_until_ms: int,
    signers: Sequence[bytes],
) -> Draft:
    """A transaction of any kind, without signatures. Raises PaymentMalformed."""
    payload = _well_formed(
        lambda: build_payload(
            network_id=network_id,
            tx_id=tx_id,
            author=author,
            kind=kind,
            body=body,
            valid_from_ms=valid_from_ms,
            valid_until_ms=valid_until_ms,
            signers=signers,
        )
    )
    return draft_of(payload, names)


def build_transfer(
    names: Names,
    *,
    network_id: bytes,
    tx_id: bytes,
    debit: str,
    credit: str,
    asset: str,
    amount: str,
    valid_from_ms: int,
    valid_until_ms: int,
    signers: Sequence[bytes],
    uetr: bytes | None = None,
    reference: bytes | None = None,
) -> Draft:
    """A transfer of a decimal amount between two addresses. Raises PaymentMalformed, naming the field."""
    scale = names.scale_of(asset)
    if scale is None:
        raise PaymentMalformed(
            f"The asset {asset!r} is not known on {names.network_name}.", "Check its code."
        )
    try:
        minor_units = parse_amount(amount, scale)
    except AmountError as error:
        raise PaymentMalformed(f"The amount: {error}.", "Correct it and build the payment again.") from error
    body = _well_formed(
        lambda: Transfer(
            parse_address(credit, names.network_name), asset, minor_units, present(uetr), present(reference)
        )
    )
    return build_draft(
        names,
        network_id=network_id,
        tx_id=tx_id,
        author=_well_formed(lambda: parse_address(debit, names.network_name)),
        kind=Kind.TRANSFER,
        body=body,
        valid_from_ms=valid_from_ms,
        valid_until_ms=valid_until_ms,
        signers=signers,
    )


def draft_of(payload: bytes, names: Names, signatures: Mapping[bytes, bytes] = NO_SIGNATURES) -> Draft:
    """The draft of payload bytes and signatures of them, all checked. Raises PaymentMalformed."""
    decoded, body = _well_formed(lambda: decode_payload(payload))
    strangers = signatures.keys() - set(decoded.signers)
    if strangers:
        raise PaymentMalformed(
            f"It has a signature by {min(strangers).hex()}, which is not one of its signers.",
            "Remove that signature.",
        )
    for key, signature in signatures.items():
        _check_signature(key, payload, signature)
    scales = MappingProxyType(_scales(body, names))
    return Draft(payload, names.network_name, scales, MappingProxyType(dict(signatures)))


def sign_draft(draft: Draft, private_key: ec.EllipticCurvePrivateKey) -> Draft:
    """The draft with this key's signature. Raises NotASigner."""
    key = _check_signer(draft.decoded()[0].signers, private_key)
    return with_signature(draft, key, sign(private_key, signing_hash(draft.payload)))


def with_signature(draft: Draft, key: bytes, signature: bytes) -> Draft:
    """The draft with a signature that was made elsewhere (a device, a browser). Raises PaymentMalformed."""
    return draft_of(draft.payload, draft.names, {**draft.signatures, key: signature})


def merge_drafts(draft: Draft, other: Draft) -> Draft:
    """One draft with the signatures of two copies that were signed apart. Raises PaymentMalformed."""
    if draft.payload != other.payload:
        raise PaymentMalformed(
            "The two files are not copies of one payment.", "Merge copies of the same payment."
        )
    return replace(draft, signatures=MappingProxyType({**other.signatures, **draft.signatures}))


def complete_envelope(draft: Draft) -> bytes:
    """The envelope to submit. Raises SignaturesMissing, naming the keys."""
    return _envelope(draft.payload, draft.decoded()[0].signers, draft.signatures)


def sign_payload(payload: bytes, private_keys: Sequence[ec.EllipticCurvePrivateKey]) -> bytes:
    """The envelope of a payload whose signers' keys are all here. Raises NotASigner, SignaturesMissing."""
    signers = _well_formed(lambda: decode_payload(payload))[0].signers
    digest = signing_hash(payload)
    signatures = {}
    for private_key in private_keys:
        key = _check_signer(signers, private_key)
        signatures[key] = sign(private_key, digest)
    return _envelope(payload, signers, signatures)


def validity(now_ms: int, lasting_ms: int = DEFAULT_VALIDITY_MS) -> tuple[int, int]:
    """valid_from_ms and valid_until_ms of a payment that is good for `lasting_ms` from now on."""
    return max(0, now_ms - CLOCK_SLACK_MS), now_ms + lasting_ms


def _envelope(payload: bytes, signers: Sequence[bytes], signatures: Mapping[bytes, bytes]) -> bytes:
    missing = [key.hex() for key in signers if key not in signatures]
    if missing:
        raise SignaturesMissing(
            f"{len(missing)} of its signers haven't signed: {', '.join(missing)}.",
            "Have each of them sign the payment file, then submit it.",
        )
    return encode_envelope(payload, [signatures[key] for key in signers])


def _scales(body: Body, names: Names) -> dict[str, int]:
    asset = getattr(body, "asset", None)
    scale = names.scale_of(asset) if isinstance(asset, str) else None
    return {} if scale is None or asset is None else {asset: scale}


def _check_signer(signers: Sequence[bytes], private_key: ec.EllipticCurvePrivateKey) -> bytes:
    key = public_bytes(private_key)
    if key not in signers:
        raise NotASigner(
            f"The key {key.hex()} is not one of the signers that this payment was built for.",
            "Sign with one of those keys, or build the payment again with this key among its signers.",
        )
    return key


def _check_signature(key: bytes, payload: bytes, signature: bytes) -> None:
    try:
        verify(key, signing_hash(payload), signature)
    except BadSignature as error:
        raise PaymentMalformed(
            f"The signature by {key.hex()} is not good for this payment: {error}.",
            "The payment was changed after it was signed, or the signature was: build and sign it again.",
        ) from error


def _well_formed(make: Callable[[], T]) -> T:
    try:
        return make()
    except Malformed as error:
        raise PaymentMalformed(
            f"The payment is not well-formed: {error.reason}.", "Correct that and build it again."
        ) from error
