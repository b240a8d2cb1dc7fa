"""Verify a Nostro receipt with nothing of Nostro's: standard library, msgpack and ecdsa (pure Python).

Written from docs/formats.md alone, so that a bank or a court can check a payment without trusting the
software that made it. It must not import any package of this repository.

    python verify_receipt.py RECEIPT_FILE NETWORK_ID_HEX

Exit code 0: proved, the facts are printed as JSON. 1: not proved, the reason is on stderr. 2: wrong usage.
"""

import hashlib
import json
import re
import sys
from typing import Any, NamedTuple, TypeAlias

import ecdsa
import msgpack

Value: TypeAlias = Any
"""What MessagePack decodes to, of whatever type until it is checked."""

KINDS = {
    1: "open_account",
    2: "transfer",
    3: "set_policy",
    4: "set_limit",
    5: "set_flags",
    6: "close_account",
    16: "set_member",
    17: "set_node",
    18: "create_asset",
    19: "set_parameters",
    20: "set_membership",
    21: "set_rules",
    22: "recover",
}
SEAL_FIELDS = (
    "format:int network:32 epoch:int height:int header:32 parent:32 outcomes:32 log:32 state:32 "
    "certifiers:32 electorate:32"
)
RECOVER_FIELDS = (
    "epoch:int height:int header_hash:32 term:int certifiers:list certified_height:int rehearsal:bool"
)
RECOVER = 22
HEADER_FIELDS = (
    "format:int network:32 epoch:int height:int term:int parent:32 time_ms:int proposer:str boot:16 "
    "rules:int membership:int change:list tx_root:32 tx_count:int body_bytes:int"
)
PAYLOAD_FIELDS = (
    "version:int network:32 tx_id:16 author:bytes kind:int body:list valid_from_ms:int valid_until_ms:int "
    "signers:list"
)
TYPES = {"int": int, "bool": bool, "str": str, "bytes": bytes, "list": list}
MAX_SEALS = 10_000
MAX_SIGNERS = 64
MAX_ENVELOPE_BYTES = 65_536
MAX_INTEGER = 2**63 - 1
ORDER = ecdsa.NIST256p.order
ASSET_CODE = re.compile(r"[A-Z0-9]{3,12}\Z")
NODE_ID = re.compile(r"[a-z0-9-]{1,32}\Z")
MEMBER_ID = re.compile(r"[a-z0-9-]{1,16}\Z")


class Reached(NamedTuple):
    """Whose certificates count above a height, in an epoch: (id, member, key) of nodes, and their rule.

    `recovered` are the hashes, by height, of the blocks that recoveries went on from.
    """

    height: int
    epoch: int
    rule: int
    nodes: list[tuple[str, str, bytes]]
    recovered: dict[int, bytes]


class NotProved(Exception):
    """The receipt does not prove its payment; the text says which step fails."""


def require(good: object, otherwise: str) -> None:
    """Go on only if `good`."""
    if not good:
        raise NotProved(otherwise)


def tagged_hash(kind: bytes, data: bytes) -> bytes:
    """Section 2: the hash of a signed thing."""
    return hashlib.sha256(b"nostro/" + kind + b"/v1\x00" + data).digest()


def unpack(data: Value, what: str) -> Value:
    """Section 1: canonical MessagePack only, proved by encoding it again."""
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False, use_list=True)
        again = msgpack.packb(value, use_bin_type=True)
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException) as error:
        raise NotProved(f"{what}: not MessagePack: {error}") from error
    require(again == data, f"{what}: not canonical")
    check_types(value, what)
    return value


def check_types(value: Value, what: str) -> None:
    """Section 1: arrays, bools, unsigned integers, byte strings and text; nothing else."""
    if isinstance(value, list):
        for item in value:
            check_types(item, what)
    elif isinstance(value, int):
        require(0 <= value <= MAX_INTEGER, f"{what}: an integer out of range")
    else:
        require(isinstance(value, (bytes, str)), f"{what}: a value of a type that is not allowed")


def array(value: Value, length: int, what: str) -> list[Value]:
    """An array of exactly that many items."""
    require(isinstance(value, list) and len(value) == length, f"{what}: not an array of {length}")
    return list(value)


def named(fields: str, value: Value, what: str) -> dict[str, Value]:
    """An array's items under the names of the fields, each of its type: bytes of that length for a number."""
    pairs = [field.split(":") for field in fields.split()]
    items = array(value, len(pairs), what)
    for (name, type_), item in zip(pairs, items, strict=True):
        if type_.isdigit():
            bytes_of(item, int(type_), f"{what}: {name}")
        require(type_.isdigit() or type(item) is TYPES[type_], f"{what}: {name} is of another type")
    return {name: item for (name, _), item in zip(pairs, items, strict=True)}


def bytes_of(value: Value, length: int, what: str) -> bytes:
    """A byte string of exactly that length."""
    require(isinstance(value, bytes) and len(value) == length, f"{what}: not {length} bytes")
    return bytes(value)


def number(value: Value, what: str) -> int:
    """An unsigned integer, and not a bool."""
    require(type(value) is int, f"{what}: not a number")
    return int(value)


def exactly(value: Value, expected: int, what: str) -> None:
    """That very unsigned integer; Python takes True for 1, the formats don't."""
    require(type(value) is int and value == expected, f"{what}: not {expected}")


def verify_signature(key: Value, digest: bytes, signature: Value, what: str) -> None:
    """Section 2: ECDSA P-256 over the digest, r ‖ s, low-S."""
    bytes_of(key, 65, f"{what}: key")
    bytes_of(signature, 64, f"{what}: signature")
    s = int.from_bytes(signature[32:], "big")
    require(1 <= s <= ORDER // 2, f"{what}: the signature is not low-S")
    try:
        check_point(key, what).verify_digest(signature, digest)
    except ecdsa.BadSignatureError as error:
        raise NotProved(f"{what}: bad signature") from error


def check_point(key: bytes, what: str) -> ecdsa.VerifyingKey:
    """Section 2: the key is an uncompressed point on the curve."""
    require(key[0] == 4, f"{what}: the key is not uncompressed")
    try:
        return ecdsa.VerifyingKey.from_string(key, curve=ecdsa.NIST256p)
    except ecdsa.errors.MalformedPointError as error:
        raise NotProved(f"{what}: the key is no point of the curve") from error


def climb(leaf: bytes, index: int, size: int, path: Value, root: Value, what: str) -> None:
    """RFC 9162, 2.1.3.2: from a leaf's hash to the root of a tree of `size` leaves."""
    require(0 <= index < size, f"{what}: index {index} of {size}")
    require(isinstance(path, list), f"{what}: the path is not an array")
    position, last, computed = index, size - 1, leaf
    for sibling in path:
        bytes_of(sibling, 32, f"{what}: path")
        require(last > 0, f"{what}: the path is too long")
        if position % 2 == 1 or position == last:
            computed = hashlib.sha256(b"\x01" + sibling + computed).digest()
            while position % 2 == 0 and position > 0:
                position //= 2
                last //= 2
        else:
            computed = hashlib.sha256(b"\x01" + computed + sibling).digest()
        position //= 2
        last //= 2
    require(last == 0 and computed == root, f"{what}: the path does not lead to the root")


def read_genesis(raw: Value) -> tuple[str, int, list[tuple[str, str, bytes]]]:
    """Section 5: the network's name, the rule of certificates, and the nodes as (id, member, key)."""
    genesis = array(unpack(raw, "genesis"), 8, "genesis")
    exactly(genesis[0], 1, "genesis: format")
    rule = number(array(genesis[4], 5, "genesis: parameters")[4], "genesis: certificate rule")
    require(rule in (0, 1), "genesis: unknown certificate rule")
    nodes = [tuple(array(node, 4, "genesis: node")[:3]) for node in genesis[7]]
    ids = [node[0] for node in nodes]
    require(ids == sorted(set(ids)) and ids, "genesis: nodes not ascending")
    require(len({node[1] for node in nodes}) == len(nodes), "genesis: a member with two nodes")
    require(len({node[2] for node in nodes}) == len(nodes), "genesis: a key used twice")
    return genesis[1], rule, nodes


def quorum(rule: int, count: int) -> int:
    """Section 5: how many of `count` certifiers must sign."""
    if rule == 0:
        return count // 2 + 1
    require(count >= 4, "the byzantine rule takes four certifiers")
    return 2 * count // 3 + 1


def read_seal(raw: Value, network_id: bytes) -> dict[str, Value]:
    """Section 7: the fields of a seal."""
    seal = named(SEAL_FIELDS, unpack(raw, "seal"), "seal")
    exactly(seal["format"], 1, "seal: format")
    require(seal["network"] == network_id, "seal: another network")
    return seal


def verify_certificate(
    certificate: Value, reached: Reached, network_id: bytes
) -> tuple[dict[str, Value], list[str]]:
    """Sections 7 and 9: enough of those whom it is up to signed this seal, and all that are listed did.

    Gives the seal's fields, and the ids of who signed.
    """
    seal_raw, signatures = array(certificate, 2, "certificate")
    seal, nodes, rule = read_seal(seal_raw, network_id), reached.nodes, reached.rule
    require(seal["height"] > reached.height, "certificate: of before the last hand-over")
    require(seal["epoch"] == reached.epoch, "certificate: of another epoch")
    signers = [array(item, 2, "certificate: signature")[0] for item in signatures]
    require(signers == sorted(set(signers)), "certificate: signers not strictly ascending")
    require(len(signers) >= quorum(rule, len(nodes)), f"certificate: {len(signers)} signatures are too few")
    keys = {node: key for node, _, key in nodes}
    digest = tagged_hash(b"seal", seal_raw)
    for node, signature in signatures:
        require(node in keys, f"certificate: {node} is not a certifier")
        verify_signature(keys[node], digest, signature, f"certificate: {node}")
    return seal, signers


def read_certifiers(value: Value) -> tuple[int, list[tuple[str, str, bytes]]]:
    """Section 7: the rule of certificates, and the nodes as (id, member, key)."""
    rule, nodes = array(value, 2, "certifiers")
    require(number(rule, "certifiers: rule") in (0, 1), "certifiers: unknown rule")
    certifiers = [tuple(array(node, 3, "certifiers: node")) for node in nodes]
    ids = [node[0] for node in certifiers]
    require(ids == sorted(set(ids)) and ids, "certifiers: not ascending")
    for node, member, key in certifiers:
        require(NODE_ID.match(node) and MEMBER_ID.match(member), "certifiers: an id is none")
        bytes_of(key, 65, "certifiers: key")
    return rule, certifiers


def follow_handovers(handovers: Value, reached: Reached, network_id: bytes) -> Reached:
    """Section 9: from genesis's certifiers to the last ones."""
    require(isinstance(handovers, list), "hand-overs: not an array")
    for handover in handovers:
        certificate, certifiers, recovery = array(handover, 3, "hand-over")
        seal, _ = verify_certificate(certificate, reached, network_id)
        require(isinstance(recovery, list) and len(recovery) <= 1, "hand-over: more than one recovery")
        hashed, height, epoch, recovered = (
            seal["certifiers"],
            seal["height"],
            seal["epoch"],
            reached.recovered,
        )
        for proof in recovery:
            body = read_recovery(proof, seal, network_id)
            hashed = tagged_hash(b"certifiers", msgpack.packb(body["certifiers"]))
            height, epoch = body["height"], body["epoch"]
            recovered = {**recovered, height: body["header_hash"]}
        digest = tagged_hash(b"certifiers", msgpack.packb(certifiers))
        require(hashed == digest, "hand-over: to others than those named")
        following = read_certifiers(certifiers)
        require(recovery or following != (reached.rule, reached.nodes), "hand-over: to the same certifiers")
        reached = Reached(height, epoch, *following, recovered)
    return reached


def read_recovery(proof: Value, seal: dict[str, Value], network_id: bytes) -> dict[str, Value]:
    """Section 9: the decision to go on above a certified seal, by most of the members that it names."""
    electorate, envelope = array(proof, 2, "recovery")
    digest = tagged_hash(b"electorate", msgpack.packb(electorate))
    require(digest == seal["electorate"], "recovery: other members than the seal names")
    payload = read_envelope(envelope, network_id)
    require(payload["kind"] == RECOVER, "recovery: the decision is another")
    body = named(RECOVER_FIELDS, payload["body"], "recover")
    rule, nodes = read_certifiers(body["certifiers"])
    quorum(rule, len(nodes))
    for place, what in ((1, "member"), (2, "key")):
        require(
            len({node[place] for node in nodes}) == len(nodes), f"recover: two certifiers have one {what}"
        )
    for node, _, key in nodes:
        check_point(key, f"recover: {node}")
    require(body["certified_height"] == seal["height"], "recovery: on another certified height")
    require(body["height"] >= seal["height"], "recovery: from below the certified height")
    require(body["epoch"] > seal["epoch"], "recovery: in no later epoch")
    same = body["height"] != seal["height"] or body["header_hash"] == seal["header"]
    require(same, "recovery: from another block than the certified one")
    require(not body["rehearsal"], "recovery: a rehearsal")
    (members,) = array(electorate, 1, "electorate")
    in_favour = [member for member in members if meets(payload["signers"], member)]
    require(2 * len(in_favour) > len(members), "recovery: not signed by more than half of the members")
    return body


def meets(signers: list[bytes], member: Value) -> bool:
    """Section 3: whether these keys reach the threshold of the member's admin policy."""
    _, policy = array(member, 2, "electorate: member")
    threshold, keys = array(policy, 2, "policy")
    weights = [array(item, 2, "policy: key") for item in keys]
    reached = sum(number(weight, "policy: weight") for key, weight in weights if key in signers)
    return reached >= number(threshold, "policy: threshold")


def read_header(raw: Value, network_id: bytes) -> dict[str, Value]:
    """Section 6: the fields of a block header."""
    header = named(HEADER_FIELDS, unpack(raw, "header"), "header")
    exactly(header["format"], 1, "header: format")
    require(NODE_ID.match(header["proposer"]), "header: proposer")
    require(header["network"] == network_id, "header: another network")
    return header


def sealed_block(
    header: dict[str, Value],
    header_raw: bytes,
    seals: Value,
    certificate_seal: bytes,
    recovered: dict[int, bytes],
) -> dict[str, Value]:
    """The block's own seal, from which each seal is the parent of the next, up to the certificate's.

    None is of another block than one that a recovery went on from.
    """
    require(isinstance(seals, list) and len(seals) <= MAX_SEALS, f"seals: not an array of up to {MAX_SEALS}")
    network_id = header["network"]
    raws = [*seals, certificate_seal]
    epoch = header["epoch"]
    for offset, raw in enumerate(raws):
        seal = read_seal(raw, network_id)
        require(seal["epoch"] >= epoch, "seal: an earlier epoch")
        epoch = seal["epoch"]
        require(seal["height"] == header["height"] + offset, "seal: not of the next height")
        same = recovered.get(seal["height"], seal["header"]) == seal["header"]
        require(same, "seal: a recovery went on from another block")
        if offset:
            require(seal["parent"] == tagged_hash(b"seal", raws[offset - 1]), "seal: another parent")
    first = read_seal(raws[0], network_id)
    require(first["epoch"] == header["epoch"], "seal: another epoch")
    require(first["header"] == tagged_hash(b"header", header_raw), "seal: another block")
    return first


def read_envelope(raw: Value, network_id: bytes) -> dict[str, Value]:
    """Section 4: the signed payload's fields, every signature verified."""
    require(isinstance(raw, bytes) and len(raw) <= MAX_ENVELOPE_BYTES, "envelope: not bytes, or too many")
    payload_raw, signatures = array(unpack(raw, "envelope"), 2, "envelope")
    payload = named(PAYLOAD_FIELDS, unpack(payload_raw, "payload"), "payload")
    exactly(payload["version"], 1, "payload: version")
    require(payload["network"] == network_id, "payload: another network")
    author = payload["author"]
    account = len(author) == 21 and author[0] == 0
    require(account or MEMBER_ID.match(author.decode("latin-1")), "payload: author")
    require(payload["kind"] in KINDS, "payload: kind")
    require(payload["valid_from_ms"] < payload["valid_until_ms"], "payload: valid until before it is valid")
    signers = payload["signers"]
    require(len(signers) <= MAX_SIGNERS, f"payload: more than {MAX_SIGNERS} signers")
    require(signers == sorted(set(signers)) and signers, "payload: signers not strictly ascending")
    require(isinstance(signatures, list), "envelope: signatures are no array")
    require(len(signatures) == len(signers), "envelope: signatures and signers differ in number")
    digest = tagged_hash(b"envelope", payload_raw)
    for key, signature in zip(signers, signatures, strict=True):
        verify_signature(key, digest, signature, f"signer {bytes_of(key, 65, 'signer').hex()[:16]}")
    return payload


def read_transfer(body: Value) -> dict[str, Value]:
    """Section 4: what a transfer pays, to whom; amounts in minor units of the asset."""
    credit, asset, amount, uetr, reference = array(body, 5, "transfer")
    bytes_of(credit, 21, "transfer: credit")
    require(isinstance(asset, str) and ASSET_CODE.match(asset), "transfer: asset")
    require(number(amount, "transfer: amount") >= 1, "transfer: amount")
    optional: dict[str, Value] = {}
    for name, value, length in (("uetr", uetr, 16), ("reference", reference, 32)):
        require(isinstance(value, list) and len(value) <= 1, f"transfer: {name}")
        optional[name] = bytes_of(value[0], length, f"transfer: {name}").hex() if value else None
    return {"credit": credit.hex(), "asset": asset, "amount_minor_units": amount, **optional}


def verify_receipt(raw: bytes, network_id: bytes) -> dict[str, Value]:
    """Section 9: everything, from the network's id to the payment. Gives the facts proved."""
    receipt = array(unpack(raw, "receipt"), 11, "receipt")
    format_, genesis_raw, header_raw, envelope_raw, index, tx_path, leaf, outcome_path = receipt[:8]
    seals, handovers, certificate = receipt[8:]
    exactly(format_, 1, "receipt: format")
    require(tagged_hash(b"genesis", genesis_raw) == network_id, "genesis: it is of another network")
    network_name, rule, nodes = read_genesis(genesis_raw)
    reached = follow_handovers(handovers, Reached(0, 0, rule, nodes, {}), network_id)
    _, signed_by = verify_certificate(certificate, reached, network_id)
    header = read_header(header_raw, network_id)
    seal = sealed_block(header, header_raw, seals, certificate[0], reached.recovered)
    payload = read_envelope(envelope_raw, network_id)
    transfer = read_transfer(payload["body"]) if KINDS[payload["kind"]] == "transfer" else None
    size = header["tx_count"]
    number(index, "receipt: index")
    climb(leaf_hash(envelope_raw), index, size, tx_path, header["tx_root"], "transaction")
    climb(leaf_hash(leaf), index, size, outcome_path, seal["outcomes"], "outcome")
    outcome, duplicate_of = array(unpack(leaf, "outcome"), 2, "outcome")
    require(isinstance(duplicate_of, list) and len(duplicate_of) <= 1, "outcome: duplicate_of")
    for place in duplicate_of:
        named("height:int index:int", place, "outcome: duplicate_of")
    return {
        "network": network_name,
        "height": header["height"],
        "index": index,
        "time_ms": header["time_ms"],
        "tx_id": payload["tx_id"].hex(),
        "author": payload["author"].hex(),
        "kind": KINDS[payload["kind"]],
        "transfer": transfer,
        "executed": number(outcome, "outcome") == 0,
        "outcome": outcome,
        "duplicate_of": duplicate_of[0] if duplicate_of else None,
        "certified_height": header["height"] + len(seals),
        "signed_by": signed_by,
    }


def leaf_hash(leaf: Value) -> bytes:
    """RFC 6962: the hash of a leaf."""
    require(isinstance(leaf, bytes), "leaf: not bytes")
    return hashlib.sha256(b"\x00" + leaf).digest()


def main(arguments: list[str]) -> int:
    """Read the file, print the facts or the reason; gives the exit code."""
    if len(arguments) != 2 or not re.fullmatch("[0-9a-f]{64}", arguments[1]):
        print("usage: verify_receipt.py RECEIPT_FILE NETWORK_ID_HEX (64 digits)", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            facts = verify_receipt(file.read(), bytes.fromhex(arguments[1]))
    except OSError as error:
        print(f"{arguments[0]} can't be read: {error}", file=sys.stderr)
        return 2
    except (NotProved, TypeError, ValueError, RecursionError) as error:
        print(f"not proved: {error}", file=sys.stderr)
        return 1
    print(json.dumps(facts, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
