"""The vectors of tests/vectors: examples of every layout, and what must be refused.

It must not know the directory they are written to. The formats' examples come from the small network of
sample.py; the refused encodings and signatures are put together here, from what the formats forbid.
"""

from collections.abc import Mapping
from hashlib import sha256

from ledger.certificate import decode_seal, encode_certificate, seal_hash
from ledger.codec import encode
from ledger.envelope import signing_hash
from ledger.keys import account_id, address, public_bytes, reference_hash, sign
from ledger.leaves import id_record, outcome_leaf
from ledger.membership import Change
from ledger.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from ledger.records import ConsumedId, HistoryEntry, HistoryRow, account_ref
from ledger.snapshot import SECTIONS, ChunkRef, Manifest, SectionRef, encode_manifest
from tests.unit.ledger import sample

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Vectors = Mapping[str, object]

REFUSED_ENCODINGS = (
    ("nil", "c0"),
    ("float 32", "ca3f800000"),
    ("float 64", "cb3ff0000000000000"),
    ("map", "80"),
    ("map of one", "810101"),
    ("extension", "d40100"),
    ("timestamp extension", "d6ff00000000"),
    ("reserved byte", "c1"),
    ("negative fixint", "ff"),
    ("negative int 8", "d080"),
    ("negative int 64", "d3ffffffffffffffff"),
    ("integer 2^63", "cf8000000000000000"),
    ("integer 2^64 - 1", "cfffffffffffffffff"),
    ("1 as uint 8", "cc01"),
    ("1 as uint 16", "cd0001"),
    ("1 as uint 32", "ce00000001"),
    ("1 as uint 64", "cf0000000000000001"),
    ("1 as int 8", "d001"),
    ("128 as int 16", "d10080"),
    ("empty bin with a length of 16 bits", "c50000"),
    ("empty bin with a length of 32 bits", "c600000000"),
    ("empty str with a length of 8 bits", "d900"),
    ("empty array with a length of 16 bits", "dc0000"),
    ("empty array with a length of 32 bits", "dd00000000"),
    ("str that is not UTF-8", "a1ff"),
    ("str with an encoded surrogate", "a3eda080"),
    ("nothing", ""),
    ("truncated array", "92"),
    ("truncated bin", "c40201"),
    ("trailing byte", "0100"),
    ("trailing value", "9000"),
)

ACCEPTED_VALUES: tuple[tuple[str, object], ...] = (
    ("zero", 0),
    ("largest fixint", 127),
    ("smallest uint 8", 128),
    ("largest uint 8", 255),
    ("smallest uint 16", 256),
    ("largest uint 16", 65_535),
    ("smallest uint 32", 65_536),
    ("largest uint 32", 2**32 - 1),
    ("smallest uint 64", 2**32),
    ("largest integer", 2**63 - 1),
    ("false", False),
    ("true", True),
    ("empty text", ""),
    ("text", "Zürich"),
    ("text of 32 bytes", "x" * 32),
    ("empty array", ()),
    ("array of 16", tuple(range(16))),
    ("nested arrays", ((1, ()), (True, "a"))),
)


def all_vectors() -> dict[str, Vectors]:
    """Every file by its name without the suffix."""
    return {
        "codec": codec_vectors(),
        "signatures": signature_vectors(),
        "merkle": merkle_vectors(),
        "formats": format_vectors(),
    }


def codec_vectors() -> Vectors:
    """Canonical encodings, and bytes that are none."""
    return {
        "provenance": "Put together by hand from the MessagePack specification and formats.md, section 1.",
        "accepted": [
            {"name": name, "value": value, "hex": encode(value).hex()} for name, value in ACCEPTED_VALUES
        ],
        "refused": [{"name": name, "hex": digits} for name, digits in REFUSED_ENCODINGS],
    }


def signature_vectors() -> Vectors:
    """Signatures over one digest, good and bad, each bad in one way."""
    key, digest = sample.public_key(7), sha256(b"nostro").digest()
    good = sign(sample.private_key(7), digest)
    r, s = good[:32], good[32:]
    zero, order, half = bytes(32), _int(ORDER), _int(ORDER // 2)
    off_curve = key[:-1] + bytes([key[-1] ^ 1])
    compressed = bytes([2 + key[-1] % 2]) + key[1:33]
    hybrid = bytes([6 + key[-1] % 2]) + key[1:]
    cases = [
        ("good, low-S, deterministic by RFC 6979", key, digest, good, True),
        ("high-S: n - s", key, digest, r + _int(ORDER - int.from_bytes(s, "big")), False),
        ("s one above half the order", key, digest, r + _int(ORDER // 2 + 1), False),
        ("s is half the order, in range but wrong", key, digest, r + half, False),
        ("r is 0", key, digest, zero + s, False),
        ("s is 0", key, digest, r + zero, False),
        ("r is n", key, digest, order + s, False),
        ("s is n", key, digest, r + order, False),
        ("r is n - 1, in range but wrong", key, digest, _int(ORDER - 1) + s, False),
        ("r and s are 1", key, digest, _int(1) + _int(1), False),
        ("r and s exchanged", key, digest, s + r, False),
        ("63 bytes", key, digest, good[:-1], False),
        ("65 bytes", key, digest, good + b"\x00", False),
        ("empty", key, digest, b"", False),
        ("another digest", key, sha256(b"nostra").digest(), good, False),
        ("another key", sample.public_key(8), digest, good, False),
        ("key off the curve", off_curve, digest, good, False),
        ("compressed key", compressed, digest, good, False),
        ("hybrid key", hybrid, digest, good, False),
        ("point at infinity as key", b"\x00", digest, good, False),
        ("key of 64 bytes without its prefix", key[1:], digest, good, False),
    ]
    return {
        "provenance": "Made for the private key 7; each bad case breaks one rule of formats.md, section 2.",
        "cases": [
            {"name": name, "key": k.hex(), "digest": d.hex(), "signature": sig.hex(), "valid": valid}
            for name, k, d, sig, valid in cases
        ],
    }


def merkle_vectors() -> Vectors:
    """Roots and proofs over the leaves 0, 1, 2, ... as one byte each."""
    hashes = [leaf_hash(bytes([number])) for number in range(8)]
    return {
        "provenance": "RFC 6962; computed by ledger/merkle.py, checked against a recursive twin.",
        "leaves": [bytes([number]).hex() for number in range(8)],
        "roots_by_size": [root(hashes[:size]).hex() for size in range(9)],
        "inclusion": [
            {"size": size, "index": index, "path": _hex(inclusion_proof(hashes[:size], index))}
            for size in (1, 2, 3, 7, 8)
            for index in range(size)
        ],
        "consistency": [
            {"old": old, "new": 8, "proof": _hex(consistency_proof(hashes, old))} for old in range(1, 9)
        ],
    }


def format_vectors() -> Vectors:
    """One example of every layout that is signed, hashed or exchanged."""
    payload = sample.payload()
    envelope = sample.signed(payload)
    block = sample.block([envelope, sample.envelope(2)])
    seal = sample.seal(1, header_hash=block.hash)
    change = Change(2, ("node-alpha", "node-beta", "node-gamma"), (), ("node-delta",))
    changing = sample.block([], change=change)
    receipt = sample.receipt()
    recovered = sample.receipt(handovers=[sample.recovery()], signers=("node-gamma",), epoch=1)
    handed_over = sample.receipt(handovers=sample.HANDED_OVER, signers=("node-delta",))
    return {
        "provenance": "Made from tests/unit/ledger/sample.py; private keys are small numbers.",
        "genesis": {"raw": sample.genesis_raw().hex(), "network_id": sample.network().hex()},
        "account": {
            "member": "alpha",
            "asset": "EUR",
            "tx_id": bytes(16).hex(),
            "id": account_id("alpha", "EUR", bytes(16)).hex(),
            "network_name": sample.NETWORK_NAME,
            "address": address(sample.NETWORK_NAME, account_id("alpha", "EUR", bytes(16))),
        },
        "key": {"private": 12, "public": public_bytes(sample.private_key(12)).hex()},
        "payload": {"raw": payload.hex(), "signing_hash": signing_hash(payload).hex()},
        "envelope": {"raw": envelope.hex(), "leaf_hash": leaf_hash(envelope).hex()},
        "header": {
            "raw": block.header_raw.hex(),
            "hash": block.hash.hex(),
            "signature": block.signature.hex(),
        },
        "header_with_change": {"raw": changing.header_raw.hex(), "hash": changing.hash.hex()},
        "block": {"raw": block.raw.hex()},
        "outcome_leaf": {
            "executed": outcome_leaf(0).hex(),
            "duplicate_of_4_2": outcome_leaf(300, (4, 2)).hex(),
        },
        "id_record": {
            "raw": id_record(
                author=b"alpha", tx_id=bytes(16), height=4, index=2, signing_hash=bytes(32), outcome=0
            ).hex()
        },
        "history_row": {
            "raw": encode(
                HistoryRow(
                    0,
                    (),
                    leaf_hash(envelope),
                    (ConsumedId(account_ref(0), bytes(16), signing_hash(payload)),),
                    (HistoryEntry(0, 1_250, 0, 1, 0, 0), HistoryEntry(1, 0, 1_250, 1, 0, 0)),
                )
            ).hex()
        },
        "snapshot_manifest": {"raw": encode_manifest(_manifest(seal)).hex()},
        "seal": {"raw": seal.hex(), "hash": seal_hash(seal).hex()},
        "certificate": {"raw": encode_certificate(sample.certificate(seal)).hex()},
        "reference": {
            "salt": bytes(range(32)).hex(),
            "data": b"Rent, March".hex(),
            "hash": reference_hash(bytes(range(32)), b"Rent, March").hex(),
        },
        "receipt": {"raw": receipt.raw.hex(), "index": 1, "height": 1, "certified_height": 3},
        "receipt_after_recovery": {"raw": recovered.raw.hex(), "signed_by": ["node-gamma"]},
        "receipt_after_handovers": {"raw": handed_over.raw.hex(), "signed_by": ["node-delta"]},
    }


def _manifest(seal: bytes) -> Manifest:
    """A manifest of the height of this seal, whose sections stand for nothing."""
    sections = tuple(SectionRef(name, 2, (ChunkRef(bytes(32), 100),)) for name in SECTIONS)
    height = decode_seal(seal).height
    return Manifest(1, sample.network(), height, sample.HANDED_OVER, (), sample.certificate(seal), sections)


def _int(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _hex(items: tuple[bytes, ...]) -> list[str]:
    return [item.hex() for item in items]
