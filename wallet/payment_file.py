"""The file in which a payment goes from who builds it to each who signs it, and what it would do, in words.

JSON that a person can read: the human form of the payload (ledger/json_form.py), and the signatures so far.
The bytes that are signed are always made from the form that is shown, so nobody signs what they can't see.
It must not know keys; it reads and writes files, and no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from ledger.bodies import Body, Recover
from ledger.codec import Malformed
from ledger.json_form import Names, parse_hex, payload_bytes_to_json, payload_from_json
from ledger.parameters import CertificateRule
from wallet.atomic_file import read_bounded, write_private
from wallet.errors import PaymentMalformed
from wallet.payment import Draft, draft_of

MOST_FILE_BYTES = 512 * 1024
"""The largest envelope has 64 KiB; hexadecimal and names make it a few times longer."""

SENTENCES: Mapping[str, str] = {
    "open_account": "The bank {author} opens an account in {asset}.",
    "transfer": "Pay {amount} {asset} from {author} to {credit}.",
    "set_policy": "Replace the keys that may sign for the account {account}.",
    "set_limit": "Let the balance of {account} go down to minus {limit_minor_units} minor units.",
    "set_flags": "Set the flags of the account {account} to {flags}.",
    "close_account": "Close the account {account} for ever.",
    "set_member": "Admit the member {id}, or change its name and policies.",
    "set_node": "Register the node {id} of {member}, or change its address.",
    "create_asset": "Create the asset {code}, issued by {issuer}, with {scale} decimals.",
    "set_parameters": "Change the network's parameters from the height {from_height} on.",
    "set_membership": "Change which nodes make up the cluster: add and remove those named below.",
    "recover": "Go on from the block {height} after the quorum was lost. Certified from then on by:",
    "set_rules": "Follow version {rules} of the rules from the height {from_height} on.",
}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["nostro-payment"]
    version: Literal[1]
    network_name: str
    scales: dict[str, int]
    payment: dict[str, Any]
    signatures: dict[str, str]


def encode_draft(draft: Draft) -> bytes:
    """The file's bytes, indented, ending in a newline."""
    signatures = {key.hex(): signature.hex() for key, signature in sorted(draft.signatures.items())}
    form = payload_bytes_to_json(draft.payload, draft.names)
    file = _File("nostro-payment", 1, draft.network_name, dict(draft.scales), form, signatures)
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def decode_draft(data: bytes, network: Names | None = None, network_id: bytes | None = None) -> Draft:
    """The draft in `data`, its form and its signatures checked. Raises PaymentMalformed.

    A file's own word for an asset's decimals is not to be trusted: with another scale, 10.00 shows as 0.10.
    Give `network` and `network_id` as the genesis document or one's own node has them, and both are compared.
    """
    if len(data) > MOST_FILE_BYTES:
        raise _malformed(f"it is longer than {MOST_FILE_BYTES:,} bytes")
    try:
        file = msgspec.json.decode(data, type=_File)
        names = Names(file.network_name, file.scales.get)
        payload = payload_from_json(file.payment, names)
        signatures = {parse_hex(key): parse_hex(signature) for key, signature in file.signatures.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Malformed) as error:
        raise _malformed(str(error)) from error
    draft = draft_of(payload, names, signatures)
    _check_network(draft, network, network_id)
    return draft


def read_draft(path: Path, network: Names | None = None, network_id: bytes | None = None) -> Draft:
    """The draft in a file. Raises OSError, PaymentMalformed."""
    data = read_bounded(path, MOST_FILE_BYTES)
    if data is None:
        raise _malformed(f"{path} is longer than {MOST_FILE_BYTES:,} bytes")
    return decode_draft(data, network, network_id)


def write_draft(path: Path, draft: Draft) -> None:
    """Write or replace the file, readable by its owner alone. Raises OSError."""
    write_private(path, encode_draft(draft))


def describe(draft: Draft) -> list[str]:
    """What the payment would do, for the person about to sign it: the sentence first, then the details."""
    form = payload_bytes_to_json(draft.payload, draft.names)
    payload, body = draft.decoded()
    words = {key: _words(value) for key, value in dict(form["body"]).items()}  # type: ignore[call-overload]
    kind, author = str(form["kind"]), str(form["author"])
    sentence = SENTENCES.get(kind, "{author} does {kind}.").format_map(
        {**words, "author": author, "kind": kind}
    )
    amount = getattr(body, "amount", None)
    return [
        sentence,
        *_certifiers(body),
        *([] if amount is None else [f"The amount is {amount:,} minor units."]),
        *(f"{key}: {value}" for key, value in words.items()),
        f"network: {draft.network_name}, {form['network_id']}",
        f"id: {form['tx_id']}",
        f"valid from {_time(payload.valid_from_ms)} until {_time(payload.valid_until_ms)}",
        *(f"signer {key.hex()}: {_signed(draft, key)}" for key in payload.signers),
    ]


def _certifiers(body: Body) -> list[str]:
    """Whose keys a decision to recover lets certify, each to be compared with the node's own."""
    if not isinstance(body, Recover):
        return []
    rule = CertificateRule(body.certifiers.certificate_rule).name.lower()
    nodes = [f"- {each.node} of {each.member}, key {each.key.hex()}" for each in body.certifiers.nodes]
    rehearsed = ["A rehearsal: it proves nothing, and is carried out on a drill's copies alone."]
    return [*nodes, f"by the {rule} rule", *(rehearsed if body.rehearsal else [])]


def _check_network(draft: Draft, network: Names | None, network_id: bytes | None) -> None:
    found = draft.decoded()[0].network_id
    if network_id is not None and found != network_id:
        raise _malformed(f"it is for the network {found.hex()}, not for {network_id.hex()}")
    if network is None:
        return
    if draft.network_name != network.network_name:
        raise _malformed(f"it names its network {draft.network_name!r}, not {network.network_name!r}")
    for asset, scale in draft.scales.items():
        if network.scale_of(asset) != scale:
            raise _malformed(
                f"it shows {asset} with {scale} decimals, the network has {network.scale_of(asset)}"
            )


def _signed(draft: Draft, key: bytes) -> str:
    return "has signed" if key in draft.signatures else "hasn't signed yet"


def _words(value: object) -> str:
    """A value on one line, without characters that would change how the line is shown."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in text)


def _time(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms after 1970"


def _malformed(fault: str) -> PaymentMalformed:
    return PaymentMalformed(
        f"The payment file can't be used: {fault}.", "Have it built again, by its sender."
    )
