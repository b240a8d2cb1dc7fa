"""The vectors in tests/vectors: equal to what the code makes, and right by independent implementations."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgpack
import pytest

from ledger.block import decode_block
from ledger.codec import Malformed, decode
from ledger.keys import BadSignature, verify
from ledger.receipt import verify_receipt
from tests.unit.ledger.vectors import all_vectors

DIRECTORY = Path(__file__).parents[2] / "vectors"


def _load(name: str) -> Any:
    return json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))


FORMATS = _load("formats")


def _tagged(kind: str, data: bytes) -> bytes:
    return sha256(f"nostro/{kind}/v1".encode() + b"\x00" + data).digest()


@pytest.mark.parametrize("name", ["codec", "signatures", "merkle", "formats"])
def test_files_are_what_the_code_makes(name: str) -> None:
    """A vector that changes means that a format has changed."""
    assert _load(name) == json.loads(json.dumps(all_vectors()[name]))


def test_directory_holds_no_other_vectors() -> None:
    """No file is left behind that nothing checks."""
    assert {path.stem for path in DIRECTORY.glob("*.json")} == set(all_vectors())


@pytest.mark.parametrize("case", _load("codec")["refused"], ids=lambda case: str(case["name"]))
def test_refused_encodings(case: dict[str, str]) -> None:
    """Whatever type is asked for, these bytes are no canonical value."""
    data = bytes.fromhex(case["hex"])
    for type_ in (int, bytes, str, bool, tuple[int, ...], tuple[int, bytes]):
        with pytest.raises(Malformed):
            decode(data, type_)


@pytest.mark.parametrize("case", _load("codec")["accepted"], ids=lambda case: str(case["name"]))
def test_accepted_encodings_are_those_of_msgpack(case: dict[str, Any]) -> None:
    """The independent encoder gives the same bytes."""
    assert msgpack.packb(case["value"]).hex() == case["hex"]


@pytest.mark.parametrize("case", _load("signatures")["cases"], ids=lambda case: str(case["name"]))
def test_signatures(case: dict[str, Any]) -> None:
    """Good ones pass, each bad one is refused."""
    key, digest, signature = (bytes.fromhex(case[name]) for name in ("key", "digest", "signature"))
    if case["valid"]:
        verify(key, digest, signature)
    else:
        with pytest.raises(BadSignature):
            verify(key, digest, signature)


@pytest.mark.parametrize(
    ("kind", "thing", "hash_name"),
    [
        ("genesis", "genesis", "network_id"),
        ("envelope", "payload", "signing_hash"),
        ("header", "header", "hash"),
        ("header", "header_with_change", "hash"),
        ("seal", "seal", "hash"),
    ],
)
def test_hashes_of_signed_things(kind: str, thing: str, hash_name: str) -> None:
    """Computed here from the text of formats.md, section 2, alone."""
    raw = bytes.fromhex(FORMATS[thing]["raw"])
    assert _tagged(kind, raw).hex() == FORMATS[thing][hash_name]


@pytest.mark.parametrize(
    ("thing", "items"),
    [
        ("genesis", 8),
        ("payload", 9),
        ("envelope", 2),
        ("header", 15),
        ("block", 3),
        ("id_record", 6),
        ("history_row", 5),
        ("snapshot_manifest", 7),
        ("seal", 11),
        ("certificate", 2),
        ("header_with_change", 15),
        ("receipt", 11),
        ("receipt_after_handovers", 11),
        ("receipt_after_recovery", 11),
    ],
)
def test_layouts_read_by_an_independent_codec(thing: str, items: int) -> None:
    """Every layout is an array of as many items as formats.md says, and msgpack writes it the same."""
    raw = bytes.fromhex(FORMATS[thing]["raw"])
    value = msgpack.unpackb(raw)
    assert len(value) == items
    assert msgpack.packb(value) == raw


def test_account_id_and_reference_follow_the_text() -> None:
    """The id of formats.md, section 2, put together by hand; the reference too."""
    account, reference = FORMATS["account"], FORMATS["reference"]
    opened = msgpack.packb([account["member"], account["asset"], bytes.fromhex(account["tx_id"])])
    assert (b"\x00" + _tagged("account", opened)[:20]).hex() == account["id"]
    hidden = bytes.fromhex(reference["salt"]) + bytes.fromhex(reference["data"])
    assert _tagged("reference", hidden).hex() == reference["hash"]


def test_block_and_receipt_vectors_hold_together() -> None:
    """The block carries the envelope of the vectors; the receipt proves its payment."""
    block = decode_block(bytes.fromhex(FORMATS["block"]["raw"]))
    assert block.body[0].hex() == FORMATS["envelope"]["raw"]
    assert block.leaf_hashes[0].hex() == FORMATS["envelope"]["leaf_hash"]
    network_id = bytes.fromhex(FORMATS["genesis"]["network_id"])
    proved = verify_receipt(bytes.fromhex(FORMATS["receipt"]["raw"]), network_id)
    assert (proved.height, proved.index, proved.certified_height) == (1, 1, 3)
