"""A small network for tests: three banks, two assets, rows in memory, and blocks made of what tests ask for.

Keys are fixed numbers, so that every run is the same. Signatures are made only where a test verifies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from ledger import bodies, keys
from ledger.block import Block, decode_block, make_block
from ledger.bodies import Body, OpenAccount, SetLimit, Transfer
from ledger.codec import encode
from ledger.envelope import (
    Envelope,
    EnvelopeLimits,
    build_payload,
    decode_envelope,
    encode_envelope,
    signing_hash,
)
from ledger.genesis import Genesis, GenesisAsset, GenesisMember, GenesisNode, encode_genesis, network_id
from ledger.membership import next_change
from ledger.outcome import Outcome
from ledger.parameters import DEFAULT_PARAMETERS, Parameters
from ledger.policy import Policy, single_key
from ledger.records import Account
from ledger.rules import RULES
from ledger.rules.base import RuleSet
from ledger.state import Executed, State

GENESIS_MS = 1_700_000_000_000
ISSUED_LIMIT = 10**12
KIND_NUMBERS = {body: number for number, body in bodies.BODIES.items()}
LIMITS = EnvelopeLimits(65_536, 64)


@cache
def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    """The test key of this number (1 or more)."""
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def public_key(number: int) -> bytes:
    """Its public key, 65 bytes."""
    return keys.public_bytes(private_key(number))


def policy(number: int) -> Policy:
    """The policy of one test key alone."""
    return single_key(public_key(number))


ADMIN = {"alpha": 11, "beta": 12, "central": 13, "delta": 14}
TELLER = {"alpha": 21, "beta": 22, "central": 23, "delta": 24}
NODE = {
    "alpha-1": 31,
    "beta-1": 32,
    "central-1": 33,
    "alpha-2": 34,
    "beta-2": 35,
    "delta-1": 36,
    "central-2": 37,
}
ISSUANCE = 41


def genesis(
    members: Sequence[str] = ("alpha", "beta", "central"), parameters: Parameters = DEFAULT_PARAMETERS
) -> Genesis:
    """The genesis of the test network: assets EUR and USD, both issued by the bank `central`."""
    return Genesis(
        format=1,
        name="nostrotest",
        time_ms=GENESIS_MS,
        rules=1,
        parameters=parameters,
        members=tuple(
            GenesisMember(name, f"Bank {name}", policy(ADMIN[name]), policy(TELLER[name])) for name in members
        ),
        assets=tuple(
            GenesisAsset(code, 2, "central", policy(ISSUANCE), ISSUED_LIMIT) for code in ("EUR", "USD")
        ),
        nodes=tuple(GenesisNode(f"{m}-1", m, public_key(NODE[f"{m}-1"]), f"{m}.test:7000") for m in members),
    )


class MemoryRows:
    """Rows in a dict, read like a store's."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        """Start with these rows."""
        self.rows = dict(rows)

    def get(self, key: bytes) -> bytes | None:
        """The row at a key, or None."""
        return self.rows.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows under a prefix in the order of their keys."""
        return iter(sorted((key, row) for key, row in self.rows.items() if key.startswith(prefix)))


class World:
    """The network with its state; every call of `block` executes one more block."""

    def __init__(self, founding: Genesis | None = None, rules: Mapping[int, RuleSet] = RULES) -> None:
        """Open the state of genesis, under these versions of the rules."""
        self.rules = rules
        self.genesis_raw = encode_genesis(founding or genesis())
        self.network_id = network_id(self.genesis_raw)
        self.rows = MemoryRows(State.from_genesis(self.genesis_raw))
        self.state = State.open(self.rows)
        self.blocks: list[Block] = []
        self.seals: list[bytes] = []
        self.term = 1
        self._ids = 0

    def new_id(self) -> bytes:
        """A transaction id not used before."""
        self._ids += 1
        return self._ids.to_bytes(16, "big")

    def envelope(
        self,
        author: bytes | str,
        body: Body,
        signers: Sequence[int],
        *,
        tx_id: bytes | None = None,
        signed: bool = False,
    ) -> Envelope:
        """A transaction by these test keys; `signed` makes real signatures."""
        by_key = {public_key(number): private_key(number) for number in signers}
        payload = build_payload(
            network_id=self.network_id,
            tx_id=tx_id or self.new_id(),
            author=author.encode() if isinstance(author, str) else author,
            kind=KIND_NUMBERS[type(body)],
            body=body,
            valid_from_ms=0,
            valid_until_ms=2**62,
            signers=tuple(by_key),
        )
        digest = signing_hash(payload)
        signatures = [keys.sign(by_key[key], digest) if signed else bytes(64) for key in sorted(by_key)]
        return decode_envelope(encode_envelope(payload, signatures), LIMITS)

    def make_block(
        self,
        envelopes: Sequence[Envelope],
        *,
        term: int | None = None,
        change: bool = False,
        proposer: str = "alpha-1",
    ) -> Block:
        """The next block of these transactions; `change`: it takes the step due."""
        self.term = term or self.term
        height = self.state.progress.height + 1
        scheduled = self.state.scheduled(height, height)
        due = next_change(self.state.parent.membership, scheduled.membership_decision) if change else None
        return make_block(
            parent=self.state.parent,
            scheduled=scheduled,
            change=due,
            term=self.term,
            time_ms=GENESIS_MS + height,
            proposer=proposer,
            boot=bytes(16),
            body=[envelope.raw for envelope in envelopes],
            sign=lambda digest: keys.sign(private_key(NODE[proposer]), digest),
        )

    def block(
        self,
        *envelopes: Envelope,
        term: int | None = None,
        change: bool = False,
        proposer: str = "alpha-1",
    ) -> Executed:
        """Execute the next block and take its result over."""
        block = self.make_block(envelopes, term=term, change=change, proposer=proposer)
        executed = self.rules[block.header.rules].execute(self.state, block, envelopes)
        self.rows.rows.update(executed.changes)
        self.state.apply(executed)
        self.blocks.append(decode_block(block.raw))
        self.seals.append(executed.seal_raw)
        return executed

    def blocks_to(self, height: int) -> None:
        """Execute empty blocks up to this height."""
        while self.state.progress.height < height:
            self.block()

    def outcomes(self, *envelopes: Envelope) -> list[Outcome]:
        """The outcomes of one block of these transactions."""
        return [outcome for outcome, _ in self.block(*envelopes).outcomes]

    def outcome(self, author: bytes | str, body: Body, *signers: int) -> Outcome:
        """The outcome of one transaction in a block of its own."""
        return self.outcomes(self.envelope(author, body, signers))[0]

    def issuance(self, asset: str = "EUR") -> bytes:
        """The issuance account of an asset."""
        return self.state.registry.assets[asset].account

    def open(self, member: str, key: int, asset: str = "EUR", funds: int = 0) -> bytes:
        """Open an account under a test key, funded from the issuance account."""
        tx_id = self.new_id()
        opening = self.envelope(member, OpenAccount(asset, policy(key)), [TELLER[member]], tx_id=tx_id)
        account = keys.account_id(member, asset, tx_id)
        body = [opening]
        if funds:
            issue = Transfer(account, asset, funds)
            body.append(self.envelope(self.issuance(asset), issue, [ISSUANCE]))
        executed = self.block(*body)
        if any(outcome for outcome, _ in executed.outcomes):
            raise ValueError(f"Opening an account came to {executed.outcomes}.")
        return account

    def account(self, account_id: bytes) -> Account:
        """The account as it stands."""
        account = self.state.account_by_id(account_id)
        if account is None:
            raise KeyError(f"There is no account {account_id.hex()}.")
        return account

    def account_numbered(self, number: int) -> bytes:
        """The id of the account of this number."""
        account = self.state.account(number)
        if account is None:
            raise KeyError(f"There is no account number {number}.")
        return account.id

    def version(self, account_id: bytes) -> int:
        """An account's version."""
        return self.account(account_id).version

    def set_limit(self, account: bytes, limit: int) -> Outcome:
        """Set a limit by the issuer."""
        return self.outcome("central", SetLimit(account, self.version(account), limit), ADMIN["central"])


def canonical_rows(rows: Mapping[bytes, bytes]) -> bytes:
    """All rows as bytes that can be compared."""
    return encode([[key, rows[key]] for key in sorted(rows)])
