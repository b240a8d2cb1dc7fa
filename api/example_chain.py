"""A chain of three blocks for the API's description: what its examples show really follows from the rules.

Two accounts are opened and one is funded, then that one pays the other. The keys are of no network: their
private numbers are small. Must not know of routes, nor what of the chain is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.block import Block, make_block
from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.certificate import encode_certificate, make_certificate, seal_hash
from ledger.envelope import Envelope, EnvelopeLimits, build_payload, decode_envelope, encode_envelope
from ledger.envelope import signing_hash as payload_hash
from ledger.genesis import (
    Genesis,
    GenesisAsset,
    GenesisMember,
    GenesisNode,
    encode_genesis,
    issuance_tx_id,
    network_id,
)
from ledger.genesis_state import genesis_rows
from ledger.keys import account_id, public_bytes, sign
from ledger.parameters import DEFAULT_PARAMETERS
from ledger.policy import single_key
from ledger.rules import RULES
from ledger.state import Executed, State

NETWORK_NAME: Final = "nostrodev"
ASSET: Final = "CHF"
SCALE: Final = 2
TIME_MS: Final = 1_770_000_000_000
VALID_MS: Final = 60_000
BLOCK_MS: Final = 250
AMOUNT: Final = 125_000
TX_ID: Final = bytes.fromhex("019c1b6f50007a3b8f005a1b2c3d4e5f")
MEMBERS: Final = ("alpha", "beta", "central")
ISSUER: Final = "central"
PAYER_TX, PAYEE_TX, FUNDING_TX = (bytes(15) + bytes([number]) for number in (2, 3, 4))
PAYER: Final = account_id("alpha", ASSET, PAYER_TX)
PAYEE: Final = account_id("beta", ASSET, PAYEE_TX)
ISSUANCE: Final = account_id(ISSUER, ASSET, issuance_tx_id(0))
PAYER_KEY, PAYEE_KEY, ISSUANCE_KEY, BOOT = 1, 2, 3, bytes(range(16))
_ADMIN, _TELLER, _NODE = 10, 20, 30
"""A member's keys are these, and its place among the members."""


class Rows:
    """The rows of the state in a dict."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows

    def get(self, key: bytes) -> bytes | None:
        """The row at a key, or None."""
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows under a prefix, in order."""
        return iter(sorted((key, row) for key, row in self.rows.items() if key.startswith(prefix)))


@dataclass(frozen=True, slots=True)
class ExampleChain:
    """The chain with the state that it came to; the last block holds the payment."""

    genesis: bytes
    rows: Rows
    state: State
    blocks: tuple[Block, ...]
    executed: tuple[Executed, ...]
    certificates: tuple[bytes, ...]


@cache
def example_chain() -> ExampleChain:
    """The chain, made once."""
    genesis = _genesis()
    rows = Rows(genesis_rows(genesis))
    state = State.open(rows)
    blocks, executed, certificates = [], [], []
    for body in ((), _opening(genesis), (payment(),)):
        block = _block(state, body)
        done = RULES[1].execute(state, block, [_decoded(raw) for raw in body])
        rows.rows.update(done.changes)
        state.apply(done)
        blocks.append(block)
        executed.append(done)
        certificates.append(_certificate(done.seal_raw))
    return ExampleChain(genesis, rows, state, tuple(blocks), tuple(executed), tuple(certificates))


@cache
def payment() -> bytes:
    """The signed transfer of CHF 1,250.00 from one bank's account to another's."""
    return _signed(_genesis(), Kind.TRANSFER, Transfer(PAYEE, ASSET, AMOUNT, (), ()), PAYER, TX_ID, PAYER_KEY)


def _opening(genesis: bytes) -> tuple[bytes, ...]:
    """Both accounts, and what the payer has to pay with."""
    payer, payee = (OpenAccount(ASSET, single_key(_public(key)), ()) for key in (PAYER_KEY, PAYEE_KEY))
    funding = Transfer(PAYER, ASSET, 4 * AMOUNT, (), ())
    return (
        _signed(genesis, Kind.OPEN_ACCOUNT, payer, b"alpha", PAYER_TX, _TELLER),
        _signed(genesis, Kind.OPEN_ACCOUNT, payee, b"beta", PAYEE_TX, _TELLER + 1),
        _signed(genesis, Kind.TRANSFER, funding, ISSUANCE, FUNDING_TX, ISSUANCE_KEY),
    )


@cache
def _genesis() -> bytes:
    return encode_genesis(
        Genesis(
            format=1,
            name=NETWORK_NAME,
            time_ms=TIME_MS,
            rules=1,
            parameters=DEFAULT_PARAMETERS,
            members=tuple(
                GenesisMember(
                    member,
                    f"Bank {member.capitalize()}",
                    single_key(_public(_ADMIN + place)),
                    single_key(_public(_TELLER + place)),
                )
                for place, member in enumerate(MEMBERS)
            ),
            assets=(GenesisAsset(ASSET, SCALE, ISSUER, single_key(_public(ISSUANCE_KEY)), 10**15),),
            nodes=tuple(
                GenesisNode(node(member), member, _public(_NODE + place), f"{member}.example:7000")
                for place, member in enumerate(MEMBERS)
            ),
        )
    )


def node(member: str) -> str:
    """The id of a member's node."""
    return f"{member}-1"


def _signed(genesis: bytes, kind: Kind, body: Body, author: bytes, tx_id: bytes, key: int) -> bytes:
    payload = build_payload(
        network_id=network_id(genesis),
        tx_id=tx_id,
        author=author,
        kind=kind,
        body=body,
        valid_from_ms=TIME_MS,
        valid_until_ms=TIME_MS + VALID_MS,
        signers=[_public(key)],
    )
    return encode_envelope(payload, [sign(_private(key), payload_hash(payload))])


def _decoded(raw: bytes) -> Envelope:
    return decode_envelope(raw, EnvelopeLimits(DEFAULT_PARAMETERS.envelope_bytes, DEFAULT_PARAMETERS.signers))


def _block(state: State, body: Sequence[bytes]) -> Block:
    """The next block; the first of a term is empty."""
    parent, height = state.parent, state.progress.height + 1
    basis = height if body else state.progress.basis_height
    return make_block(
        parent=parent,
        scheduled=state.scheduled(height, basis),
        term=1,
        time_ms=parent.time_ms + BLOCK_MS,
        proposer=node(MEMBERS[0]),
        boot=BOOT,
        body=body,
        sign=lambda digest: sign(_private(_NODE), digest),
    )


def _certificate(seal: bytes) -> bytes:
    """The certificate of two of the three nodes."""
    digest = seal_hash(seal)
    signed = [(node(MEMBERS[place]), sign(_private(_NODE + place), digest)) for place in (0, 1)]
    return encode_certificate(make_certificate(seal, signed))


@cache
def _private(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def _public(number: int) -> bytes:
    return public_bytes(_private(number))
