"""Payment files: what is read is what was written, and what is shown is what is signed."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.bodies import (
    BODIES,
    Body,
    CloseAccount,
    CreateAsset,
    Kind,
    OpenAccount,
    Recover,
    SetFlags,
    SetLimit,
    SetMember,
    SetMembership,
    SetNode,
    SetParameters,
    SetPolicy,
    SetRules,
    Transfer,
)
from ledger.json_form import KIND_NAMES, Names
from ledger.keys import account_id, address, public_bytes
from ledger.parameters import Parameters
from ledger.policy import single_key
from tests.unit.ledger import sample
from wallet.errors import PaymentMalformed
from wallet.payment import Draft, build_draft, sign_draft
from wallet.payment_file import (
    MOST_FILE_BYTES,
    SENTENCES,
    decode_draft,
    describe,
    encode_draft,
    read_draft,
    write_draft,
)

NETWORK_ID = bytes(range(32))
NAMES = Names("nostrodev", {"EUR": 2}.get)
KEYS = [ec.derive_private_key(number, ec.SECP256R1()) for number in (5, 6, 7)]
PUBLIC = [public_bytes(key) for key in KEYS]
ALICE = account_id("alpha", "EUR", bytes(16))
BOB = account_id("beta", "EUR", bytes(16))
POLICY = single_key(PUBLIC[0])


def draft_of(
    kind: Kind, body: Body, author: bytes = ALICE, signers: list[bytes] = PUBLIC[:1], until_ms: int = 2_000
) -> Draft:
    return build_draft(
        NAMES,
        network_id=NETWORK_ID,
        tx_id=bytes(16),
        author=author,
        kind=kind,
        body=body,
        valid_from_ms=1_000,
        valid_until_ms=until_ms,
        signers=signers,
    )


def transfer(amount: int = 1_250, signers: list[bytes] = PUBLIC[:1]) -> Draft:
    return draft_of(Kind.TRANSFER, Transfer(BOB, "EUR", amount), signers=signers)


def edited(draft: Draft, *place: str, to: object) -> bytes:
    """The file with one field changed, as somebody with an editor would."""
    document = json.loads(encode_draft(draft))
    parent: dict[str, Any] = document
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = to
    return json.dumps(document).encode()


OF_EACH_KIND: dict[Kind, tuple[Body, bytes]] = {
    Kind.OPEN_ACCOUNT: (OpenAccount("EUR", POLICY), b"alpha"),
    Kind.TRANSFER: (Transfer(BOB, "EUR", 1), ALICE),
    Kind.SET_POLICY: (SetPolicy(ALICE, 1, POLICY), ALICE),
    Kind.SET_LIMIT: (SetLimit(ALICE, 1, 500), b"alpha"),
    Kind.SET_FLAGS: (SetFlags(ALICE, 1, 3), b"alpha"),
    Kind.CLOSE_ACCOUNT: (CloseAccount(ALICE, 1), ALICE),
    Kind.SET_MEMBER: (SetMember("gamma", "Gamma Bank", POLICY, POLICY, 0), b"alpha"),
    Kind.SET_NODE: (SetNode("gamma-1", "gamma", PUBLIC[0], "127.0.0.1:7000", 0), b"alpha"),
    Kind.CREATE_ASSET: (CreateAsset("GBP", 2, "alpha", POLICY), b"alpha"),
    Kind.SET_PARAMETERS: (SetParameters(Parameters(), 100, 1), b"alpha"),
    Kind.SET_MEMBERSHIP: (SetMembership(("gamma-1",), True, (), 1), b"alpha"),
    Kind.RECOVER: (
        Recover(1, 70, bytes(32), 3, sample.certifiers_of(["node-alpha", "node-beta"]), 69, rehearsal=True),
        b"alpha",
    ),
    Kind.SET_RULES: (SetRules(2, 100, 1), b"alpha"),
}


def test_every_kind_has_a_sentence() -> None:
    """No kind is left out, here or in the words."""
    assert set(OF_EACH_KIND) == set(BODIES)
    assert set(SENTENCES) == set(KIND_NAMES.values())


@pytest.mark.parametrize("kind", list(OF_EACH_KIND))
def test_every_kind_goes_through_a_file(kind: Kind) -> None:
    """A transaction of each kind is read as it was written, and is described in words."""
    body, author = OF_EACH_KIND[kind]
    draft = sign_draft(draft_of(kind, body, author), KEYS[0])
    assert decode_draft(encode_draft(draft), NAMES, NETWORK_ID) == draft
    lines = describe(draft)
    assert "{" not in lines[0]
    assert lines[-1] == f"signer {PUBLIC[0].hex()}: has signed"


def test_a_decision_to_recover_shows_whose_keys_certify() -> None:
    """Each node with its member and key, the rule, and whether it is a rehearsal."""
    body, author = OF_EACH_KIND[Kind.RECOVER]
    assert isinstance(body, Recover)
    lines = describe(draft_of(Kind.RECOVER, body, author))
    assert lines[1:4] == [
        *(f"- {each.node} of {each.member}, key {each.key.hex()}" for each in body.certifiers.nodes),
        "by the majority rule",
    ]
    assert lines[4].startswith("A rehearsal")
    earnest = describe(draft_of(Kind.RECOVER, replace(body, rehearsal=False), author))
    assert not any(line.startswith("A rehearsal") for line in earnest)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2**63 - 1),
    st.integers(0, 18),
    st.binary(min_size=16, max_size=16),
    st.sets(st.integers(0, 2), min_size=1),
    st.data(),
)
def test_round_trip(amount: int, scale: int, uetr: bytes, signers: set[int], data: st.DataObject) -> None:
    """Whatever the amount, the scale, the signers and who of them has signed."""
    names = Names("nostrodev", {"EUR": scale}.get)
    draft = build_draft(
        names,
        network_id=NETWORK_ID,
        tx_id=uetr[::-1],
        author=ALICE,
        kind=Kind.TRANSFER,
        body=Transfer(BOB, "EUR", amount, (uetr,)),
        valid_from_ms=0,
        valid_until_ms=2**63 - 1,
        signers=[PUBLIC[place] for place in signers],
    )
    for place in data.draw(st.sets(st.sampled_from(sorted(signers)))):
        draft = sign_draft(draft, KEYS[place])
    assert decode_draft(encode_draft(draft), names, NETWORK_ID) == draft
    assert len(describe(draft)) > 5


def test_words() -> None:
    """The lines say who pays what to whom, on which network, until when, and who signed."""
    draft = sign_draft(transfer(signers=PUBLIC[:2]), KEYS[0])
    lines = describe(draft)
    assert lines[0] == f"Pay 12.50 EUR from {address('nostrodev', ALICE)} to {address('nostrodev', BOB)}."
    assert lines[1] == "The amount is 1,250 minor units."
    assert f"network: nostrodev, {NETWORK_ID.hex()}" in lines
    assert "valid from 1970-01-01 00:00:01 UTC until 1970-01-01 00:00:02 UTC" in lines
    assert f"signer {PUBLIC[0].hex()}: has signed" in lines
    assert f"signer {PUBLIC[1].hex()}: hasn't signed yet" in lines


def test_words_of_a_far_time() -> None:
    """A time beyond the calendar is said in milliseconds."""
    draft = draft_of(Kind.TRANSFER, Transfer(BOB, "EUR", 1), until_ms=2**63 - 1)
    assert any(f"{2**63 - 1} ms after 1970" in line for line in describe(draft))


def test_words_show_direction_marks() -> None:
    """A name can't turn the line around: characters that aren't printed are spelled out."""
    body = SetMember("gamma", "Gamma\u202eknab", POLICY, POLICY, 0)
    lines = describe(draft_of(Kind.SET_MEMBER, body, b"alpha"))
    assert "name: Gamma\\u{202e}knab" in lines


def test_file_on_disk(tmp_path: Path) -> None:
    """A file is private, and each signer replaces it whole."""
    path = tmp_path / "payment.json"
    write_draft(path, transfer())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_draft(path, sign_draft(read_draft(path), KEYS[0]))
    assert read_draft(path, NAMES, NETWORK_ID).missing_signers == ()


def test_changed_amount_breaks_the_signature() -> None:
    """A signed file whose amount was changed is refused; unsigned it is just another payment."""
    with pytest.raises(PaymentMalformed, match="not good"):
        decode_draft(edited(sign_draft(transfer(), KEYS[0]), "payment", "body", "amount", to="12.51"))
    changed = decode_draft(edited(transfer(), "payment", "body", "amount", to="12.51"))
    assert describe(changed)[0].startswith("Pay 12.51 EUR")


def test_wrong_scale_is_found() -> None:
    """A file that shows 1,250 minor units as 0.1250 is refused where the network's scales are known."""
    other = Names("nostrodev", {"EUR": 4}.get)
    draft = decode_draft(encode_draft(transfer()))
    forged = encode_draft(Draft(draft.payload, "nostrodev", {"EUR": 4}, {}))
    assert "The amount is 1,250 minor units." in describe(decode_draft(forged))
    assert decode_draft(forged, other).payload == draft.payload
    with pytest.raises(PaymentMalformed, match="decimals"):
        decode_draft(forged, NAMES)


def test_other_network() -> None:
    """A payment for another network, by id or by name, is refused."""
    with pytest.raises(PaymentMalformed, match="is for the network"):
        decode_draft(encode_draft(transfer()), network_id=bytes(32))
    with pytest.raises(PaymentMalformed, match="names its network"):
        decode_draft(encode_draft(transfer()), Names("othernet", {"EUR": 2}.get))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "other"),
        (("version",), 2),
        (("extra",), 1),
        (("scales",), {}),
        (("scales", "EUR"), 1),
        (("network_name",), "othernet"),
        (("payment",), []),
        (("payment", "kind"), "gift"),
        (("payment", "extra"), 1),
        (("payment", "tx_id"), "1"),
        (("payment", "body", "amount"), 12.5),
        (("payment", "body", "amount"), "0.00"),
        (("payment", "signers"), []),
        (("signatures",), {"zz": "00"}),
        (("signatures",), {PUBLIC[1].hex(): "00" * 64}),
        (("signatures",), {PUBLIC[0].hex(): "00" * 64}),
        (("signatures",), {PUBLIC[0].hex(): "00"}),
    ],
)
def test_refused(place: tuple[str, ...], value: object) -> None:
    """Other formats, unknown fields, malformed values and signatures that aren't good."""
    with pytest.raises(PaymentMalformed):
        decode_draft(edited(transfer(), *place, to=value))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"payment":{"a":' + b"[" * 100_000, b"[1]", b"\xff", b" " * (MOST_FILE_BYTES + 1)]
)
def test_not_a_payment_file(data: bytes, tmp_path: Path) -> None:
    """Other files, and files over the limit, are refused."""
    path = tmp_path / "payment.json"
    path.write_bytes(data)
    with pytest.raises(PaymentMalformed):
        read_draft(path)
    with pytest.raises(PaymentMalformed):
        decode_draft(data)


def test_longest_file() -> None:
    """A file of exactly the most bytes is read."""
    assert decode_draft(encode_draft(transfer()).ljust(MOST_FILE_BYTES)) == transfer()
