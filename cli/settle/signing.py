"""Signs a plan's transactions with the keys of the banks, their customers and the issuer.

Turns plan items into envelopes; it must not know files, journals or the network.
"""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from cli.settle.plan import Customer, Payment
from cli.settle.terms import Terms
from ledger.bodies import Body, Kind, OpenAccount, Transfer
from ledger.envelope import build_payload, encode_envelope, signing_hash
from ledger.keys import public_bytes, sign
from ledger.policy import single_key
from wallet.derive import derive_key

VALID_BEFORE_MS = 60_000
"""How far back validity reaches: banks' clocks differ a little."""
VALID_FOR_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class BankKeys:
    """What a bank signs with: `teller` opens accounts, `customers` is the parent of its customers' keys."""

    teller: EllipticCurvePrivateKey
    customers: EllipticCurvePrivateKey


class Keys(Protocol):
    """Where the keys come from, asked only when something is really signed with one."""

    def bank(self, name: str) -> BankKeys:
        """The keys of a bank."""

    def issuance(self) -> EllipticCurvePrivateKey:
        """The key of the asset's issuance account."""


@dataclass(slots=True)
class Desk:
    """Signs for everybody on one network in one asset, with one validity window (milliseconds since 1970).

    `issuance` is the asset's issuance account, out of which payers are funded.
    """

    network_id: bytes
    asset: str
    issuance: bytes
    keys: Keys
    now_ms: int
    _customer_keys: dict[bytes, EllipticCurvePrivateKey] = field(default_factory=dict)

    def opening(self, customer: Customer) -> bytes:
        """The envelope with which a bank's teller opens a customer's account, ruled by the customer."""
        body = OpenAccount(self.asset, single_key(public_bytes(self._customer_key(customer))))
        teller = self.keys.bank(customer.bank).teller
        return self._signed(customer.opening_tx_id, customer.bank.encode(), Kind.OPEN_ACCOUNT, body, teller)

    def funding_terms(self, payment: Payment) -> Terms:
        """What the issuer's funding of an order does."""
        return Terms(self.issuance, payment.payer.account, self.asset, payment.order.amount)

    def payment_terms(self, payment: Payment) -> Terms:
        """What the payment of an order does."""
        return Terms(payment.payer.account, payment.payee.account, self.asset, payment.order.amount)

    def funding(self, payment: Payment) -> bytes:
        """The envelope with which the issuer funds an order's payer."""
        return self._transfer(payment.funding_tx_id, self.funding_terms(payment), self.keys.issuance())

    def payment(self, payment: Payment) -> bytes:
        """The envelope with which a payer pays an order."""
        key = self._customer_key(payment.payer)
        return self._transfer(payment.tx_id, self.payment_terms(payment), key)

    def _transfer(self, tx_id: bytes, terms: Terms, key: EllipticCurvePrivateKey) -> bytes:
        body = Transfer(terms.credit, terms.asset, terms.amount)
        return self._signed(tx_id, terms.author, Kind.TRANSFER, body, key)

    def _customer_key(self, customer: Customer) -> EllipticCurvePrivateKey:
        key = self._customer_keys.get(customer.account)
        if key is None:
            key = derive_key(self.keys.bank(customer.bank).customers, customer.label)
            self._customer_keys[customer.account] = key
        return key

    def _signed(
        self, tx_id: bytes, author: bytes, kind: Kind, body: Body, key: EllipticCurvePrivateKey
    ) -> bytes:
        payload = build_payload(
            network_id=self.network_id,
            tx_id=tx_id,
            author=author,
            kind=kind,
            body=body,
            valid_from_ms=self.now_ms - VALID_BEFORE_MS,
            valid_until_ms=self.now_ms + VALID_FOR_MS,
            signers=[public_bytes(key)],
        )
        return encode_envelope(payload, [sign(key, signing_hash(payload))])
