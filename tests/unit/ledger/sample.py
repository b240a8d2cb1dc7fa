"""A small network, made the same way each time: keys from numbers, genesis, payments, blocks, certificates.

Test modules and the script that writes the vectors build on it; it knows no state and no rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace as msgspec_replace

from ledger.block import Block, Parent, Scheduled, genesis_parent, make_block
from ledger.bodies import Body, Kind, Recover, Transfer
from ledger.certificate import (
    NO_PARENT_SEAL,
    Certificate,
    Certifier,
    Certifiers,
    Seal,
    certifiers_hash,
    decode_seal,
    encode_seal,
    make_certificate,
    seal_hash,
)
from ledger.electorate import Elector, Electorate, electorate_hash
from ledger.envelope import EnvelopeLimits, build_payload, encode_envelope, signing_hash
from ledger.genesis import (
    Genesis,
    GenesisAsset,
    GenesisMember,
    GenesisNode,
    decode_genesis,
    encode_genesis,
    issuance_tx_id,
    network_id,
)
from ledger.handovers import Handover, RecoveryProof, genesis_certifiers
from ledger.keys import account_id, public_bytes, sign
from ledger.leaves import outcome_leaf
from ledger.membership import Change, Decision
from ledger.merkle import EMPTY_ROOT, leaf_hash, root
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.policy import single_key
from ledger.receipt import build_receipt

NETWORK_NAME = "nostrotest"
GENESIS_TIME_MS = 1_700_000_000_000
BOOT = bytes(range(16))
LIMITS = EnvelopeLimits(DEFAULT_PARAMETERS.envelope_bytes, DEFAULT_PARAMETERS.signers)
MEMBERS = ("alpha", "beta", "gamma", "delta")


@cache
def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    """The private key that is this number: good for tests, where it must be the same each time."""
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def public_key(number: int) -> bytes:
    """Its public key."""
    return public_bytes(private_key(number))


@cache
def genesis_raw(members: int = 3) -> bytes:
    """Genesis of a network of so many members, one node each, and one asset issued by the first."""
    ids = sorted(MEMBERS[:members])
    keys = {member: 10 * number + 10 for number, member in enumerate(MEMBERS)}
    return encode_genesis(
        Genesis(
            format=1,
            name=NETWORK_NAME,
            time_ms=GENESIS_TIME_MS,
            rules=1,
            parameters=DEFAULT_PARAMETERS,
            members=tuple(
                GenesisMember(
                    member,
                    f"Bank {member.capitalize()}",
                    single_key(public_key(keys[member])),
                    single_key(public_key(keys[member] + 1)),
                )
                for member in ids
            ),
            assets=(GenesisAsset("EUR", 2, "alpha", single_key(public_key(keys["alpha"] + 2)), 10**15),),
            nodes=tuple(
                GenesisNode(f"node-{member}", member, public_key(keys[member] + 3), f"{member}.example:7000")
                for member in ids
            ),
        )
    )


NODE_KEYS = {"node-alpha": 13, "node-beta": 23, "node-gamma": 33, "node-delta": 43}
ISSUANCE_KEY = 12
ISSUANCE_ACCOUNT = account_id("alpha", "EUR", issuance_tx_id(0))
CUSTOMER_ACCOUNT = account_id("beta", "EUR", bytes(15) + b"\x07")


def network() -> bytes:
    """The id of the network of three."""
    return network_id(genesis_raw())


def electorate(*members: str) -> Electorate:
    """These members under the admin keys of the sample networks."""
    keys = {member: 10 * number + 10 for number, member in enumerate(MEMBERS)}
    return Electorate(tuple(Elector(member, single_key(public_key(keys[member]))) for member in members))


ELECTORATE = electorate(*sorted(MEMBERS[:3]))


def certifiers() -> Certifiers:
    """Those of the network of three."""
    return genesis_certifiers(decode_genesis(genesis_raw()))


def scheduled(*, activation_waits: bool = False) -> Scheduled:
    """The values that genesis puts in force."""
    keys = {node.node: node.key for node in certifiers().nodes}
    return Scheduled(network(), DEFAULT_PARAMETERS, 1, (1, Decision()), keys, activation_waits)


def payload(
    body: Body | None = None,
    *,
    kind: int = Kind.TRANSFER,
    author: bytes = ISSUANCE_ACCOUNT,
    number: int = 1,
    signers: Sequence[int] = (ISSUANCE_KEY,),
) -> bytes:
    """The payload of a transaction, by default a transfer of 12.50 EUR out of the issuance account."""
    return build_payload(
        network_id=network(),
        tx_id=number.to_bytes(16, "big"),
        author=author,
        kind=kind,
        body=body or Transfer(CUSTOMER_ACCOUNT, "EUR", 1_250),
        valid_from_ms=GENESIS_TIME_MS,
        valid_until_ms=GENESIS_TIME_MS + 3_600_000,
        signers=[public_key(signer) for signer in signers],
    )


def signed(raw: bytes, signers: Sequence[int] = (ISSUANCE_KEY,)) -> bytes:
    """The envelope of a payload, signed by the keys of these numbers."""
    ordered = sorted(signers, key=public_key)
    return encode_envelope(raw, [sign(private_key(signer), signing_hash(raw)) for signer in ordered])


def envelope(number: int = 1) -> bytes:
    """A signed transfer; each number gives another transaction id."""
    return signed(payload(number=number))


def first_parent() -> Parent:
    """What the block at height 1 follows."""
    return genesis_parent(genesis_raw())


def block(
    body: Sequence[bytes],
    *,
    parent: Parent | None = None,
    term: int = 1,
    node: str = "node-alpha",
    change: Change | None = None,
) -> Block:
    """A block proposed by `node`, one second after its parent."""
    before = parent or replace(first_parent(), term=1)
    return make_block(
        parent=before,
        scheduled=scheduled(),
        term=term,
        time_ms=before.time_ms + 1_000,
        proposer=node,
        boot=BOOT,
        body=body,
        change=change,
        sign=lambda digest: sign(private_key(NODE_KEYS[node]), digest),
    )


def seal(
    height: int = 1,
    *,
    header_hash: bytes = bytes(32),
    outcomes_root: bytes = EMPTY_ROOT,
    parent: bytes = b"",
    epoch: int = 0,
) -> bytes:
    """A seal's bytes; the roots it names stand for nothing unless given."""
    return encode_seal(
        Seal(
            format=1,
            network_id=network(),
            epoch=epoch,
            height=height,
            header_hash=header_hash,
            parent_seal_hash=parent or NO_PARENT_SEAL,
            outcomes_root=outcomes_root,
            log_root=EMPTY_ROOT,
            state_root=bytes(32),
            certifiers_hash=certifiers_hash(certifiers()),
            electorate_hash=electorate_hash(ELECTORATE),
        )
    )


def certificate(seal_raw: bytes, nodes: Sequence[str] = ("node-alpha", "node-beta")) -> Certificate:
    """The certificate of these nodes over a seal."""
    digest = seal_hash(seal_raw)
    return make_certificate(seal_raw, [(node, sign(private_key(NODE_KEYS[node]), digest)) for node in nodes])


@dataclass(frozen=True, slots=True)
class SampleReceipt:
    """A receipt and what it was made of."""

    raw: bytes
    block: Block
    seals: tuple[bytes, ...] = field(default=())


def certifiers_of(nodes: Sequence[str]) -> Certifiers:
    """These nodes of the sample networks, under the rule of the majority."""
    members = {f"node-{member}": member for member in MEMBERS}
    return Certifiers(
        0, tuple(Certifier(node, members[node], public_key(NODE_KEYS[node])) for node in sorted(nodes))
    )


def handover(height: int, nodes: Sequence[str], signers: Sequence[str]) -> Handover:
    """The hand-over at `height` to these nodes of the sample networks, certified by the signers."""
    following = certifiers_of(nodes)
    named = msgspec_replace(decode_seal(seal(height)), certifiers_hash=certifiers_hash(following))
    return Handover(certificate(encode_seal(named), signers), following)


HANDED_OVER = (
    handover(1, ("node-alpha", "node-beta", "node-gamma", "node-delta"), ("node-alpha", "node-beta")),
    handover(2, ("node-delta",), ("node-alpha", "node-delta", "node-gamma")),
)
"""Two hand-overs: delta's node comes in after height 1, and is alone after height 2."""


def recovery(
    certified_height: int = 1,
    nodes: Sequence[str] = ("node-gamma",),
    signers: Sequence[int] = (10, 30),
    builds_on: int | None = None,
    **changes: Any,
) -> Handover:
    """The members of these admin keys let these nodes go on, a height above the certified one."""
    following = certifiers_of(nodes)
    body = Recover(
        epoch=1,
        height=certified_height + 1,
        header_hash=bytes(32),
        term=9,
        certifiers=following,
        certified_height=builds_on or certified_height,
        rehearsal=False,
    )
    raw = payload(
        msgspec_replace(body, **changes), kind=Kind.RECOVER, author=b"alpha", number=9, signers=signers
    )
    proof = RecoveryProof(ELECTORATE, signed(raw, signers))
    return Handover(certificate(seal(certified_height)), following, (proof,))


def receipt(
    *,
    index: int = 1,
    size: int = 3,
    later: int = 2,
    handovers: Sequence[Handover] = (),
    signers: Sequence[str] = ("node-alpha", "node-beta"),
    epoch: int = 0,
) -> SampleReceipt:
    """The receipt of transaction `index` of a block of `size`, certified `later` heights after it.

    `epoch` is that of the last seal.
    """
    made = block([envelope(number + 1) for number in range(size)])
    leaves = [outcome_leaf(0)] * (size - 1) + [outcome_leaf(300, (1, 0))]
    outcomes_root = root([leaf_hash(leaf) for leaf in leaves])
    seals = [seal(1, header_hash=made.hash, outcomes_root=outcomes_root)]
    for height in range(2, 2 + later):
        last = height == 1 + later
        seals.append(seal(height, parent=seal_hash(seals[-1]), epoch=epoch if last else 0))
    raw = build_receipt(
        genesis=genesis_raw(),
        block=made,
        index=index,
        outcome_leaves=leaves,
        seals=seals[:-1],
        handovers=handovers,
        certificate=certificate(seals[-1], signers),
    )
    return SampleReceipt(raw, made, tuple(seals))
