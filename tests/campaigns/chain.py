"""A long chain for a real network, made offline: signed by its keys, executed by its rules, stored for nodes.

What nodes do one after the other over a network is done here in one go, so that a chain of a million payments
takes minutes and not hours. Blocks, seals and certificates are those that the nodes would have made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from functools import cache, partial
from itertools import chain, islice
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from consensus.messages import Entry, EntryType, HardState
from ledger.block import Block, make_block
from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.certificate import encode_certificate, make_certificate, seal_hash
from ledger.envelope import (
    Envelope,
    EnvelopeLimits,
    build_payload,
    decode_envelope,
    encode_envelope,
    signing_hash,
)
from ledger.genesis import decode_genesis
from ledger.keys import account_id, public_bytes, sign
from ledger.policy import single_key
from ledger.rules import RULES
from ledger.state import State
from node import tls
from node.config import load_config
from node.disk import LevelDatabase
from node.plan import DEFAULT_ASSET
from node.provision import ProvisionedNetwork
from node.records import SealedHeader
from node.store import LogWrite, OwnSeal, Store
from tests.integration.harness import Bank

TRANSACTIONS_A_BLOCK = 750
FUNDED = 1_000
"""So many accounts get money from the issuer; they pay all the others."""
KEYS = 64
"""Accounts share so many keys: that many are made quickly, and each signature is as real as any other."""
FUNDING = 10**9
LIMITS = EnvelopeLimits(65_536, 64)
TERM = 1
SIGNED_AT_ONCE = 2_000

T = TypeVar("T")
Instruction = tuple[bytes, bytes, int, Body, str | int]
"""Author, id, kind, body, and who signs: a number of an account's key, or `teller` or `issuer`."""


@cache
def account_key(number: int) -> ec.EllipticCurvePrivateKey:
    """The key of the accounts whose number has this remainder."""
    return ec.derive_private_key(10_000 + number, ec.SECP256R1())


def instructions(bank: Bank, accounts: int, payments: int) -> Iterator[Instruction]:
    """The accounts opened, some funded, and the payments between them."""
    ids = [account_id("alpha", DEFAULT_ASSET, _tx_id(number)) for number in range(accounts)]
    funded = ids[:FUNDED]
    for number in range(accounts):
        body = OpenAccount(DEFAULT_ASSET, single_key(public_bytes(account_key(number % KEYS))))
        yield b"alpha", _tx_id(number), Kind.OPEN_ACCOUNT, body, "teller"
    for number, account in enumerate(funded, accounts):
        yield (
            bank.issuer.account,
            _tx_id(number),
            Kind.TRANSFER,
            Transfer(account, DEFAULT_ASSET, FUNDING),
            "issuer",
        )
    for number in range(payments):
        payer, payee = number % len(funded), (number * 7 + 1) % accounts
        if payee == payer:
            payee = (payee + 1) % accounts
        tx_id = _tx_id(accounts + len(funded) + number)
        yield ids[payer], tx_id, Kind.TRANSFER, Transfer(ids[payee], DEFAULT_ASSET, 1), payer % KEYS


def sign_all(
    network_id: bytes, keys: dict[str, ec.EllipticCurvePrivateKey], found: Sequence[Instruction]
) -> list[bytes]:
    """The envelopes of these instructions."""
    made = []
    for author, tx_id, kind, body, signer in found:
        key = keys[signer] if isinstance(signer, str) else account_key(signer)
        payload = build_payload(
            network_id=network_id,
            tx_id=tx_id,
            author=author,
            kind=kind,
            body=body,
            valid_from_ms=0,
            valid_until_ms=2**62,
            signers=[public_bytes(key)],
        )
        made.append(encode_envelope(payload, [sign(key, signing_hash(payload))]))
    return made


def envelopes(bank: Bank, accounts: int, payments: int) -> Iterator[bytes]:
    """All signed; the payments, which are most of it, by as many processes as there are processors."""
    work = instructions(bank, accounts, payments)
    keys = {"teller": bank.teller, "issuer": bank.issuer.key}
    by_banks = list(islice(work, accounts + min(accounts, FUNDED)))
    yield from sign_all(bank.network.network_id, keys, by_banks)
    job = partial(sign_all, bank.network.network_id, {})
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for made in pool.map(job, _batches(work, SIGNED_AT_ONCE)):
            yield from made


class NodeStore:
    """One node's store, and the key with which it seals."""

    def __init__(self, network: ProvisionedNetwork, node: str, database: LevelDatabase) -> None:
        config = load_config(network.config(node))
        self.id = node
        self.key = tls.load_signing_key(config.signing_key, None)
        self.store = Store.open(database, network.genesis.read_bytes(), node)

    def write(self, block: Block, rows: dict[bytes, bytes], seal_raw: bytes, certificate: bytes) -> None:
        """What this node would have written of a block."""
        height = block.header.height
        kind = EntryType.OPENING if height == 1 else EntryType.NORMAL
        self.store.write_log([LogWrite(HardState(TERM), (Entry(height, TERM, kind, block.raw),))])
        own = OwnSeal(seal_raw, sign(self.key, seal_hash(seal_raw)))
        self.store.write_executed(height, rows, SealedHeader(TERM, block.header_raw, seal_raw), own)
        self.store.write_marks({height: certificate}, {}, {})


def write_chain(
    bank: Bank,
    nodes: Sequence[str],
    accounts: int,
    payments: int,
    done: Callable[[int], None] = lambda height: None,
    block_size: int = TRANSACTIONS_A_BLOCK,
) -> int:
    """Fill these nodes' empty stores; the height of the chain. The nodes must be a majority, and not run."""
    network = bank.network
    genesis = decode_genesis(network.genesis.read_bytes())
    with ExitStack() as stack:
        stores = []
        for node in nodes:
            data = load_config(network.config(node)).data
            database = stack.enter_context(closing(LevelDatabase(data, write_buffer_bytes=2**26)))
            stores.append(NodeStore(network, node, database))
        state = State.open(stores[0].store)
        bodies = chain([[]], _batches(envelopes(bank, accounts, payments), block_size))
        for body in bodies:
            _write_block(state, stores, body, genesis.time_ms)
            done(state.progress.height)
        return state.progress.height


def _write_block(state: State, stores: Sequence[NodeStore], body: Sequence[bytes], time_ms: int) -> None:
    height = state.progress.height + 1
    proposer = stores[0]
    block = make_block(
        parent=state.parent,
        scheduled=state.scheduled(height, height),
        term=TERM,
        time_ms=time_ms,
        proposer=proposer.id,
        boot=bytes(16),
        body=body,
        sign=lambda digest: sign(proposer.key, digest),
    )
    decoded: list[Envelope] = [decode_envelope(raw, LIMITS) for raw in body]
    executed = RULES[1].execute(state, block, decoded)
    digest = seal_hash(executed.seal_raw)
    signatures = [(store.id, sign(store.key, digest)) for store in stores]
    certificate = encode_certificate(make_certificate(executed.seal_raw, signatures))
    for store in stores:
        store.write(block, dict(executed.changes), executed.seal_raw, certificate)
    state.apply(executed)


def _tx_id(number: int) -> bytes:
    return (number + 1).to_bytes(16, "big")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
