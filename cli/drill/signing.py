"""What a drill signs, with the keys of the members in the network's folder; nothing signed reaches a file.

It is valid for two minutes. It must not know why something is signed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from cli.errors import CommandError
from cli.exits import Exit
from cli.transact import Wish, build, new_id
from ledger.bodies import Kind, OpenAccount, Transfer
from ledger.genesis import issuance_tx_id
from ledger.keys import account_id, public_bytes
from ledger.policy import single_key
from node.provision import ISSUANCE, TELLER
from wallet.keystore import open_keystore
from wallet.payment import complete_envelope, sign_draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from cli.names import NetworkNames
    from node.provision import ProvisionedNetwork
    from wallet.client import Client

VALID_MINUTES = 2
PAID_UNITS = 1
"""A payment of the drill moves so much, in minor units."""


@dataclass(frozen=True, slots=True)
class Signers:
    """The members' keys, and the names that go into what they sign."""

    network: ProvisionedNetwork
    names: NetworkNames
    passphrase: str = field(repr=False)

    @property
    def asset(self) -> str:
        """The asset that is paid: the network's first."""
        return next(iter(self.names.scales))

    def member_key(self, member: str, alias: str) -> ec.EllipticCurvePrivateKey:
        """One key of a member; raises WalletError."""
        return open_keystore(self.network.keystore(member), self.passphrase).private_key(alias)

    def envelope(
        self, wish: Wish, keys: Sequence[ec.EllipticCurvePrivateKey], tx_id: bytes | None = None
    ) -> bytes:
        """The wish, signed with these keys."""
        public = [public_bytes(key) for key in keys]
        draft = build(self.names, tx_id or new_id(), wish, public, VALID_MINUTES)
        return complete_envelope(reduce(sign_draft, keys, draft))


@dataclass(frozen=True, slots=True)
class Payee:
    """An account that only the copies have, and how it is opened and paid."""

    signers: Signers
    member: str
    key: bytes
    tx_id: bytes = field(default_factory=new_id)

    def opening(self) -> bytes:
        """The envelope that opens it, by its bank's teller."""
        body = OpenAccount(self.signers.asset, single_key(self.key))
        wish = Wish(self.member.encode(), Kind.OPEN_ACCOUNT, body)
        return self.signers.envelope(wish, [self.signers.member_key(self.member, TELLER)], self.tx_id)

    def payment(self) -> bytes:
        """The envelope that pays `PAID_UNITS` to it, by the issuer."""
        issuer = self.signers.names.issuers[self.signers.asset]
        body = Transfer(
            account_id(self.member, self.signers.asset, self.tx_id), self.signers.asset, PAID_UNITS
        )
        wish = Wish(account_id(issuer, self.signers.asset, issuance_tx_id(0)), Kind.TRANSFER, body)
        return self.signers.envelope(wish, [self.signers.member_key(issuer, ISSUANCE)])


async def submit(client: Client, envelope: bytes, timeout_s: int) -> int:
    """Have it executed and certified; its height. Raises CommandError where that isn't what came of it."""
    answer = await client.submit(envelope, "certified", timeout_s * 1_000)
    name = answer.outcome.name if answer.outcome is not None else answer.status
    if answer.status != "certified" or name != "executed" or answer.height is None:
        raise CommandError(
            f"A transaction of the drill was not settled: {name}.",
            "Look at the logs of the copies: run it again with --keep.",
            Exit.ERROR,
        )
    return answer.height
