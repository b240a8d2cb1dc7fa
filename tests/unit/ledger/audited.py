"""A small audited chain, any part of which a test may change, as alpha's node keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger import keys
from ledger.audit import audit
from ledger.audit_report import AuditReport
from ledger.bodies import OpenAccount, Transfer
from ledger.certificate import encode_certificate, make_certificate, seal_hash
from ledger.keys import account_id
from tests.unit.ledger.rules.world import (
    ISSUANCE,
    NODE,
    TELLER,
    World,
    policy,
    private_key,
)

PAYER, PAYEE = 51, 52


@dataclass
class Chain:
    """A chain in memory, any part of which a test may change."""

    genesis_raw: bytes
    blocks: dict[int, bytes]
    seals: dict[int, tuple[bytes, bytes]]
    certificates: dict[int, bytes]
    rows: dict[bytes, bytes]

    def genesis(self) -> bytes:
        """The genesis document."""
        return self.genesis_raw

    def tip(self) -> int:
        """The highest height."""
        return max(self.blocks.keys() | self.seals.keys())

    def block(self, height: int) -> bytes | None:
        """The block of a height."""
        return self.blocks.get(height)

    def certificate(self, height: int) -> bytes | None:
        """The certificate of a height."""
        return self.certificates.get(height)

    def own_seal(self, height: int) -> tuple[bytes, bytes] | None:
        """The seal that alpha's node signed for a height."""
        return self.seals.get(height)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Stored rows in the order of their keys."""
        return iter(sorted((key, row) for key, row in self.rows.items() if key.startswith(prefix)))


def sealed(seal_raw: bytes, node: str = "alpha-1") -> bytes:
    """A node's signature over a seal."""
    return keys.sign(private_key(NODE[node]), seal_hash(seal_raw))


def certified(seal_raw: bytes, nodes: Sequence[str] = ("alpha-1", "beta-1")) -> bytes:
    """A certificate of a seal by these nodes."""
    return encode_certificate(make_certificate(seal_raw, [(node, sealed(seal_raw, node)) for node in nodes]))


def build() -> Chain:
    """Heights 1 to 8: a term opened, two accounts opened, one funded, and five payments, one a redemption."""
    world = World()
    world.block(term=1)
    ids = [world.new_id(), world.new_id()]
    banks = ("alpha", "beta")
    accounts = [account_id(bank, "EUR", tx_id) for bank, tx_id in zip(banks, ids, strict=True)]
    world.block(
        *(
            world.envelope(bank, OpenAccount("EUR", policy(key)), [TELLER[bank]], tx_id=tx_id, signed=True)
            for bank, key, tx_id in zip(banks, (PAYER, PAYEE), ids, strict=True)
        )
    )

    def pay(payer: bytes, key: int, payee: bytes, amount: int) -> None:
        world.block(world.envelope(payer, Transfer(payee, "EUR", amount), [key], signed=True))

    pay(world.issuance(), ISSUANCE, accounts[0], 1000)
    for amount in (10, 20, 9999):
        pay(accounts[0], PAYER, accounts[1], amount)
    pay(accounts[1], PAYEE, accounts[0], 5)
    pay(accounts[1], PAYEE, world.issuance(), 7)
    seals = dict(enumerate(world.seals, 1))
    return Chain(
        world.genesis_raw,
        {block.header.height: block.raw for block in world.blocks},
        {height: (raw, sealed(raw)) for height, raw in seals.items()},
        {height: certified(raw) for height, raw in seals.items()},
        dict(world.rows.rows),
    )


BUILT = build()


def copy_of_built() -> Chain:
    """The chain, a copy to spoil."""
    return Chain(
        BUILT.genesis_raw, dict(BUILT.blocks), dict(BUILT.seals), dict(BUILT.certificates), dict(BUILT.rows)
    )


def run(chain: Chain) -> AuditReport:
    """The audit of a chain as alpha's node keeps it."""
    return audit(chain, own_node="alpha-1", network_id=keys.tagged_hash("genesis", BUILT.genesis_raw))
